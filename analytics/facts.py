"""One call as one row of `fact_call`: what is read of the CRM tables, and the whole numbers made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from analytics.parts import PART_NAMES
from analytics.star import UNKNOWN, date_key
from calls.analysis import Outcome
from calls.pipeline import TERMINAL_STAGES, Stage
from calls.reasons import INSUFFICIENT
from crm.tables import call, call_analysis, paid_request, transcript

# A customer who calls about the same thing again within this time was not helped the first time.
REPEAT_WINDOW = timedelta(days=7)

REPEAT_PARTS = ("repeat_window_count", "repeated_count", "not_repeated_count")

Fact = dict[str, Any]


@dataclass(frozen=True)
class ReasonKey:
    """What a fact needs to know of its reason."""

    key: int
    is_sales: bool


@dataclass(frozen=True)
class Keys:
    """From the CRM's ids to the keys of the dimensions; `agent` gives the agent's key and the team's."""

    reason: Mapping[tuple[str, str], ReasonKey]
    queue: Mapping[UUID, int]
    agent: Mapping[UUID, tuple[int, int]]
    customer: dict[UUID, int] = field(default_factory=dict)


def source() -> sa.Select[Any]:
    """The calls that have ended their way, each with its current transcript, its current analysis and its cost."""
    paid = sa.select(sa.func.sum(paid_request.c.cost_microusd)).where(paid_request.c.call_id == call.c.id)
    unpriced = sa.select(sa.func.count()).where(
        paid_request.c.call_id == call.c.id, paid_request.c.cost_microusd.is_(None)
    )
    heard, understood = transcript.c, call_analysis.c
    return (
        sa.select(
            *(call.c[name] for name in ("id", "stage", "skip_reason", "failed_step", "failed_code", "is_sample")),
            *(
                call.c[name]
                for name in ("direction", "disposition", "contact_id", "agent_id", "queue_id", "happened_at")
            ),
            *(call.c[name] for name in ("duration_s", "hold_time_s", "acw_time_s", "is_transferred")),
            heard.id.label("transcript_id"),
            heard.engine,
            heard.is_demo.label("is_demo_speech"),
            *(heard[name] for name in ("talk_time_agent_s", "talk_time_customer_s", "non_talk_time_s")),
            heard.interruption_count,
            understood.id.label("analysis_id"),
            *(understood[name] for name in ("reason_code", "taxonomy_version", "outcome", "is_resolved", "model")),
            *(
                understood[name]
                for name in ("sentiment_customer", "sentiment_customer_start", "sentiment_customer_end")
            ),
            understood.is_demo.label("is_demo_language"),
            paid.scalar_subquery().label("cost_microusd"),
            unpriced.scalar_subquery().label("unpriced_request_count"),
        )
        .select_from(
            call.outerjoin(transcript, sa.and_(heard.call_id == call.c.id, heard.is_current)).outerjoin(
                call_analysis, sa.and_(understood.call_id == call.c.id, understood.is_current)
            )
        )
        .where(call.c.stage.in_([str(stage) for stage in sorted(TERMINAL_STAGES)]))
    )


def fact_of(row: Any, zone: ZoneInfo, keys: Keys, now: datetime) -> Fact:
    """The fact of one row of `source`, without `call_key`.

    Its repeat parts are 0 until the customer's calls are compared. `keys.customer` must know the row's contact.
    """
    local = row.happened_at.astimezone(zone)
    is_handled = row.stage == Stage.DONE and row.analysis_id is not None
    reason = keys.reason.get((row.taxonomy_version, row.reason_code)) if is_handled else None
    agent_key, team_key = keys.agent.get(row.agent_id, (UNKNOWN, UNKNOWN))
    return {
        "call_id": row.id,
        "date_key": date_key(local.date()),
        "hour_of_day": local.hour,
        "reason_key": reason.key if reason else UNKNOWN,
        "queue_key": keys.queue.get(row.queue_id, UNKNOWN),
        "agent_key": agent_key,
        "team_key": team_key,
        "customer_key": keys.customer.get(row.contact_id, UNKNOWN),
        "happened_at_utc": row.happened_at,
        "stage": row.stage,
        "skip_reason": row.skip_reason,
        "failed_step": row.failed_step,
        "failed_code": row.failed_code,
        "direction": row.direction,
        "disposition": row.disposition,
        "outcome": row.outcome if is_handled else None,
        "is_resolved": row.is_resolved if is_handled else None,
        "is_sample": row.is_sample,
        "is_demo": bool(row.is_demo_speech or row.is_demo_language),
        "speech_engine": row.engine,
        "language_model": row.model if is_handled else None,
        "is_window_complete": is_window_complete(row.happened_at, now),
        **dict.fromkeys(PART_NAMES, 0),
        **_states(row, is_handled),
        **(_telephony(row) | _speech(row) | _understanding(row, reason) if is_handled else {}),
        "cost_microusd": int(row.cost_microusd or 0),
        "unpriced_request_count": row.unpriced_request_count,
    }


