"""Work that waits: what is due, of which of it somebody has to be told, and how much there is."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.errors import Paced
from calls.pipeline import PIPELINE, Lane, Step, step_named
from crm.tables import job

# A message that has brought nothing for this long is taken for lost.
RING_AGAIN_AFTER = timedelta(seconds=60)
# So is one whose queue is empty: its sender died between commit and send, or the broker forgot it.
RING_AGAIN_WHEN_EMPTY = timedelta(seconds=8)


def due(
    connection: sa.Connection,
    *,
    now: datetime,
    limit: int,
    queues: Sequence[str],
    backfill_limit: int | None = None,
    again_after: timedelta = RING_AGAIN_AFTER,
) -> list[tuple[UUID, Step]]:
    """What stands still: work that is due and of which nobody was told since it became due, or for `again_after`.

    Live work comes first, then at most `backfill_limit` pieces of old work; each oldest first.
    """
    told_before = now - again_after
    found = due_of_lane(connection, queues, Lane.LIVE, now=now, limit=limit, told_before=told_before)
    room = limit - len(found) if backfill_limit is None else min(limit - len(found), backfill_limit)
    if room <= 0:
        return found
    return found + due_of_lane(connection, queues, Lane.BACKFILL, now=now, limit=room, told_before=told_before)


def drip(per_minute: float, now: datetime, over_s: float) -> int | None:
    """How many pieces of old work the sweep of `now` lets in, when sweeps are `over_s` apart; None is no limit.

    By the clock alone: each minute has `per_minute` slots, and a sweep lets in those since the one before it.
    """
    if per_minute <= 0:
        return None
    slot = now.timestamp() * per_minute / 60
    return int(slot) - int(slot - over_s * per_minute / 60)


def due_of_lane(
    connection: sa.Connection,
    queues: Sequence[str],
    lane: Lane,
    *,
    now: datetime,
    limit: int,
    told_before: datetime | None = None,
) -> list[tuple[UUID, Step]]:
    """Due work of the lane, oldest first; with `told_before` only that of which nobody was told since then."""
    rows: list[sa.Row[Any]] = []
    # Step by step, along the index: a pile of one kind of work must not be read to find another.
    for step in PIPELINE:
        if step.queue in queues:
            asked = sa.select(job.c.call_id, job.c.step, job.c.due_at).where(
                job.c.step == step.name, job.c.lane == lane, job.c.due_at <= now
            )
            if told_before is not None:
                told = sa.and_(job.c.rung_at >= job.c.due_at, job.c.rung_at >= told_before)
                asked = asked.where(sa.or_(job.c.rung_at.is_(None), ~told))
            rows += connection.execute(asked.order_by(job.c.due_at).limit(limit))
    rows.sort(key=lambda row: row.due_at)
    return [(row.call_id, step_named(row.step)) for row in rows[:limit]]


def mark_rung(connection: sa.Connection, call_ids: Sequence[UUID], *, now: datetime) -> None:
    """Note that messages about these calls are on their way."""
    for start in range(0, len(call_ids), 500):
        connection.execute(sa.update(job).where(job.c.call_id.in_(call_ids[start : start + 500])).values(rung_at=now))


def is_any_held(connection: sa.Connection, *, now: datetime) -> bool:
    """Whether somebody works on some call: a lease that has not ended. A back-off that still runs looks the same."""
    held = sa.select(job.c.call_id).where(job.c.due_at > now, job.c.attempt_count > 0).limit(1)
    return connection.execute(held).first() is not None


def unfinished_count(connection: sa.Connection, step: Step | None = None) -> int:
    """How many calls are on their way, or wait for that step."""
    return connection.execute(sa.select(sa.func.count()).select_from(job).where(*_waits_for(step))).scalar_one()


def waiting_count(connection: sa.Connection, step: Step | None = None) -> int:
    """How many of them wait for a person to mend the set-up: put back with a code, and no attempt counted.

    Those whose turn only comes later (`paced`) are not among them.
    """
    return connection.execute(
        sa.select(sa.func.count()).where(
            job.c.last_code.is_not(None), job.c.last_code != Paced.code, job.c.attempt_count == 0, *_waits_for(step)
        )
    ).scalar_one()


def _waits_for(step: Step | None) -> tuple[sa.ColumnElement[bool], ...]:
    return () if step is None else (job.c.step == step.name,)
