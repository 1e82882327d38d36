"""Work: who may do which step of which call, how often it was tried, and when somebody has to be told again.

One row per call that is on its way; a call at a terminal stage has none. A claim moves `due_at` to the end of its
lease, so that a dead worker's call becomes due by itself; the growing token keeps a worker that was thought dead from
writing.
"""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.errors import CallwiseError, Paced
from calls.pipeline import (
    PIPELINE,
    READ,
    TERMINAL_STAGES,
    TRANSCRIBE,
    Lane,
    Stage,
    Step,
    lane_of,
    next_step,
    step_named,
)
from crm.database import insert
from crm.tables import call, job, recording, touched_day

# Statements that run for every step are built once: building one takes longer than running it.
_OF_CALL: sa.BindParameter[UUID] = sa.bindparam("of_call")
_HELD = (
    job.c.call_id == _OF_CALL,
    job.c.token == sa.bindparam("of_token"),
    job.c.step == sa.bindparam("of_step"),
)
_OTHER = job.alias("other")
# A bell says that there is work, not which work comes first: old work gives way to live work of the same queue.
_GIVES_WAY = (
    sa.select(_OTHER.c.call_id)
    .where(
        _OTHER.c.step.in_(sa.bindparam("queue_steps", expanding=True)),
        _OTHER.c.lane == Lane.LIVE,
        _OTHER.c.due_at <= sa.bindparam("now_at"),
    )
    .exists()
)
_TAKE = (
    sa.update(job)
    .where(
        job.c.call_id == _OF_CALL,
        job.c.step == sa.bindparam("of_step"),
        job.c.due_at <= sa.bindparam("now_at"),
        sa.or_(job.c.lane == Lane.LIVE, ~_GIVES_WAY),
    )
    .values(attempt_count=job.c.attempt_count + 1, token=job.c.token + 1)
    .returning(job.c.token, job.c.attempt_count)
)
_CHANGE = sa.update(job).where(*_HELD)
_END = sa.delete(job).where(*_HELD)
_MOVE = (
    sa.update(call)
    .where(call.c.id == _OF_CALL, call.c.stage == sa.bindparam("from_stage"))
    .returning(call.c.happened_at)
)
_MARK = sa.insert(touched_day)
_LOST = "another worker holds this call by now"

# A message that has brought nothing for this long is taken for lost.
RING_AGAIN_AFTER = timedelta(seconds=60)
# So is one whose queue is empty: its sender died between commit and send, or the broker forgot it.
RING_AGAIN_WHEN_EMPTY = timedelta(seconds=8)


@dataclass(frozen=True)
class Claim:
    """The right to do `step` of a call until the lease ends; `attempt` counts from 1."""

    call_id: UUID
    step: Step
    token: int
    attempt: int


class ClaimLost(CallwiseError):
    """Somebody else holds the call by now: this worker's result is dropped."""

    code = "claim_lost"


def first_job(
    call_id: UUID,
    now: datetime,
    rung_at: datetime | None = None,
    *,
    step: Step = TRANSCRIBE,
    lane: Lane = Lane.LIVE,
) -> dict[str, object]:
    """The row of a call that waits for `step`; `rung_at` is set where a bell follows the commit, which old work has
    not: the sweep lets it in drop by drop.
    """
    return {
        "call_id": call_id,
        "step": step.name,
        "lane": lane,
        "due_at": now,
        "rung_at": rung_at if lane is Lane.LIVE else None,
        "attempt_count": 0,
        # From the clock, so that a call that starts anew never meets a token of its earlier life.
        "token": int(now.timestamp() * 1000),
        "last_code": None,
        "last_detail": None,
    }


def start_anew(connection: sa.Connection, row: dict[str, object]) -> None:
    """Let this row of `first_job` be the call's work, in place of what was to be done with it, or is being done."""
    again = {name: value for name, value in row.items() if name not in {"call_id", "token"}}
    connection.execute(
        insert(connection, job)
        .values(row)
        # The growing token drops the result of a worker that is still at the old work.
        .on_conflict_do_update(index_elements=["call_id"], set_={**again, "token": job.c.token + 1})
    )


def claim(connection: sa.Connection, call_id: UUID, step: Step, *, now: datetime, lease_s: float) -> Claim | None:
    """Take the step, and count the attempt; None when it is not due, done already, or held by somebody else.

    The claim may be on another call: where this one is old work and live work of the same queue is due, that comes
    first, and this one waits for the sweep to ring again.
    """
    given = {"of_step": step.name, "now_at": now, "due_at": now + timedelta(seconds=lease_s)}
    given["queue_steps"] = [other.name for other in PIPELINE if other.queue == step.queue]
    taken = connection.execute(_TAKE, given | {"of_call": call_id}).one_or_none()
    if taken:
        return Claim(call_id, step, taken.token, taken.attempt_count)
    gives_way = connection.execute(
        sa.update(job)
        .where(job.c.call_id == call_id, job.c.step == step.name, job.c.lane != Lane.LIVE, job.c.due_at <= now)
        .values(rung_at=None)
    )
    if not gives_way.rowcount:
        return None
    for urgent_id, urgent_step in _due(connection, [step.queue], Lane.LIVE, now=now, limit=1):
        taken = connection.execute(_TAKE, given | {"of_call": urgent_id, "of_step": urgent_step.name}).one_or_none()
        if taken:
            return Claim(urgent_id, urgent_step, taken.token, taken.attempt_count)
    return None


def renew(connection: sa.Connection, claims: Iterable[Claim], *, now: datetime, lease_s: float) -> None:
    """A sign of life: the leases of these claims run from now. A claim that was lost stays lost."""
    for held in claims:
        connection.execute(_CHANGE, _held(held) | {"due_at": now + timedelta(seconds=lease_s)})


