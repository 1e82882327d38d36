"""`status`, `retry`, `doctor`, `db upgrade`, `db bi-role`: the operator's work."""

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from calls.errors import SettingsError
from cli.common import HomeOption, JsonFlag, emit, say, wire
from crm.schema import require_current, upgrade, versions

if TYPE_CHECKING:
    from runtime.wiring import Wiring

db = typer.Typer(help="The database's version.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status")(status)
    app.command("retry")(retry)
    app.command("doctor")(doctor)
    app.add_typer(db, name="db")


def prepare(wired: "Wiring") -> None:
    """Bring the database to this code's version and to the owner's reasons. Doing it again changes nothing."""
    from crm.taxonomies import take_from_file

    wired.settings.home_path.mkdir(parents=True, exist_ok=True)
    upgrade(wired.database)
    taxonomy = wired.taxonomy_from_file()
    with wired.database.write() as connection:
        is_own = wired.settings.site.reasons_file is not None
        take_from_file(connection, taxonomy, datetime.now(UTC), is_own=is_own)


def status(home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """What stands where."""
    wired = wire(home)
    require_current(wired.database)
    document = print_status(wired, as_json=as_json)
    if as_json:
        emit(document)


def print_status(wired: "Wiring", *, as_json: bool) -> dict[str, Any]:
    """Read the status; show it as a table unless it will be shown as JSON."""
    from crm.batches import batch_counts
    from crm.status import status as read_status

    with wired.database.read() as connection:
        now = datetime.now(UTC)
        document = read_status(connection, now) | {
            "money_today": wired.budgets.document(connection, now),
            "batches": batch_counts(connection),
        }
    if not as_json:
        from rich.console import Console
        from rich.table import Table

        table = Table("what", "calls", title="Calls")
        for stage in ("announced", "received", "transcribed", "understood", "done"):
            table.add_row(stage, str(document[stage]))
        for group in ("skipped", "failed", "waiting"):
            for code, count in document[group].items():
                table.add_row(f"{group}: {code}", str(count))
        if document["backfill"]:
            table.add_row("of these, old recordings behind the live calls", str(document["backfill"]))
        if document["reclassifying"]:
            table.add_row("done, and to be asked about under other reasons", str(document["reclassifying"]))
        if document["language_tiers"]:
            share = document["language_tiers"]["escalated_share"]
            table.add_row("analyses that the first language tier left doubtful", f"{share:.1%}")
        for destination, counts in document["handover"].items():
            for state in ("sent", "waiting", "held", "failed"):
                if counts[state]:
                    table.add_row(f"handed over to {destination}: {state}", str(counts[state]))
            if counts["is_paused"]:
                table.add_row(f"handed over to {destination}: paused", "see `callwise handover status`")
        if document["awaited_objects"]:
            table.add_row("announced, and not in the store yet", str(document["awaited_objects"]))
        if document["objects_to_delete"]:
            table.add_row("erased, and not deleted in the store yet", str(document["objects_to_delete"]))
        if document["to_look_through"]:
            table.add_row("to be looked through for what must not leave", str(document["to_look_through"]))
        if document["unread_names"]:
            table.add_row("names that no telephony profile reads", str(document["unread_names"]))
        if document["unreadable_events"]:
            table.add_row("events that nobody can read", str(document["unreadable_events"]))
        for service, today in document["money_today"].items():
            if today["spent_microusd"] or today["budget_microusd"] is not None:
                bound = "" if today["budget_microusd"] is None else f" of {today['budget_microusd'] / 1e6:,.2f}"
                table.add_row(f"dollars spent today: {service}", f"{today['spent_microusd'] / 1e6:,.2f}{bound}")
        if document["batches"]["under_way"] or document["batches"]["unsent_questions"]:
            table.add_row("questions that wait for the next batch", str(document["batches"]["unsent_questions"]))
            table.add_row("questions in batches, unanswered", str(document["batches"]["unanswered_questions"]))
        Console().print(table)
        if document["oldest_waiting_s"] is not None:
            say(f"The longest-waiting call has waited {document['oldest_waiting_s']:.0f} s.")
    return document


def retry(
    calls: Annotated[list[str] | None, typer.Argument(help="Our id, telephony's, or bucket/key; none: all.")] = None,
    code: Annotated[str | None, typer.Option(help="Only calls that failed with this code.")] = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Give failed calls another attempt at the step where they failed."""
    from crm import retries
    from crm.calls import find_call

    wired = wire(home)
    require_current(wired.database)
    with wired.database.write() as connection:
        wanted = None if not calls else [find_call(connection, given) for given in calls]
        retried = retries.retry(connection, now=datetime.now(UTC), call_ids=wanted, code=code)
    if as_json:
        emit({"retried": retried})
    else:
        say(f"{retried} failed calls get another attempt.")


def doctor(home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Check everything that can be wrong, each with its fix."""
    from rich.console import Console

    from runtime.doctor import Check, examine

    try:
        checks = examine(wire(home))
    except SettingsError as error:
        checks = [Check("settings", "wrong", error.detail, "correct it: nothing can be checked before")]
    if as_json:
        emit({"checks": [check.__dict__ for check in checks]})
    else:
        line = partial(Console().print, highlight=False, markup=False, soft_wrap=True)
        for check in checks:
            line(f"{check.status:<6}{check.name:<11}{check.detail}")
            if check.fix:
                line(f"{'':<17}-> {check.fix}")
    if any(check.status == "wrong" for check in checks):
        raise typer.Exit(1)


@db.command("upgrade")
def db_upgrade(home: HomeOption = None) -> None:
    """Bring the database to this code's version and to the reasons of site.reasons_file."""
    wired = wire(home)
    prepare(wired)
    found, _ = versions(wired.database)
    say(f"The database is at version {found}.")


@db.command("bi-role")
def db_bi_role(
    name: Annotated[str, typer.Argument(help="The role, like callwise_bi.")],
    home: HomeOption = None,
    only_print: Annotated[bool, typer.Option("--print", help="Show the statements, run none of them.")] = False,
) -> None:
    """Make a role for BI tools that reads the tables of `bi` and nothing else (PostgreSQL)."""
    from analytics.readers import make_reader, reader_statements

    wired = wire(home)
    if only_print:
        typer.echo("".join(f"{statement};\n" for statement in reader_statements(wired.database, name)), nl=False)
        return
    require_current(wired.database)
    make_reader(wired.database, name)
    say(f"{name} may read the schema bi. It has no password yet: ALTER ROLE {name} PASSWORD '...'.")
