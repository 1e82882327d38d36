"""What the operator has to see: failures, unreadable events, money."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from calls.pipeline import Lane, Stage
from crm.call_lines import CallLine, line_of, select_lines
from crm.tables import call, job, paid_request, unreadable_event


@dataclass(frozen=True)
class FailureGroup:
    """Calls that failed at one step for one cause; `detail` is that of the latest of them."""

    step: str
    code: str
    detail: str
    call_count: int


@dataclass(frozen=True)
class WaitingGroup:
    """Calls that wait after an attempt that brought nothing; `detail` is that of one of them."""

    step: str
    code: str
    detail: str
    call_count: int
    next_at: datetime


@dataclass(frozen=True)
class QueuedGroup:
    """Work of one step: how many live and how many old calls wait for it or are at it, and since when the first."""

    step: str
    live_count: int
    backfill_count: int
    oldest_due_at: datetime


@dataclass(frozen=True)
class UnreadableEvent:
    """An event that nobody could read: where it came from, why, and what it said."""

    received_at: datetime
    source: str
    code: str
    body: str


@dataclass(frozen=True)
class Spending:
    """What paid requests cost in a period; `unpriced_count` of them have no known price and are not in the sum."""

    request_count: int
    unpriced_count: int
    cost_microusd: int


def failure_groups(connection: sa.Connection) -> list[FailureGroup]:
    """Failed calls by step and cause, the most frequent first."""
    rows = connection.execute(
        sa.select(
            call.c.failed_step,
            call.c.failed_code,
            sa.func.max(call.c.failed_detail).label("detail"),
            sa.func.count().label("calls"),
        )
        .where(call.c.stage == Stage.FAILED)
        .group_by(call.c.failed_step, call.c.failed_code)
        .order_by(sa.desc("calls"), call.c.failed_step, call.c.failed_code)
    )
    return [FailureGroup(row.failed_step, row.failed_code, row.detail or "", row.calls) for row in rows]


def failed_calls(connection: sa.Connection, *, limit: int = 20) -> list[CallLine]:
    """The calls that failed, newest first."""
    rows = connection.execute(
        select_lines()
        .where(call.c.stage == Stage.FAILED)
        .order_by(call.c.happened_at.desc(), call.c.id.desc())
        .limit(limit)
    )
    return [line_of(row) for row in rows]


def waiting_groups(connection: sa.Connection) -> list[WaitingGroup]:
    """Calls that will be tried again, by step and cause of the last attempt."""
    rows = connection.execute(
        sa.select(
            job.c.step,
            job.c.last_code,
            sa.func.max(job.c.last_detail).label("detail"),
            sa.func.count().label("calls"),
            sa.func.min(job.c.due_at, type_=job.c.due_at.type).label("next_at"),
        )
        .where(job.c.last_code.is_not(None))
        .group_by(job.c.step, job.c.last_code)
        .order_by(sa.desc("calls"), job.c.step, job.c.last_code)
    )
    return [WaitingGroup(row.step, row.last_code, row.detail or "", row.calls, row.next_at) for row in rows]


def queued_groups(connection: sa.Connection) -> list[QueuedGroup]:
    """What waits for each step of the pipeline, or is worked on; steps without work are left out."""
    is_live = job.c.lane == Lane.LIVE
    rows = connection.execute(
        sa.select(
            job.c.step,
            sa.func.count(sa.case((is_live, 1))).label("live"),
            sa.func.count(sa.case((~is_live, 1))).label("backfill"),
            sa.func.min(job.c.due_at, type_=job.c.due_at.type).label("oldest_due_at"),
        )
        .group_by(job.c.step)
        .order_by(job.c.step)
    )
    return [QueuedGroup(row.step, row.live, row.backfill, row.oldest_due_at) for row in rows]


def unreadable_events(connection: sa.Connection, *, limit: int = 20) -> list[UnreadableEvent]:
    """The latest events that nobody could read."""
    rows = connection.execute(
        sa.select(*(unreadable_event.c[name] for name in UnreadableEvent.__dataclass_fields__))
        .order_by(unreadable_event.c.received_at.desc(), unreadable_event.c.id)
        .limit(limit)
    )
    return [UnreadableEvent(**row._mapping) for row in rows]


def spending(connection: sa.Connection, since: datetime, until: datetime) -> Spending:
    """What was paid for in since <= paid_at < until."""
    row = connection.execute(
        sa.select(
            sa.func.count().label("requests"),
            sa.func.count(paid_request.c.cost_microusd).label("priced"),
            sa.func.coalesce(sa.func.sum(paid_request.c.cost_microusd), 0).label("cost_microusd"),
        ).where(paid_request.c.paid_at >= since, paid_request.c.paid_at < until)
    ).one()
    return Spending(row.requests, row.requests - row.priced, int(row.cost_microusd))
