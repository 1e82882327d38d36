"""The sweep: what stands still is rung for again, so that a lost message costs time and never a call."""

import os
import signal
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from billiard.process import active_children
from celery import Celery
from celery.worker import state

from analytics.rollup import refresh
from calls.errors import CallwiseError
from calls.pipeline import QUEUES, Lane, Step
from crm import batches, waiting
from crm.database import Database
from crm.forks import UNFORKED
from runtime.settings import Settings
from runtime.wiring import Wiring
from workers.strokes import due, strokes

log = structlog.get_logger()

# Messages that a queue may hold before the sweep leaves it alone: enough to keep any number of workers busy between
# sweeps.
QUEUE_LIMIT = 1000
EMBEDDED_SWEEP_S = 0.25
EMBEDDED_ROLL_UP_S = 2.0
# A pool that takes no work for so long, while work waits and none is done, has lost its lock with one of its processes.
STUCK_S = 10.0


def sweep(database: Database, app: Celery, queues: Sequence[str] = QUEUES, *, backfill_limit: int | None = None) -> int:
    """Send a message for each call that stands still, as far as the queues have room; returns how many.

    Live calls first, oldest first; of old work at most `backfill_limit` pieces for each queue.
    Marked first, sent after the commit: a sweep that dies in between is repeated by waiting.RING_AGAIN_AFTER.
    """
    with app.producer_pool.acquire(block=True) as producer:
        room = _room(producer, queues)
    now = datetime.now(UTC)
    rung: list[tuple[UUID, Step]] = []
    with database.read() as connection:
        # Each queue by itself: a pile of old work for one must not hide what stands still in another.
        for queue in queues:
            if room[queue] > 0:
                is_empty = room[queue] == QUEUE_LIMIT
                rung += waiting.due(
                    connection,
                    now=now,
                    limit=room[queue],
                    queues=[queue],
                    backfill_limit=backfill_limit,
                    again_after=waiting.RING_AGAIN_WHEN_EMPTY if is_empty else waiting.RING_AGAIN_AFTER,
                )
    if not rung:
        return 0
    with database.write() as connection:
        waiting.mark_rung(connection, [call_id for call_id, _ in rung], now=now)
    with app.producer_pool.acquire(block=True) as producer:
        for call_id, step in rung:
            app.send_task(step.name, args=(str(call_id),), queue=step.queue, ignore_result=True, producer=producer)
    return len(rung)


def wake_parked(wired: Wiring) -> None:
    """Let calls go on that wait for a budget, where there is room again."""
    if woken := wired.budgets.wake():
        log.info("budget_has_room", calls=woken)


def tend_batches(wired: Wiring, *, gather_s: float | None = None) -> int:
    """Look after the batches of questions to a language model; returns how many batches and calls go on.

    `gather_s` is how long a question waits for others to go with it; None: as the settings say.
    """
    with wired.database.read() as connection:
        if not batches.is_in_use(connection):
            return 0
    from workers.batches import BatchWork, tend

    def room_microusd() -> int | None:
        return wired.budgets.room_microusd("language", Lane.BACKFILL)

    under_way, woken = tend(
        BatchWork(
            wired.database,
            wired.batches.apis,
            is_on=wired.batches.is_on,
            gather_s=wired.settings.language.batch_gather_s if gather_s is None else gather_s,
            room_microusd=room_microusd,
        )
    )
    return under_way + woken


def hand_over(wired: Wiring) -> int:
    """Hand over to CRMs what changed; returns how many calls were sent."""
    if not wired.settings.handover.is_configured:
        return 0
    from workers.handover import HandoverWork, tend

    return tend(HandoverWork(wired.database, wired.handovers))


def drip_now(settings: Settings, over_s: float) -> int | None:
    """How many pieces of old work a sweep lets in now, when sweeps are `over_s` apart; None where nothing limits it."""
    return waiting.drip(settings.work.backfill_per_minute, datetime.now(UTC), over_s)


def roll_up(wired: Wiring) -> int:
    """Let the star schema follow what has changed; returns how many marks were followed."""
    site = wired.settings.site
    return refresh(wired.database, site.named_zone, fiscal_starts_in=site.fiscal_year_starts_in)


def tend_privacy(wired: Wiring) -> None:
    """Finish what erasures left to delete, and let go of what has been kept long enough."""
    from runtime.erasing import Eraser

    Eraser(wired).tend(now=datetime.now(UTC))


