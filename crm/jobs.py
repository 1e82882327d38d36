"""Work: who may do which step of which call, and how often it was tried.

One row per call that is on its way; a call at a terminal stage has none. A claim moves `due_at` to the end of its
lease, so that a dead worker's call becomes due by itself; the growing token keeps a worker that was thought dead from
writing. Whoever changes a call and its job locks the call first.
"""

from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.errors import CallwiseError
from calls.pipeline import PIPELINE, TERMINAL_STAGES, TRANSCRIBE, Lane, Stage, Step, next_step
from crm.database import insert
from crm.tables import call, job, touched_day
from crm.touched_tables import touched_call
from crm.waiting import due_of_lane

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
_HOLD = (
    sa.select(job.c.token)
    .join_from(call, job, job.c.call_id == call.c.id)
    .where(*_HELD, call.c.stage == sa.bindparam("from_stage"))
    .with_for_update()
)
_MARK = sa.insert(touched_call)
_MARK_DAY = sa.insert(touched_day)
_LOST = "another worker holds this call by now"


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
    return {"call_id": call_id} | first_state(now, rung_at, step=step, lane=lane)


def first_state(now: datetime, rung_at: datetime | None, *, step: Step, lane: Lane) -> dict[str, object]:
    """The same for any call: all but its id."""
    return {
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
    for urgent_id, urgent_step in due_of_lane(connection, [step.queue], Lane.LIVE, now=now, limit=1):
        taken = connection.execute(_TAKE, given | {"of_call": urgent_id, "of_step": urgent_step.name}).one_or_none()
        if taken:
            return Claim(urgent_id, urgent_step, taken.token, taken.attempt_count)
    return None


def renew(connection: sa.Connection, claims: Iterable[Claim], *, now: datetime, lease_s: float) -> None:
    """A sign of life: the leases of these claims run from now. A claim that was lost stays lost."""
    for held in claims:
        connection.execute(_CHANGE, _held(held) | {"due_at": now + timedelta(seconds=lease_s)})


def hold(connection: sa.Connection, held: Claim) -> None:
    """Keep the call and its job as they are until the transaction ends; what was found out may then be written.

    Raises ClaimLost.
    """
    _require(connection.execute(_HOLD, _held(held) | {"from_stage": held.step.needs}).first() is not None)


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
    _move(connection, held, stage=held.step.gives, modified_at=now)
    _change(connection, held, change)
    return Claim(held.call_id, following, held.token + 1, 1) if goes_on else following


def hand_over(connection: sa.Connection, held: Claim, step: Step, *, now: datetime, rung_at: datetime | None) -> Step:
    """Leave the call to another step that begins at the same stage, and return that. Raises ClaimLost."""
    change = {"step": step.name, "due_at": now, "rung_at": rung_at, "attempt_count": 0}
    _change(connection, held, change | {"last_code": None, "last_detail": None})
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
    _change(connection, held, change)


def touch_call(connection: sa.Connection, call_id: UUID) -> None:
    """Mark a call of which anything changed, for the roll-ups: one mark for each change, also for one that is gone."""
    connection.execute(_MARK, {"id": uuid4(), "call_id": call_id})


def touch(connection: sa.Connection, happened_at: datetime) -> None:
    """Mark all the calls of a day, for the roll-ups; where the call is known, `touch_call` costs them less."""
    connection.execute(_MARK_DAY, {"id": uuid4(), "utc_day": happened_at.astimezone(UTC).date()})


def _held(held: Claim) -> dict[str, object]:
    return {"of_call": held.call_id, "of_token": held.token, "of_step": held.step.name}


def _change(connection: sa.Connection, held: Claim, change: dict[str, object]) -> None:
    _require(connection.execute(_CHANGE, _held(held) | change).rowcount == 1)


def _finish(connection: sa.Connection, held: Claim, stage: Stage, now: datetime, **facts: str) -> None:
    if held.step.needs not in TERMINAL_STAGES:
        _move(connection, held, stage=stage, finished_at=now, modified_at=now, **facts)
        touch_call(connection, held.call_id)
    elif stage == held.step.gives:
        # It had ended before, and ended then; where it failed to be done anew, it is as it was.
        _move(connection, held, modified_at=now)
        touch_call(connection, held.call_id)
    _require(connection.execute(_END, _held(held)).rowcount == 1)


def _move(connection: sa.Connection, held: Claim, **change: object) -> None:
    given = {"of_call": held.call_id, "from_stage": held.step.needs} | change
    if connection.execute(_MOVE, given).one_or_none() is None:
        raise ClaimLost(_LOST)


def _require(is_held: bool) -> None:
    if not is_held:
        raise ClaimLost(_LOST)
