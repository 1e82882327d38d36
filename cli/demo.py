"""`demo`: the bundled recordings of a fictitious service centre through the whole embedded set-up, in a home of their
own.
"""

import json
import os
import shutil
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.error import URLError
from urllib.request import urlopen

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from analytics.exports import COMMON_KINDS, MANIFEST, export
from calls.errors import SettingsError
from cli.common import JsonFlag, emit, say, stop
from cli.demo_report import print_report
from cli.operate import prepare
from cli.supervisor import Supervisor
from cli.up import first_admin, say_engines, start_all
from crm.status import status
from runtime.exporting import target_at
from runtime.logs import set_up_logs
from runtime.settings import read_settings
from runtime.wiring import Wiring
from samples import SampleRecording, sample_recordings
from samples.history import load_history

DEFAULT_HOME = Path("~/.callwise-demo")
SITE_NAME = "Harbour & Pine Appliances"
MARKER = "this-home-is-a-demo"
ALIASES = {"whisper": "faster-whisper"}
# Settings that a demo takes over from its environment; a configured database or store is not the demo's to fill.
KEPT_SETTINGS = ("CALLWISE_SPEECH__", "CALLWISE_LANGUAGE__", "CALLWISE_PRICES", "CALLWISE_WEB__", "CALLWISE_WORK__")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    *,
    leave: Annotated[bool, typer.Option("--exit", help="End when the recordings are done, without the pages.")] = False,
    home: Annotated[
        Path, typer.Option(help="A folder for the demo; an earlier demo in it is replaced.")
    ] = DEFAULT_HOME,
    speech: Annotated[str, typer.Option(help="Speech engine: auto, offline, whisper, openai, ...")] = "auto",
    model: Annotated[str, typer.Option(help="The speech engine's model, for example small.")] = "",
    port: Annotated[int | None, typer.Option(help="Port of the pages; 0: any free one.", min=0, max=65535)] = None,
    as_json: JsonFlag = False,
) -> None:
    """Push the bundled recordings as telephony would, show what comes out, and serve the pages until Ctrl-C."""
    started = time.monotonic()
    set_up_logs("warning")
    place = home.expanduser().absolute()
    supervisor = Supervisor(place, os.environ)
    _make_fresh(place, supervisor)
    wired = _wire(place, speech, model)
    if speech != "auto":
        wired.speech.check()  # what was asked for by name and cannot work is told now, not by a demo that stands still
    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, partial(_end, interrupted, supervisor))
    try:
        prepare(wired)
        password = first_admin(wired)
        address = start_all(supervisor, wired, port)
        say_engines(wired)
        _wait_for_pages(address, supervisor, interrupted)
        where = f"Pages: {address}  (sign in as admin, password {password})"
        say(where)
        recordings = sample_recordings()
        _fill_trends(wired, recordings)
        _push(wired, recordings)
        _watch(wired, recordings, supervisor, interrupted, quiet=as_json)
        if interrupted.is_set():
            stop("callwise demo: interrupted")
        outcome = _finish(wired, started)
        if as_json:
            emit(outcome)
        else:
            print_report(wired, outcome)
        if not leave:
            say(f"{where}\nCtrl-C ends the demo.")
            supervisor.keep_running(say)
    finally:
        supervisor.stop()
    if not _as_expected(outcome, recordings):
        stop("callwise demo: not every recording ended as it should; see `callwise status --home`")


def _end(interrupted: threading.Event, supervisor: Supervisor, *_: object) -> None:
    interrupted.set()
    supervisor.end_soon()


def _make_fresh(place: Path, supervisor: Supervisor) -> None:
    """Take the folder over; what an earlier demo left in it goes. Raises SettingsError for a folder of other things."""
    marker = place / MARKER
    if place.exists() and any(place.iterdir()) and not marker.exists():
        raise SettingsError(f"--home: {place} holds something that is no demo; choose an empty folder")
    supervisor.claim_home()
    for path in place.iterdir():
        if path.name == "up.lock":
            continue
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    marker.touch()


