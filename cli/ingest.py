"""`push`, `listen`, `reconcile`, `profiles test`: recordings into the store, and out of it into the database."""

import json
import signal
import threading
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from calls.recording import CallFacts
from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from crm.calls import parse_moment
from crm.schema import require_current
from ingest.kept_recordings import KeptReport, reconcile_kept
from ingest.listening import run_listeners
from ingest.profiles import Reading, sidecar_key
from ingest.reconcile import reconcile as compare
from runtime.listening import make_all_listeners, make_intake, make_profiles
from runtime.logs import set_up_logs
from runtime.program import spare_the_program
from runtime.wiring import Wiring

profiles = typer.Typer(help="What telephony profiles read.", no_args_is_help=True)

FilesArgument = Annotated[list[Path], typer.Argument(help="Recordings.", exists=True, dir_okay=False, readable=True)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("push")(push)
    app.command("listen")(listen)
    app.command("reconcile")(reconcile)
    app.add_typer(profiles, name="profiles")


def push(
    files: FilesArgument,
    *,
    name: Annotated[str | None, typer.Option(help="Key in the store, for one file. Default: the file's name.")] = None,
    meta: Annotated[list[str] | None, typer.Option(help="Metadata of the object, NAME=VALUE.")] = None,
    sidecar: Annotated[
        Path | None, typer.Option(help="A JSON document of facts, for one file.", exists=True, dir_okay=False)
    ] = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Put recordings into the configured object store, the way telephony would."""
    if len(files) > 1 and (name is not None or sidecar is not None):
        stop("callwise push: --name and --sidecar are for one file", code=2)
    metadata = dict(_pair(text) for text in meta or ())
    objects = wire(home).objects
    pushed: list[dict[str, Any]] = []
    for path in files:
        key = name if name is not None else path.name
        if sidecar is not None:
            # First, so that the recording finds it.
            objects.put(sidecar_key(key), sidecar)
        stored = objects.put(key, path, metadata=metadata)
        pushed.append({"bucket": objects.bucket, "key": key, "size_bytes": stored.ref.size_bytes})
        if not as_json:
            typer.echo(stored.ref.address)
    if as_json:
        emit(pushed)


def listen() -> None:
    """Take in what the configured sources announce, until Ctrl-C."""
    from workers.app import bell
    from workers.run import SignsOfLife

    wired = wire()
    set_up_logs(wired.settings.log_level)
    listeners = make_all_listeners(wired, bell(wired.settings))
    require_current(wired.database)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    life = SignsOfLife(wired.database, "listen")
    life.start()
    spare_the_program()
    run_listeners(listeners, ended)
    life.stop()


def reconcile(
    fix: Annotated[bool, typer.Option("--fix", help="Take in what is missing.")] = False,
    since: Annotated[str, typer.Option(help="Only what was stored from this date or time on.")] = "",
    telephony: Annotated[
        bool, typer.Option("--telephony", help="Compare the recordings that Twilio keeps, too: of 7 days, or --since.")
    ] = False,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare the bucket with the database; exit code 1 when a recording is no call and was not taken in."""
    wired = wire(home)
    set_up_logs(wired.settings.log_level)
    require_current(wired.database)
    zone = ZoneInfo(wired.settings.site.time_zone)
    # Workers find what this queues by their sweep.
    report = compare(make_intake(wired), fix=fix, since=parse_moment(since, zone))
    kept = _compare_kept(wired, parse_moment(since, zone), fix=fix) if telephony else None
    if as_json:
        emit(
            (_kept_document(kept) if kept else {})
            | {
                "objects": report.object_count,
                "known": report.known_count,
                "missing": report.missing,
                "missing_count": report.missing_count,
                "queued": report.queued_count,
                "documents": report.document_count,
                "unread_documents": report.unread_count,
                "erased": report.erased_count,
                "stranded": report.stranded_count,
                "requeued": report.requeued_count,
            }
        )
    else:
        for key in report.missing:
            typer.echo(key)
        say(
            f"{report.object_count} recordings, {report.known_count} of them known, {report.missing_count} missing,"
            f" {report.queued_count} calls queued"
        )
        if report.document_count:
            say(f"{report.document_count} documents and texts, {report.unread_count} of them had not been read")
        if report.erased_count:
            say(f"{report.erased_count} erased objects lie in the bucket again; they are no calls: delete them")
        if report.stranded_count:
            say(f"{report.stranded_count} unfinished calls had no work queued, {report.requeued_count} have it again")
        if kept:
            say(
                f"{kept.listed_count} recordings kept by telephony, {kept.missing_count} missing,"
                f" {kept.queued_count} calls queued"
            )
    if not fix and not (report.is_well and (kept is None or not kept.missing_count)):
        say("callwise reconcile: --fix takes in what is missing")
        raise typer.Exit(1)
    if report.missing_count > report.queued_count or report.stranded_count > report.requeued_count:
        raise typer.Exit(1)


def _kept_document(kept: KeptReport) -> dict[str, Any]:
    counts = {"recordings": kept.listed_count, "missing_count": kept.missing_count, "queued": kept.queued_count}
    return {"telephony": counts | {"unread": kept.unread_count}}


def _compare_kept(wired: Wiring, since: datetime | None, *, fix: bool) -> KeptReport:
    if wired.twilio is None:
        stop("callwise reconcile: --telephony needs telephony.twilio.account_sid and auth_token", code=2)
    first_day = (since or datetime.now(UTC) - timedelta(days=7)).astimezone(UTC).date()
    account_sid = wired.settings.telephony.twilio.account_sid
    return reconcile_kept(make_intake(wired), wired.twilio.listed(first_day), account_sid, fix=fix)


@profiles.command("test")
def read_names(
    names: Annotated[list[str], typer.Argument(help="Names (keys) of recordings.")],
    *,
    sidecar: Annotated[
        Path | None, typer.Option(help="A document beside the recording.", exists=True, dir_okay=False, readable=True)
    ] = None,
    metadata: Annotated[list[str] | None, typer.Option(help="Metadata of the object, NAME=VALUE.")] = None,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show which telephony profile reads these names, what from them, and who told it.

    Nothing is stored, and no store is asked.
    """
    chosen = make_profiles(wire(home).settings)
    given = dict(_pair(text, "profiles test: --metadata") for text in metadata or ())
    raw, sidecar_name = (sidecar.read_bytes(), sidecar.name) if sidecar else (None, None)
    readings = {name: chosen.read(name, metadata=given, sidecar=raw, sidecar_name=sidecar_name) for name in names}
    if as_json:
        emit([_reading_document(name, reading) for name, reading in readings.items()])
        return
    for name, reading in readings.items():
        _show(name, reading)


def _show(name: str, reading: Reading) -> None:
    typer.echo(f"{name}: {reading.profile or 'no profile reads this name'}")
    facts = _told(reading.facts)
    attributes = {f"attributes.{key}": value for key, value in facts.pop("attributes", {}).items()}
    for fact, value in (facts | attributes).items():
        typer.echo(f"  {fact}: {value}  ({reading.told_by.get(fact, 'name')})")
    if reading.unread:
        typer.echo(f"  not read: {', '.join(reading.unread)}")


def _pair(text: str, option: str = "push: --meta") -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        stop(f"callwise {option} wants NAME=VALUE, not {text!r}", code=2)
    return name, value


def _reading_document(name: str, reading: Reading) -> dict[str, Any]:
    return {
        "name": name,
        "profile": reading.profile,
        "facts": _told(reading.facts),
        "unread": list(reading.unread),
        "told_by": dict(reading.told_by),
    }


def _told(facts: CallFacts) -> dict[str, Any]:
    """The facts that were told, as JSON has them."""
    given = {item.name: getattr(facts, item.name) for item in fields(CallFacts)}
    # Zero and false are told as well.
    told = {name: value for name, value in given.items() if value is not None and value != {}}
    document: dict[str, Any] = json.loads(json.dumps(told, default=lambda value: value.isoformat()))
    return document
