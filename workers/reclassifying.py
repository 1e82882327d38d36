"""Classifying the past anew in this process, for whoever waits at a terminal for its end."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import UUID

from calls.pipeline import RECLASSIFY, Step
from crm import waiting
from workers.parts import Parts
from workers.run import Idle
from workers.steps import run_step

# Questions to a model that are under way at once: they cost waiting, not work.
SIDE_BY_SIDE = 8
# How often is looked whether others have done it.
LOOK_S = 1.0


def work_off(
    work: Parts,
    *,
    does_it: bool,
    tend_batches: Callable[[], int] = lambda: 0,
    poll_s: float = 60.0,
    timeout_s: float | None = None,
) -> Idle:
    """Stay until no call waits to be asked about anew; where `does_it`, work on them here, as any worker would.

    What waits for a setting to be mended or for money is left waiting; what waits for a batch is waited for:
    `tend_batches` looks after them, every `poll_s`, and returns how many go on.
    """
    started = time.monotonic()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        while True:
            due = _due(work) if does_it else []
            for _ in pool.map(lambda one: run_step(work, one[1], one[0]), due):
                pass
            with work.database.read() as connection:
                left = waiting.unfinished_count(connection, RECLASSIFY)
                stands = waiting.waiting_count(connection, RECLASSIFY)
            wait_s = 0.0 if due else LOOK_S
            if not due and left == stands:
                if not left or not tend_batches():
                    return Idle(left, timed_out=False)
                wait_s = poll_s
            over_s = time.monotonic() - started
            if timeout_s is not None and over_s > timeout_s:
                return Idle(left, timed_out=True)
            time.sleep(wait_s if timeout_s is None else min(wait_s, max(0.0, timeout_s - over_s)))


def _due(work: Parts) -> list[tuple[UUID, Step]]:
    """What its queue has to do; a call that just ended comes first here, too."""
    with work.database.read() as connection:
        return waiting.due(connection, now=datetime.now(UTC), limit=100, queues=[RECLASSIFY.queue])