def _wire(place: Path, speech: str, model: str) -> Wiring:
    """The demo's composition; this process's environment becomes the one that the child processes get."""
    for name in list(os.environ):
        if name.startswith("CALLWISE_") and not name.startswith(KEPT_SETTINGS):
            del os.environ[name]
    os.environ["CALLWISE_HOME"] = str(place)
    os.environ["CALLWISE_SITE__NAME"] = SITE_NAME
    if speech != "auto":
        os.environ["CALLWISE_SPEECH__ENGINE"] = ALIASES.get(speech, speech)
        if speech in ALIASES:
            os.environ["CALLWISE_SPEECH__DOWNLOAD"] = "true"
    if model:
        os.environ["CALLWISE_SPEECH__MODEL"] = model
    os.chdir(place)  # a .env or callwise.toml that happens to lie where the command was typed is not the demo's
    return Wiring(read_settings())


def _wait_for_pages(address: str, supervisor: Supervisor, interrupted: threading.Event) -> None:
    while not interrupted.wait(0.05):
        try:
            with urlopen(f"{address}healthz", timeout=2):  # noqa: S310 - our own http address
                return
        except (URLError, OSError):
            for line in supervisor.restart_dead():
                say(line)


def _fill_trends(wired: Wiring, recordings: list[SampleRecording]) -> None:
    """The generated history up to the day of the newest recording, so that the trends look like a real centre's."""
    newest = max(recording.started_at for recording in recordings if recording.started_at)
    load_history(wired.database, wired.taxonomy_from_file(), newest.date())


def _push(wired: Wiring, recordings: list[SampleRecording]) -> None:
    """Put the recordings where telephony would; one of them comes twice."""
    for recording in recordings:
        if recording.sidecar is not None:
            sidecar = json.dumps(dict(recording.sidecar)).encode()
            wired.objects.put(f"{recording.key.rpartition('.')[0]}.json", sidecar)
        for _ in range(recording.upload_count):
            wired.objects.put(recording.key, recording.path, metadata=recording.metadata)


def _watch(
    wired: Wiring,
    recordings: list[SampleRecording],
    supervisor: Supervisor,
    interrupted: threading.Event,
    *,
    quiet: bool,
) -> None:
    """Show how far the recordings are until each has ended; processes that die meanwhile are restarted.

    What holds the work up is said once: a model that cannot be had would else look like a slow one.
    """
    told: set[str] = set()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as progress:
        bars = {name: progress.add_task(name, total=len(recordings)) for name in ("heard", "understood", "finished")}
        while not interrupted.wait(0.25):
            for line in supervisor.restart_dead():
                say(line)
            with wired.database.read() as connection:
                found = status(connection, datetime.now(UTC))
            for code in found["waiting"].keys() - told:
                say(f"{found['waiting'][code]} calls wait: {code} (see {supervisor.log_path('worker')})")
                told.add(code)
            ended = found["done"] + sum(found["skipped"].values()) + sum(found["failed"].values())
            progress.update(bars["finished"], completed=ended)
            progress.update(bars["understood"], completed=ended + found["understood"])
            progress.update(bars["heard"], completed=ended + found["understood"] + found["transcribed"])
            if ended >= len(recordings):
                return


def _finish(wired: Wiring, started: float) -> dict[str, Any]:
    zone = wired.settings.site.named_zone
    target = target_at(wired.settings, wired.settings.exports_place)
    files = export(wired.database, COMMON_KINDS, target, zone=zone, title=wired.settings.site.name)
    with wired.database.read() as connection:
        found = status(connection, datetime.now(UTC))
    skipped, failed = sum(found["skipped"].values()), sum(found["failed"].values())
    return {
        "recordings": found["done"] + skipped + failed,
        "done": found["done"],
        "skipped": skipped,
        "failed": failed,
        "seconds": round(time.monotonic() - started, 1),
        "home": str(wired.settings.home_path),
        "exports": [*(file.place for file in files), f"{target.place}/{MANIFEST}"],
    }


def _as_expected(outcome: dict[str, Any], recordings: list[SampleRecording]) -> bool:
    return all(outcome[stage] == sum(r.stage == stage for r in recordings) for stage in ("done", "skipped", "failed"))
