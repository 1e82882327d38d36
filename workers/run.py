"""The worker and beat processes, and the way to do all the work in this one process."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import structlog
from celery.signals import worker_ready, worker_shutting_down

from calls.errors import CallwiseError
from calls.pipeline import QUEUES, Step
from crm import waiting
from crm.database import Database
from crm.status import beat as note_beat
from runtime.settings import Settings
from workers.app import CLOCK_QUEUE, app, serve, wiring
from workers.parts import Parts
from workers.steps import clear_leftovers, run_step
from workers.sweep import EmbeddedSweep

log = structlog.get_logger()

BEAT_S = 5.0


class SignsOfLife:
    """Writes every few seconds that a process is alive, for the operations page and `doctor`."""

    def __init__(self, database: Database, kind: str) -> None:
        self._database = database
        self._kind = kind
        self._name = f"{kind}@{socket.gethostname()}:{os.getpid()}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="signs-of-life", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Write a last time, as stopped; a process that was stopped before it could begin has nothing to write."""
        if self._thread.ident is None:
            return
        self._ended.set()
        self._thread.join(timeout=2)
        self._note("stopped")

    def _run(self) -> None:
        self._note("running")
        while not self._ended.wait(BEAT_S):
            self._note("running")

    def _note(self, state: str) -> None:
        try:
            with self._database.write() as connection:
                note_beat(connection, self._name, self._kind, now=datetime.now(UTC), state=state)
        except CallwiseError as error:
            log.warning("beat_not_written", code=error.code)


def run_worker(
    settings: Settings,
    *,
    queues: Sequence[str] = QUEUES,
    pool: Literal["prefork", "threads", "solo"] = "prefork",
    concurrency: int = 0,
) -> None:
    """Serve `queues` until SIGTERM or SIGINT; work in progress is finished first.

    In the embedded set-up a thread of this process finds the work in the database, rings for it, and keeps the
    roll-ups.
    """
    serve(queues)
    clear_leftovers(settings.home_path / "scratch")
    life = SignsOfLife(wiring().database, "worker")
    sweeper = EmbeddedSweep(wiring(), app) if settings.is_embedded else None

    @worker_ready.connect(weak=False)
    def _ready(**_: object) -> None:
        life.start()
        if sweeper:
            sweeper.start()
        log.info("worker_ready", queues=",".join(queues), pool=pool)

    @worker_shutting_down.connect(weak=False)
    def _draining(**_: object) -> None:
        if sweeper:
            sweeper.stop()

    name = f"{'-'.join(queues)}-{os.getpid()}@{socket.gethostname()}"
    keeps_time = "language" in queues and not settings.is_embedded
    worker = app.Worker(
        hostname=name,
        queues=[*queues, CLOCK_QUEUE] if keeps_time else list(queues),
        pool=pool,
        concurrency=concurrency or settings.work.concurrency or os.cpu_count() or 1,
        loglevel="WARNING",
        prefetch_multiplier=_prefetch(settings, queues),
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    life.stop()


def _prefetch(settings: Settings, queues: Sequence[str]) -> int:
    """Messages that one worker holds ready per piece of work."""
    if settings.is_embedded:
        # They come from this very process and nobody else waits for them, but each fetch costs a polling interval.
        return 32
    # A long recording must not keep the messages of others waiting behind it.
    return 1 if "speech" in queues else 4


def run_beat() -> None:
    """The production set-up's clock: it rings for the sweep and the roll-ups."""
    # The schedule's own notes lie there.
    wiring().settings.home_path.mkdir(parents=True, exist_ok=True)
    life = SignsOfLife(wiring().database, "beat")
    life.start()
    try:
        app.Beat(loglevel="WARNING", quiet=True).run()
    finally:
        life.stop()


@dataclass(frozen=True)
class Idle:
    """How `work_until_idle` ended: everything done, or what is left and why."""

    unfinished_count: int
    timed_out: bool


def work_until_idle(
    work: Parts,
    *,
    catch_up: Callable[[], int],
    roll: Callable[[], int],
    timeout_s: float | None,
    tend_batches: Callable[[], int] = lambda: 0,
    poll_s: float = 60.0,
) -> Idle:
    """Take in what has arrived and do every step of every call in this process, until nothing is left to do.

    `catch_up` takes in new recordings and returns how many. Work that waits for a setting to be mended is left waiting.
    What waits for a batch is waited for: `tend_batches` looks after them, every `poll_s`, and returns how many go on.
    """
    started = time.monotonic()
    while True:
        arrived = catch_up()
        worked = _work_due(work)
        with work.database.read() as connection:
            left = waiting.unfinished_count(connection)
            stands = waiting.waiting_count(connection)
        wait_s = 0.0 if worked else 0.1  # a back-off is running
        if not arrived and not worked and left == stands:
            if tend_batches():
                wait_s = poll_s
            elif not _due(work, limit=1):
                roll()
                return Idle(left, timed_out=False)
        over_s = time.monotonic() - started
        if timeout_s is not None and over_s > timeout_s:
            roll()
            return Idle(left, timed_out=True)
        time.sleep(wait_s if timeout_s is None else min(wait_s, timeout_s - over_s))


def _due(work: Parts, limit: int) -> list[tuple[UUID, Step]]:
    with work.database.read() as connection:
        return waiting.due(connection, now=datetime.now(UTC), limit=limit, queues=QUEUES)


def _work_due(work: Parts) -> int:
    due = _due(work, limit=100)
    for call_id, step in due:
        run_step(work, step, call_id)
    return len(due)
