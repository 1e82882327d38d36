"""`reasons`: the owner's taxonomy by versions, and the past classified under it."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calls.errors import SettingsError
from calls.reasons import Taxonomy
from calls.taxonomy_file import parse_taxonomy
from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from cli.reclassify import reclassify, runs
from cli.themes import themes
from crm.schema import require_current
from crm.taxonomies import (
    TaxonomyVersion,
    current_taxonomy,
    store_taxonomy,
    stored_taxonomy,
    taxonomy_versions,
)
from crm.taxonomy_documents import taxonomy_document, version_document
from crm.taxonomy_plan import plan_document, plan_taxonomy
from runtime.wiring import bundled_reasons

reasons = typer.Typer(help="The call reasons: load, show, and classify the past under them.", no_args_is_help=True)
reasons.command("reclassify")(reclassify)
reasons.command("runs")(runs)
reasons.command("themes")(themes)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(reasons, name="reasons")


@reasons.command("load")
def load(
    file: Annotated[Path, typer.Argument(help="A reasons.yaml, or the name of a ready one: see `reasons ready`.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Classify calls by these reasons from now on. Earlier calls keep theirs until `reasons reclassify`."""
    given = parse_taxonomy(_text_of(file))
    wired = wire(home)
    require_current(wired.database)
    with wired.database.read() as connection:
        document = plan_document(plan_taxonomy(connection, given))
    if not dry_run:
        with wired.database.write() as connection:
            store_taxonomy(connection, given, datetime.now(UTC))
    document["is_current"] = not dry_run or document["previous_version"] == given.version
    if as_json:
        emit(document)
        return
    _tell_changes(document, dry_run=dry_run)


@reasons.command("show")
def show(
    *,
    version: Annotated[str, typer.Option(help="Of this version. Empty: the current one.")] = "",
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the reasons by which calls are classified, and which versions there are."""
    wired = wire(home)
    require_current(wired.database)
    with wired.database.read() as connection:
        found = stored_taxonomy(connection, version) if version else current_taxonomy(connection)
        versions = taxonomy_versions(connection)
    if found is None:
        stop("callwise reasons: none are stored yet: run `callwise reasons load FILE` or `callwise db upgrade`")
    if as_json:
        emit(_document(found, versions))
    else:
        _print(found, versions)


@reasons.command("ready")
def ready(
    name: Annotated[str, typer.Argument(help="Print this one's YAML, to begin your own with.")] = "",
) -> None:
    """The ready taxonomies that come with Callwise; with a name, one of them as a file."""
    found = bundled_reasons()
    if not name:
        table = Table("name", "title", "reasons", title="Ready taxonomies")
        for known, path in found.items():
            given = parse_taxonomy(path.read_text(encoding="utf-8"))
            table.add_row(known, escape(given.title), str(len(given.reasons)))
        Console().print(table)
        return
    if name not in found:
        stop(f"callwise reasons: no ready taxonomy is called {name}; there are {', '.join(found)}", code=2)
    sys.stdout.write(found[name].read_text(encoding="utf-8"))


def _text_of(file: Path) -> str:
    path = bundled_reasons().get(str(file), file) if not file.exists() else file
    try:
        return path.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"reasons file: cannot read {file} ({type(error).__name__}): name a UTF-8 file, or one of"
            f" {', '.join(bundled_reasons())}",
            code="wrong_reasons_file",
        ) from error


def _tell_changes(document: dict[str, Any], *, dry_run: bool) -> None:
    found = document["changes"]
    table = Table("what", "codes", title=escape(f"{document['title'] or 'Reasons'}: version {document['version']}"))
    for name, codes in found.items():
        listed = [f"{old} -> {new}" for old, new in codes.items()] if isinstance(codes, dict) else codes
        if listed:
            table.add_row(name.replace("_", " "), escape(", ".join(listed)))
    if table.row_count:
        Console().print(table)
    else:
        say("Nothing differs from the current reasons.")
    if document["calls_under_other_reasons"]:
        say(
            f"{document['calls_under_other_reasons']} calls were classified under other reasons; for"
            f" {document['calls_without_counterpart']} of them theirs is gone and none replaces it."
            " `callwise reasons reclassify --dry-run` prices asking about them anew."
        )
    say("Nothing was changed." if dry_run else f"Calls are classified by version {document['version']} from now on.")


def _document(found: Taxonomy, versions: list[TaxonomyVersion]) -> dict[str, Any]:
    is_current = any(one.is_current and one.version == found.version for one in versions)
    listed = [version_document(one) for one in versions]
    return taxonomy_document(found, is_current=is_current) | {"versions": listed}


def _print(found: Taxonomy, versions: list[TaxonomyVersion]) -> None:
    table = Table("code", "label", "definition", title=escape(f"{found.title or 'Reasons'}: version {found.version}"))
    for reason in found.reasons:
        marks = [f"under {reason.parent_code}"] if reason.parent_code else []
        marks += ["sales"] if reason.is_sales else []
        marks += [f"replaces {', '.join(reason.replaces)}"] if reason.replaces else []
        label = reason.label + (f" ({'; '.join(marks)})" if marks else "")
        table.add_row(reason.code, escape(label), escape(reason.definition))
    Console().print(table)
    for question in found.questions:
        choices = f": {', '.join(question.choices)}" if question.choices else ""
        Console().print(escape(f"{question.code} ({question.kind}{choices}): {question.text}"), highlight=False)
    listed = Table("version", "title", "since", "reasons", "calls", title="Versions")
    for one in versions:
        mark = " (current)" if one.is_current else ""
        listed.add_row(
            escape(one.version) + mark,
            escape(one.title),
            f"{one.loaded_at:%Y-%m-%d}",
            str(one.reason_count),
            str(one.call_count),
        )
    Console().print(listed)
