"""Work that nobody would do any more is given to the workers again: failed calls, and calls whose job is gone."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from calls.pipeline import READ, TERMINAL_STAGES, Lane, Stage, lane_of, next_step, step_named
from crm.database import insert
from crm.jobs import first_job, touch_call
from crm.tables import call, job, recording


def retry(
    connection: sa.Connection, *, now: datetime, call_ids: Sequence[UUID] | None = None, code: str | None = None
) -> int:
    """Give failed calls another go at the step where they failed; returns how many. Running it again finds nothing.

    `call_ids` None means every failed call; `code` restricts it to one failure code.
    """
    failed = sa.select(call.c.id, call.c.failed_step, call.c.received_at).where(call.c.stage == Stage.FAILED)
    if call_ids is not None:
        failed = failed.where(call.c.id.in_(call_ids))
    if code is not None:
        failed = failed.where(call.c.failed_code == code)
    rows = connection.execute(failed.with_for_update()).all()
    for row in rows:
        step = step_named(row.failed_step)
        connection.execute(
            insert(connection, job)
            .values(first_job(row.id, now, step=step, lane=lane_of(row.received_at, now)))
            .on_conflict_do_nothing(index_elements=["call_id"])
        )
        connection.execute(
            sa.update(call)
            .where(call.c.id == row.id)
            .values(
                stage=step.needs,
                failed_step=None,
                failed_code=None,
                failed_detail=None,
                finished_at=None,
                modified_at=now,
            )
        )
        touch_call(connection, row.id)
    return len(rows)


def stranded(connection: sa.Connection, limit: int = 1000) -> list[tuple[UUID, Stage]]:
    """Unfinished calls that nobody will work on, since their job is gone: no code path leaves any, a restore may."""
    rows = connection.execute(
        sa.select(call.c.id, call.c.stage)
        .outerjoin_from(call, job, job.c.call_id == call.c.id)
        .where(call.c.stage.in_([stage for stage in Stage if stage not in TERMINAL_STAGES]), job.c.call_id.is_(None))
        .limit(limit)
    )
    return [(row.id, Stage(row.stage)) for row in rows]


def requeue(connection: sa.Connection, calls: Iterable[tuple[UUID, Stage]], *, now: datetime) -> int:
    """Give stranded calls a job again, for the step that their stage waits for; returns how many got one."""
    texts = sa.select(recording.c.call_id).where(recording.c.is_current, recording.c.is_text)
    queued = 0
    for call_id, stage in calls:
        step = next_step(stage)
        if stage is Stage.RECEIVED and connection.execute(texts.where(recording.c.call_id == call_id)).first():
            step = READ
        if step is not None:
            row = insert(connection, job).values(first_job(call_id, now, step=step, lane=Lane.BACKFILL))
            queued += connection.execute(row.on_conflict_do_nothing(index_elements=["call_id"])).rowcount
    return queued
