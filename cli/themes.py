"""`reasons themes`: what calls that no reason fits have in common, and a taxonomy with drafts of reasons for it."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from analytics.proposals import draft_of, proposed_themes, themes_document
from analytics.sums import until_after
from analytics.themes import MIN_CALLS, Themes
from calls.taxonomy_text import write_taxonomy
from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from crm.access import OPERATOR
from crm.schema import require_current
from crm.taxonomies import current_taxonomy

_WEEKS_SHOWN = 6


def themes(
    *,
    since: Annotated[str, typer.Option(help="First day, like 2026-03-02.")] = "",
    until: Annotated[str, typer.Option(help="Last day.")] = "",
    draft: Annotated[Path | None, typer.Option(help="Write the current reasons and the proposed ones there.")] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="Of the proposed reasons only this one (its code); several are fine.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Look for what the reasons lack: themes of the newest calls whose reason is `other` or none."""
    first, last = _day("--since", since), _day("--until", until)
    if accept and draft is None:
        stop("callwise reasons themes: --accept says what goes into a --draft: name its file", code=2)
    wired = wire(home)
    require_current(wired.database)
    with wired.database.read() as connection:
        found = proposed_themes(connection, OPERATOR, since=first, until=until_after(last), find=wired.redaction)
        current = current_taxonomy(connection)
    if draft is not None and not found.themes:
        stop(f"callwise reasons themes: no theme in {found.looked_at} calls: there is nothing to draft")
    if draft is not None:
        text = write_taxonomy(draft_of(current, found, accept or ()))
        try:
            # A file that somebody has begun to reword is not written over.
            with draft.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            stop(f"callwise reasons themes: cannot write {draft}: {error.strerror}: name a new file", code=2)
    if as_json:
        emit(themes_document(found) | {"draft": str(draft) if draft else None})
        return
    _tell(found)
    if draft is not None:
        say(f"{draft} has the drafts: reword them, then `callwise reasons load {draft} --dry-run`")


def _tell(found: Themes) -> None:
    if found.too_few:
        say(f"{found.looked_at} calls without a fitting reason; themes are looked for from {MIN_CALLS} on.")
        return
    table = Table("code", "calls", "share", "by week", "words", title="Themes of calls that no reason fits")
    for theme in found.themes:
        table.add_row(
            theme.reason.code,
            str(theme.calls),
            f"{theme.share:.0%}",
            " ".join(str(week.calls) for week in theme.weeks[-_WEEKS_SHOWN:]),
            escape(", ".join(theme.words)),
        )
    if found.themes:
        Console().print(table)
    say(f"{len(found.themes)} themes in {found.looked_at} calls; {found.explained} more belong to a reason there is.")


def _day(option: str, text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        stop(f"callwise reasons themes: {option} {text!r} is no date; write it like 2026-03-14", code=2)