def is_window_complete(happened_at: datetime, now: datetime) -> bool:
    """Whether the time in which a repeated call counts has passed."""
    return happened_at + REPEAT_WINDOW <= now


def _states(row: Any, is_handled: bool) -> dict[str, int]:
    return {
        "call_count": 1,
        "handled_count": int(is_handled),
        "skipped_count": int(row.stage == Stage.SKIPPED),
        "failed_count": int(row.stage == Stage.FAILED),
        "sample_count": int(row.is_sample),
        "demo_count": int(bool(row.is_demo_speech or row.is_demo_language)),
    }


def _telephony(row: Any) -> dict[str, int]:
    found = {
        "transfer_known_count": int(row.is_transferred is not None),
        "transferred_count": int(bool(row.is_transferred)),
    }
    if row.duration_s is None:
        return found
    acw_ms = _ms(row.acw_time_s)
    return found | {
        "handle_time_call_count": 1,
        "handle_time_ms": _ms(row.duration_s) + acw_ms,
        "acw_known_count": int(row.acw_time_s is not None),
        "acw_time_ms": acw_ms,
        "hold_known_count": int(row.hold_time_s is not None),
        "hold_time_ms": _ms(row.hold_time_s),
    }


def _speech(row: Any) -> dict[str, int]:
    found = {"non_talk_known_count": int(row.non_talk_time_s is not None), "non_talk_time_ms": _ms(row.non_talk_time_s)}
    if row.talk_time_agent_s is None or row.talk_time_customer_s is None:
        return found
    agent_ms, customer_ms = _ms(row.talk_time_agent_s), _ms(row.talk_time_customer_s)
    return found | {
        "timed_count": 1,
        "talk_time_agent_ms": agent_ms,
        "talk_time_customer_ms": customer_ms,
        "talk_time_ms": agent_ms + customer_ms,
        "interruption_count": row.interruption_count or 0,
    }


def _understanding(row: Any, reason: ReasonKey | None) -> dict[str, int]:
    is_classified = reason is not None and row.reason_code != INSUFFICIENT
    is_sales = reason is not None and reason.is_sales
    start, end, overall = row.sentiment_customer_start, row.sentiment_customer_end, row.sentiment_customer
    has_shift = start is not None and end is not None
    return {
        "classified_count": int(is_classified),
        "unclassified_count": int(not is_classified),
        "resolution_known_count": int(row.is_resolved is not None),
        "resolved_count": int(bool(row.is_resolved)),
        "outcome_known_count": int(row.outcome != Outcome.UNKNOWN),
        "escalated_count": int(row.outcome == Outcome.ESCALATED),
        "follow_up_count": int(row.outcome == Outcome.FOLLOW_UP),
        "sentiment_known_count": int(overall is not None),
        "sentiment_tenths": _tenths(overall),
        "sentiment_shift_count": int(has_shift),
        "sentiment_shift_tenths": _tenths(end) - _tenths(start) if has_shift else 0,
        "sales_count": int(is_sales),
        "sale_count": int(is_sales and row.outcome == Outcome.SALE),
    }


def _ms(seconds: float | None) -> int:
    return round((seconds or 0.0) * 1000)


def _tenths(value: float | None) -> int:
    return round((value or 0.0) * 10)
