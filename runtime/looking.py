"""Looks through old conversations for what must not leave, so that no reader waits for it: beside the pipeline, a few
at a time, and only while no live call waits.
"""

from datetime import UTC, datetime
from time import monotonic

import structlog

from calls.pipeline import QUEUES, Lane
from calls.redaction import find_in_turns
from crm import unlooked, waiting
from crm.findings import Looked, keep_looked
from runtime.wiring import Wiring

log = structlog.get_logger()

# A kill loses what is between two transactions; others wait for one no longer than for so many rows.
AT_ONCE = 100
# The work of one stroke (workers.strokes: a quarter of a core while calls are left). A worker that is stopped, and
# whatever else waits for its process, wait no longer for it.
ROUND_S = 5.0


def look_through(wired: Wiring, *, within_s: float = ROUND_S, at_once: int = AT_ONCE) -> int:
    """Keep what is found in conversations of which nothing is kept, newest calls first; returns in how many.

    Ends after `within_s`, or once a live call waits; the next goes on there, also after a kill.
    """
    database, find = wired.database, wired.redaction
    until = monotonic() + within_s
    count = 0
    place = None
    while True:
        with database.read() as connection:
            if unlooked.is_looked_through(connection, find):
                return count
            portion = unlooked.next_portion(connection, find, limit=at_once, after=place)
            is_awaited = bool(waiting.due_of_lane(connection, QUEUES, Lane.LIVE, now=datetime.now(UTC), limit=1))
        looked = [
            Looked(one.call_id, one.transcript_id, find_in_turns(one.turns, find)) for one in portion.conversations
        ]
        place = portion.place
        # A stroke does something in any case: a centre in which somebody always waits is looked through, too.
        is_over = place is None or is_awaited or monotonic() >= until
        if looked or is_over:
            with database.write() as connection:
                count += keep_looked(connection, looked, find)
                unlooked.note_looked(connection, find, place)
        if is_over:
            if place is None:
                log.info("calls_looked_through", calls=count)
            return count