def look_through(wired: Wiring) -> int:
    """Look through old conversations for what must not leave; returns how many were."""
    from runtime.looking import look_through as look

    return look(wired)


def make_vectors(wired: Wiring) -> int:
    """Give calls the vectors by which similar ones are found; returns how many."""
    if not wired.settings.similar.is_on:
        return 0
    from runtime.similar import Similar

    return Similar(wired).tend()


def raise_alerts(wired: Wiring) -> int:
    """Tell of the reasons that have risen; returns how many alerts were taken."""
    from runtime.alerts import Alerts

    return Alerts(wired.database, wired.settings).tend()


class StuckPool:
    """Notices a pool that takes no work any more.

    The embedded set-up's pool hands work out through one pipe, and a child that waits for it holds the pipe's lock:
    when such a child is killed, its lock stays taken, and every other child waits for ever without a word.
    """

    def __init__(self, database: Database, after_s: float = STUCK_S) -> None:
        self._database = database
        self._after_s = after_s
        self._messages: frozenset[str] = frozenset()
        self._since = monotonic()

    def is_stuck(self) -> bool:
        """Whether the same messages have waited for `after_s` while nobody worked on anything."""
        # What a child works on counts as reserved, too: an export may take an hour, and holds no call.
        waits = not state.active_requests
        messages = frozenset(str(request.id) for request in list(state.reserved_requests)) if waits else frozenset()
        if messages != self._messages or not messages:
            self._messages, self._since = messages, monotonic()
        if not messages or monotonic() - self._since < self._after_s:
            return False
        with self._database.read() as connection:
            return not waiting.is_any_held(connection, now=datetime.now(UTC))


class EmbeddedSweep:
    """The embedded set-up's bell and clock: a thread in the worker, since no message from another process can reach
    it.
    """

    def __init__(self, wired: Wiring, app: Celery) -> None:
        self._wired = wired
        self._app = app
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Begin sweeping."""
        self._thread.start()

    def stop(self) -> None:
        """End after the current sweep."""
        self._ended.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        sweeps_per_roll_up = int(EMBEDDED_ROLL_UP_S / EMBEDDED_SWEEP_S)
        sweeps_per_poll = max(1, int(self._wired.settings.language.batch_poll_s / EMBEDDED_SWEEP_S))
        rounds = strokes(self._wired.settings).values()
        count = 0
        pool = StuckPool(self._wired.database)
        while not self._ended.wait(EMBEDDED_SWEEP_S):
            count += 1
            try:
                # A process of the pool that is forked meanwhile would find whatever is locked here locked for ever.
                with UNFORKED:
                    sweep(
                        self._wired.database, self._app, backfill_limit=drip_now(self._wired.settings, EMBEDDED_SWEEP_S)
                    )
                    if count % sweeps_per_poll == 0:
                        # A server that takes its time must not hold up the sweep.
                        self._app.send_task("work.batches", queue="language", ignore_result=True)
                    for one in due(rounds, count, EMBEDDED_SWEEP_S):
                        self._app.send_task(one.task, queue="language", ignore_result=True)
                    if count % sweeps_per_roll_up == 0:
                        roll_up(self._wired)
                        wake_parked(self._wired)
                        if pool.is_stuck():
                            log.error("pool_stuck")
                            _die()
            except CallwiseError as error:
                log.warning("sweep_postponed", code=error.code)
            except Exception:
                log.exception("sweep_broke")


def _die() -> None:
    """End this worker at once: nothing else mends its pool, and nothing is lost. Its supervisor starts another."""
    for child in active_children():
        os.kill(child.pid, signal.SIGKILL)
    os._exit(1)


def _room(producer: Any, queues: Sequence[str]) -> dict[str, int]:
    """How many messages each queue may still take; a connection that was lost since the last sweep is made anew.

    By a connection that is kept: to make one for each sweep takes a client of SQS a second.
    """

    def ask() -> dict[str, int]:
        return {queue: QUEUE_LIMIT - _depth(producer.channel, queue) for queue in queues}

    room: dict[str, int] = producer.connection.ensure(producer, ask, max_retries=1)()
    return room


def _depth(channel: Any, queue: str) -> int:
    return int(channel.queue_declare(queue=queue, durable=True, auto_delete=False).message_count)
