"""`erase`, `purge`: what was said and who it was goes, what counts stays."""

from datetime import UTC, datetime, time, timedelta
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

import typer

from calls.errors import CallwiseError
from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from crm.access import OPERATOR
from crm.calls import NoSuchCall, find_call
from crm.erasing import Erasure
from crm.schema import require_current
from runtime.erasing import Eraser, Extent, erasure_document, extent_document
from runtime.logs import set_up_logs
from runtime.wiring import Wiring

DryRunFlag = Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")]
YesFlag = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


class WrongOptions(CallwiseError):
    """The options do not say whose calls, or from when, are meant."""

    code = "wrong_query"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("erase")(erase)
    app.command("purge")(purge)


def erase(
    *,
    phone: Annotated[str, typer.Option(help="Everything of whoever has this number (E.164: +4930123456).")] = "",
    call: Annotated[str, typer.Option(help="One call: our id, telephony's id, or bucket/key.")] = "",
    contact: Annotated[str, typer.Option(help="Everything of the customer of this id.")] = "",
    dry_run: DryRunFlag = False,
    yes: YesFlag = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Erase a person or a call: rows, transcript, search, audio. The figures keep counting the call; nobody can say any
    more whose it was, or what was said, and it cannot come in again.
    """
    wired = wire(home)
    set_up_logs(wired.settings.log_level)
    require_current(wired.database)
    if sum(map(bool, (phone, call, contact))) != 1:
        raise WrongOptions("say whom to erase: one of --phone, --call or --contact")
    eraser, now = Eraser(wired, OPERATOR), datetime.now(UTC)
    if call:
        call_id = _call_id(wired, call)
        _erase_call(eraser, call_id, dry_run=dry_run, yes=yes, as_json=as_json, now=now)
        return
    person = eraser.person_of_number(phone) if phone else eraser.person_of_contact(_id_of(contact))
    extent = eraser.extent_of_person(person)
    if dry_run:
        _tell_extent(extent, as_json=as_json)
        return
    _ask(f"Erase {extent.call_count} calls and {extent.contact_count} customers for good?", yes)
    erased = eraser.erase_person(person, now=now)
    _tell(eraser, erased, as_json=as_json, now=now)


def purge(
    *,
    older_than: Annotated[
        str, typer.Option(help="Days (400d or 400), or a date: calls that happened before it.", metavar="DAYS|DATE")
    ],
    dry_run: DryRunFlag = False,
    yes: YesFlag = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Erase every call that is older, and the customers who have no other."""
    wired = wire(home)
    set_up_logs(wired.settings.log_level)
    require_current(wired.database)
    eraser, now = Eraser(wired, OPERATOR), datetime.now(UTC)
    before = _before(older_than, now, ZoneInfo(wired.settings.site.time_zone))
    extent = eraser.extent_before(before)
    if dry_run:
        _tell_extent(extent, as_json=as_json)
        return
    _ask(f"Erase {extent.call_count} calls from before {before:%Y-%m-%d %H:%M %Z} for good?", yes)
    erased = eraser.purge(before, now=now)
    _tell(eraser, erased, as_json=as_json, now=now)


def _erase_call(eraser: Eraser, call_id: UUID, *, dry_run: bool, yes: bool, as_json: bool, now: datetime) -> None:
    extent = eraser.extent_of_call(call_id)
    if dry_run:
        _tell_extent(extent, as_json=as_json)
        return
    _ask(f"Erase the call {call_id} for good?", yes or not extent.call_count)
    erased = eraser.erase_call(call_id, now=now)
    _tell(eraser, erased, as_json=as_json, now=now)


def _call_id(wired: Wiring, reference: str) -> UUID:
    with wired.database.read() as connection:
        try:
            return find_call(connection, reference)
        except NoSuchCall:
            stop(f"callwise: no call is {reference!r}; one that is erased is found by our whole id alone")


def _id_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise WrongOptions("--contact takes the customer's id, as the customer's page has it in its address") from None


def _before(older_than: str, now: datetime, zone: ZoneInfo) -> datetime:
    days = older_than.lower().removesuffix("d").strip()
    if days.isdecimal() and len(days) <= 5:
        return now - timedelta(days=int(days))
    try:
        return datetime.combine(datetime.strptime(older_than, "%Y-%m-%d").date(), time(), zone)  # noqa: DTZ007
    except ValueError:
        raise WrongOptions("--older-than takes a number of days (400) or a date (2025-01-31)") from None


def _ask(question: str, yes: bool) -> None:
    if not yes:
        typer.confirm(question, abort=True, err=True)


def _tell_extent(extent: Extent, *, as_json: bool) -> None:
    if as_json:
        emit(extent_document(extent))
        return
    say(
        f"{extent.call_count} calls with {extent.recording_count} recordings would be erased, and"
        f" {extent.contact_count} customers."
    )


def _tell(eraser: Eraser, erased: Erasure, *, as_json: bool, now: datetime) -> None:
    left = eraser.doomed_count(now=now)
    if as_json:
        emit(erasure_document(erased, left))
    else:
        say(f"{erased.call_count} calls and {erased.contact_count} customers are erased; their figures stay.")
        if erased.classifier_count:
            say("The classifier that they taught is gone with them: run `callwise learn` for another.")
        for system, id_ in erased.crm_objects:
            say(f"{system} still has what it was sent: {id_}")
        say("Files that were exported before are not touched: export anew, and delete the old ones.")
    if left:
        say(f"{left} objects could not be deleted yet: the worker goes on with it, or run the command again.")
        raise typer.Exit(1)
