"""`handover`: what is sent to CRMs, what is not, and why."""

from datetime import UTC, date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from calls.crm_payloads import MAPPERS
from calls.errors import CallwiseError
from calls.handover import State, payload_hash
from calls.money import midnight
from calls.words import handover_words
from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from crm.access import OPERATOR
from crm.audit import Action, note
from crm.calls import find_call
from crm.destinations import destinations_document
from crm.handover import call_link, handed_call, ids_in
from crm.handover_queue import know_destinations, queue_since
from crm.handover_status import ask_for, resume, standing_document, standings
from crm.schema import require_current
from runtime.wiring import Wiring

handover = typer.Typer(help="Hand calls over to Salesforce, HubSpot and webhooks.", no_args_is_help=True)
Destination = Annotated[str, typer.Argument(help="salesforce, hubspot, or a webhook's name.")]
CallArgument = Annotated[str, typer.Argument(metavar="CALL", help="Our id, telephony's, or BUCKET/KEY.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(handover, name="handover")


@handover.command("status")
def show_status(home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Show what stands where: sent, waiting, held, failed. Exit code 1 where something is paused or failed."""
    wired = _ready(home)
    with wired.database.read() as connection:
        found = destinations_document(connection)
    if as_json:
        emit({"destinations": found})
    else:
        _table(found)
    if any(one["is_paused"] or one["calls"][State.FAILED.value] for one in found):
        raise typer.Exit(1)


@handover.command("check")
def check(home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Ask every destination whether it would take calls; a webhook gets a signed `ping`. Exit code 1 where not."""
    wired = _ready(home)
    told = []
    for place in wired.handovers.places.values():
        try:
            place.engine.check()
            told.append({"name": place.name, "kind": place.kind, "code": None, "detail": None})
        except CallwiseError as error:
            told.append({"name": place.name, "kind": place.kind, "code": error.code, "detail": error.detail})
    if as_json:
        emit({"destinations": told})
    else:
        for one in told:
            say(f"{one['name']}: {one['detail'] or 'takes calls'}")
        if not told:
            say("Nothing is configured: see [handover] in docs/configuration.md.")
    if any(one["code"] for one in told):
        raise typer.Exit(1)


@handover.command("payload")
def show_payload(
    call: CallArgument,
    system: Annotated[str, typer.Argument(help=f"One of {', '.join(MAPPERS)}.")],
    home: HomeOption = None,
) -> None:
    """Print a call as that CRM takes it, as JSON. Nothing is sent anywhere."""
    if system not in MAPPERS:
        stop(f"callwise handover payload: {system!r} is none of {', '.join(MAPPERS)}", code=2)
    wired = _ready(home)
    handovers = wired.handovers
    with wired.database.read() as connection:
        call_id = find_call(connection, call)
        # As it would be sent: an operator sees here what a CRM would see.
        handed = handed_call(
            connection,
            handovers.viewer,
            call_id,
            find=handovers.find,
            page_url=handovers.page_url(call_id),
            to_crm=True,
        )
        destination = system.partition("-")[0]
        told = handovers.payload(system, handed.call, ids_in(connection, handed, destination))
        known = call_link(connection, call_id, destination)
    emit(
        {
            "system": told.system,
            "entity": told.entity,
            "fields": dict(told.fields),
            "missing": list(told.missing),
            "read_only": list(told.read_only),
            "sha256": payload_hash(told.fields),
            "object_id": known.object_id if known else None,
        }
    )


@handover.command("send")
def send(call: CallArgument, destination: Destination, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Let one call go there, also where it was sent before or failed; the workers send it."""
    wired = _ready(home)
    now = datetime.now(UTC)
    with wired.database.write() as connection:
        call_id = find_call(connection, call)
        ask_for(connection, OPERATOR, call_id, destination, wired.handovers.rules, now=now)
        note(connection, OPERATOR, Action.HAND_OVER, call_id=call_id, detail=destination, now=now)
        [standing] = [one for one in standings(connection, OPERATOR, call_id) if one.destination == destination]
    if as_json:
        emit({"id": str(call_id)} | standing_document(standing))
    else:
        say(f"The call goes to {destination} with the next round of the workers.")


@handover.command("queue")
def queue(
    destination: Destination,
    *,
    since: Annotated[str, typer.Option(help="First day, like 2026-03-02: calls of then and later.")],
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Queue calls of before the destination was configured; those that are there already are not sent again."""
    wired = _ready(home)
    if destination not in wired.handovers.places:
        stop(f"callwise handover queue: nothing is called {destination!r} in [handover]", code=2)
    begins = midnight(_day(since), ZoneInfo(wired.settings.site.time_zone))
    queued, after = 0, None
    while True:
        with wired.database.write() as connection:
            count, after = queue_since(
                connection, destination, begins, wired.handovers.rules, now=datetime.now(UTC), after=after
            )
        queued += count
        if after is None:
            break
    if as_json:
        emit({"destination": destination, "queued": queued})
    else:
        say(f"{queued} calls are queued for {destination}.")


@handover.command("run")
def run_round(home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Send what is due now, in this process, as the workers do by themselves."""
    from workers.handover import HandoverWork, tend

    wired = _ready(home)
    sent = tend(HandoverWork(wired.database, wired.handovers))
    if as_json:
        emit({"sent": sent})
    else:
        say(f"{sent} calls were sent.")


@handover.command("resume")
def let_go_on(destination: Destination, home: HomeOption = None, as_json: JsonFlag = False) -> None:
    """Let a paused destination go on, and try anew the calls that failed there."""
    wired = _ready(home)
    now = datetime.now(UTC)
    with wired.database.write() as connection:
        retried = resume(connection, OPERATOR, destination, now=now)
        note(connection, OPERATOR, Action.HAND_OVER, detail=f"resumed {destination}", now=now)
    if as_json:
        emit({"name": destination, "retried": retried})
    else:
        say(f"{destination} goes on; {retried} calls that failed are tried anew.")


def _ready(home: Any) -> Wiring:
    wired = wire(home)
    require_current(wired.database)
    kinds = [(place.name, place.kind) for place in wired.handovers.places.values()]
    if kinds:
        with wired.database.write() as connection:
            know_destinations(connection, kinds, now=datetime.now(UTC))
    return wired


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        stop(f"callwise handover queue: --since {text!r} is no date; write it like 2026-03-14", code=2)


def _table(found: list[dict[str, Any]]) -> None:
    table = Table("to", *(state.value for state in State), "state", title="Hand-over to CRMs", box=None)
    for one in found:
        state = "paused" if one["is_paused"] else "waits" if one["not_before"] else "open"
        if one["last_code"]:
            state += f": {handover_words(one['last_code'])}"
        table.add_row(escape(one["name"]), *(str(one["calls"][name.value]) for name in State), escape(state))
    Console().print(table)
