"""The ledger: one row per paid request; their sum is the bill."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calls.errors import BudgetSpent
from calls.money import SPEECH, Charge, Service, midnight
from calls.pipeline import Lane
from crm import jobs
from crm.batch_tables import language_batch
from crm.tables import call_analysis, job, paid_request

Grouping = Literal["day", "reason", "model", "purpose", "call"]


@dataclass(frozen=True)
class Cost:
    """What the paid requests of one group cost; `unpriced_count` of them have no known price and are not in the sum.

    `key` is a local day (YYYY-MM-DD), a reason's code, a model, a purpose or a call's id; None where there is none.
    `audio_s` are seconds of audio, `call_count` the calls that anything was paid for.
    """

    key: str | None
    request_count: int
    unpriced_count: int
    call_count: int
    batch_request_count: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    audio_s: float
    cost_microusd: int


def note_charge(connection: sa.Connection, call_id: UUID | None, charge: Charge, *, now: datetime) -> None:
    """Write the ledger row of one paid request, and mark its call: it may come after the call has ended."""
    connection.execute(
        sa.insert(paid_request).values(
            id=uuid4(),
            call_id=call_id,
            paid_at=now,
            provider=charge.provider,
            model=charge.model,
            purpose=charge.purpose,
            request_id=charge.request_id,
            input_tokens=charge.input_tokens,
            cached_tokens=charge.cached_tokens,
            output_tokens=charge.output_tokens,
            audio_s=charge.audio_s,
            cost_microusd=charge.cost_microusd,
            is_batch=charge.is_batch,
        )
    )
    if call_id is not None:
        jobs.touch_call(connection, call_id)


def spent_microusd(connection: sa.Connection, service: Service, since: datetime) -> int:
    """What was paid for speech, or for language models, since then, batches whose answers are still to come included;
    requests without a known price are not in it.
    """
    is_speech = paid_request.c.purpose == SPEECH
    asked = sa.select(sa.func.coalesce(sa.func.sum(paid_request.c.cost_microusd), 0)).where(
        paid_request.c.paid_at >= since, is_speech if service == "speech" else ~is_speech
    )
    spent = int(connection.execute(asked).scalar_one())
    return spent if service == "speech" else spent + _reserved_microusd(connection)


def _reserved_microusd(connection: sa.Connection) -> int:
    reserved = sa.func.coalesce(sa.func.sum(language_batch.c.reserved_microusd), 0)
    return int(connection.execute(sa.select(reserved).where(language_batch.c.state != "ended")).scalar_one())


def mean_output_tokens(connection: sa.Connection, model: str) -> int | None:
    """How long the model's latest answers were, on average; None where there are none."""
    latest = (
        sa.select(paid_request.c.output_tokens)
        .where(paid_request.c.model == model, paid_request.c.purpose != SPEECH)
        .order_by(paid_request.c.paid_at.desc())
        .limit(200)
        .subquery()
    )
    mean = connection.execute(sa.select(sa.func.avg(latest.c.output_tokens))).scalar_one()
    return None if mean is None else int(mean)


def parked_counts(connection: sa.Connection, *, now: datetime) -> dict[tuple[str, Lane], int]:
    """How many calls wait for a budget, by step and lane."""
    rows = connection.execute(
        sa.select(job.c.step, job.c.lane, sa.func.count().label("calls"))
        .where(job.c.last_code == BudgetSpent.code, job.c.due_at > now)
        .group_by(job.c.step, job.c.lane)
    )
    return {(row.step, Lane(row.lane)): row.calls for row in rows}


def wake_parked(connection: sa.Connection, step: str, lane: Lane, *, now: datetime, limit: int) -> int:
    """Let calls go on that wait at this step for a budget; returns how many, those first that waited longest."""
    parked = (
        sa.select(job.c.call_id)
        .where(
            job.c.last_code == BudgetSpent.code,
            job.c.lane == lane,
            job.c.due_at > now,
            job.c.step == step,
            # A worker may be at one just now.
            job.c.attempt_count == 0,
        )
        .order_by(job.c.due_at)
        .limit(limit)
    )
    # The one is counted again: between the two a worker may have taken it.
    still = (job.c.call_id.in_(parked), job.c.attempt_count == 0)
    return connection.execute(sa.update(job).where(*still).values(due_at=now)).rowcount