def advance(
    connection: sa.Connection,
    held: Claim,
    *,
    now: datetime,
    lease_s: float,
    rung_at: datetime | None,
    does: Container[str] = (),
) -> Claim | Step | None:
    """The step is done: move the call to the stage it gives.

    Returns what follows: a claim on the next step where its queue is among those that this worker `does`, so that it
    goes on without a message; the next step where others do it; None at the end. Compare-and-set on the token and the
    stage. Raises ClaimLost, and nothing of the transaction may then be kept.
    """
    following = next_step(held.step.gives)
    if following is None:
        _finish(connection, held, Stage(held.step.gives), now)
        return None
    goes_on = following.queue in does
    change = {
        "step": following.name,
        "due_at": now + timedelta(seconds=lease_s if goes_on else 0),
        "rung_at": rung_at,
        "attempt_count": 1 if goes_on else 0,
        "token": held.token + 1 if goes_on else held.token,
        "last_code": None,
        "last_detail": None,
    }
    moved = connection.execute(_CHANGE, _held(held) | change)
    _require_one(moved.rowcount)
    _move(connection, held, stage=held.step.gives, modified_at=now)
    return Claim(held.call_id, following, held.token + 1, 1) if goes_on else following


def hand_over(connection: sa.Connection, held: Claim, step: Step, *, now: datetime, rung_at: datetime | None) -> Step:
    """Leave the call to another step that begins at the same stage, and return that. Raises ClaimLost."""
    change = {"step": step.name, "due_at": now, "rung_at": rung_at, "attempt_count": 0}
    left = connection.execute(_CHANGE, _held(held) | change | {"last_code": None, "last_detail": None})
    _require_one(left.rowcount)
    return step


def skip(connection: sa.Connection, held: Claim, reason: str, *, now: datetime) -> None:
    """End the call as skipped, for a stated reason; one that is done stays so. Raises ClaimLost."""
    _finish(connection, held, Stage.SKIPPED, now, skip_reason=reason)


def fail(connection: sa.Connection, held: Claim, code: str, detail: str, *, now: datetime) -> None:
    """Park the call as failed at this step, for a person to see and retry; a done one stays so. Raises ClaimLost."""
    _finish(
        connection, held, Stage.FAILED, now, failed_step=held.step.name, failed_code=code, failed_detail=detail[:500]
    )


def put_back(
    connection: sa.Connection,
    held: Claim,
    code: str,
    detail: str,
    *,
    due_at: datetime,
    counts: bool = True,
    was_tried: bool = True,
) -> None:
    """Leave the step for a later attempt; with `counts=False` no attempt so far is held against the call, with
    `was_tried=False` this one is none.
    """
    change = {
        "due_at": due_at,
        "attempt_count": (held.attempt if was_tried else held.attempt - 1) if counts else 0,
        "last_code": code,
        "last_detail": detail[:500],
    }
    back = connection.execute(_CHANGE, _held(held) | change)
    _require_one(back.rowcount)


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
    found = _due(connection, queues, Lane.LIVE, now=now, limit=limit, told_before=told_before)
    room = limit - len(found) if backfill_limit is None else min(limit - len(found), backfill_limit)
    if room <= 0:
        return found
    return found + _due(connection, queues, Lane.BACKFILL, now=now, limit=room, told_before=told_before)


def drip(per_minute: float, now: datetime, over_s: float) -> int | None:
    """How many pieces of old work the sweep of `now` lets in, when sweeps are `over_s` apart; None is no limit.

    By the clock alone: each minute has `per_minute` slots, and a sweep lets in those since the one before it.
    """
    if per_minute <= 0:
        return None
    slot = now.timestamp() * per_minute / 60
    return int(slot) - int(slot - over_s * per_minute / 60)


def _due(
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


def retry(
    connection: sa.Connection, *, now: datetime, call_ids: Sequence[UUID] | None = None, code: str | None = None
) -> int:
    """Give failed calls another go at the step where they failed; returns how many. Running it again finds nothing.

    `call_ids` None means every failed call; `code` restricts it to one failure code.
    """
    failed = sa.select(call.c.id, call.c.failed_step, call.c.happened_at, call.c.received_at).where(
        call.c.stage == Stage.FAILED
    )
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
        touch(connection, row.happened_at)
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


def touch(connection: sa.Connection, happened_at: datetime) -> None:
    """Mark the day of a call whose row changed, for the roll-ups: one mark for each change."""
    connection.execute(_MARK, {"id": uuid4(), "utc_day": happened_at.astimezone(UTC).date()})


def _held(held: Claim) -> dict[str, object]:
    return {"of_call": held.call_id, "of_token": held.token, "of_step": held.step.name}


def _finish(connection: sa.Connection, held: Claim, stage: Stage, now: datetime, **facts: str) -> None:
    _require_one(connection.execute(_END, _held(held)).rowcount)
    if held.step.needs not in TERMINAL_STAGES:
        touch(connection, _move(connection, held, stage=stage, finished_at=now, modified_at=now, **facts))
    elif stage == held.step.gives:
        # It had ended before, and ended then; where it failed to be done anew, it is as it was.
        touch(connection, _move(connection, held, modified_at=now))


def _move(connection: sa.Connection, held: Claim, **change: object) -> datetime:
    given = {"of_call": held.call_id, "from_stage": held.step.needs} | change
    moved = connection.execute(_MOVE, given).one_or_none()
    if moved is None:
        raise ClaimLost(_LOST)
    return cast("datetime", moved.happened_at)


def _require_one(count: int) -> None:
    if count != 1:
        raise ClaimLost(_LOST)