def costs(
    connection: sa.Connection,
    by: Grouping | None,
    *,
    zone: ZoneInfo,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
) -> list[Cost]:
    """What was paid in since <= paid_at < until, in groups: days in order, others the dearest first; at most `limit`.

    With `by` None one sum of everything, without a key. A day is one of `zone`; a reason is the call's current one.
    """
    if by == "day":
        return _by_day(connection, zone, since, until)
    keys: Mapping[str | None, sa.ColumnElement[Any]] = {
        None: sa.null(),
        "model": paid_request.c.model,
        "purpose": paid_request.c.purpose,
        "call": paid_request.c.call_id,
        "reason": call_analysis.c.reason_code,
    }
    asked = _sums(keys[by], since, until)
    if by == "reason":
        is_current = sa.and_(call_analysis.c.call_id == paid_request.c.call_id, call_analysis.c.is_current)
        asked = asked.select_from(paid_request).outerjoin(call_analysis, is_current)
    if by is not None:
        asked = asked.group_by(keys[by]).order_by(sa.desc("cost_microusd"), sa.desc("requests"), keys[by])
    return [_cost(row) for row in connection.execute(asked.limit(limit))]


def _by_day(connection: sa.Connection, zone: ZoneInfo, since: datetime | None, until: datetime | None) -> list[Cost]:
    """One question a day, along the index: no two databases know the same time zones."""
    first, last = connection.execute(
        sa.select(
            sa.func.min(paid_request.c.paid_at, type_=paid_request.c.paid_at.type),
            sa.func.max(paid_request.c.paid_at, type_=paid_request.c.paid_at.type),
        ).where(*_between(since, until))
    ).one()
    found: list[Cost] = []
    if first is None:
        return found
    day = first.astimezone(zone).date()
    while midnight(day, zone) <= last:
        begins, ends = midnight(day, zone), midnight(day + timedelta(days=1), zone)
        row = connection.execute(_sums(sa.null(), max(begins, since or begins), min(ends, until or ends))).one()
        if row.requests:
            found.append(replace(_cost(row), key=day.isoformat()))
        day += timedelta(days=1)
    return found


def _between(since: datetime | None, until: datetime | None) -> list[sa.ColumnElement[bool]]:
    bounds = []
    if since is not None:
        bounds.append(paid_request.c.paid_at >= since)
    if until is not None:
        bounds.append(paid_request.c.paid_at < until)
    return bounds


def _sums(key: sa.ColumnElement[Any], since: datetime | None, until: datetime | None) -> sa.Select[Any]:
    paid = paid_request.c
    return sa.select(
        key.label("key"),
        sa.func.count().label("requests"),
        sa.func.count(paid.cost_microusd).label("priced"),
        sa.func.count(sa.distinct(paid.call_id)).label("calls"),
        sa.func.coalesce(sa.func.sum(sa.case((paid.is_batch, 1), else_=0)), 0).label("batched"),
        sa.func.coalesce(sa.func.sum(paid.input_tokens), 0).label("input_tokens"),
        sa.func.coalesce(sa.func.sum(paid.cached_tokens), 0).label("cached_tokens"),
        sa.func.coalesce(sa.func.sum(paid.output_tokens), 0).label("output_tokens"),
        sa.func.coalesce(sa.func.sum(paid.audio_s), 0.0).label("audio_s"),
        sa.func.coalesce(sa.func.sum(paid.cost_microusd), 0).label("cost_microusd"),
    ).where(*_between(since, until))


def _cost(row: sa.Row[Any]) -> Cost:
    return Cost(
        key=None if row.key is None else str(row.key),
        request_count=row.requests,
        unpriced_count=row.requests - row.priced,
        call_count=row.calls,
        batch_request_count=int(row.batched),
        input_tokens=int(row.input_tokens),
        cached_tokens=int(row.cached_tokens),
        output_tokens=int(row.output_tokens),
        audio_s=float(row.audio_s),
        cost_microusd=int(row.cost_microusd),
    )
