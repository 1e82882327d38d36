"""One call as one row of `fact_call`: what is read of the CRM tables, and the whole numbers made of it."""

from collections.abc import Mapping, Sequence
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
from crm.reason_tables import review
from crm.tables import call, call_analysis, paid_request, transcript

# A customer who calls about the same thing again within this time was not helped the first time.
REPEAT_WINDOW = timedelta(days=7)

REPEAT_PARTS = ("repeat_window_count", "repeated_count", "not_repeated_count")

Fact = dict[str, Any]

_TIMING = (
    *("interruption_count", "interruption_time_agent_s", "interruption_time_customer_s", "conversation_s"),
    *("longest_monologue_agent_s", "longest_monologue_customer_s"),
)
# The fields of reviews that measures tell the agreement of.
_REVIEWED = ("reason", "outcome")


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
    # Codes of earlier taxonomies with those that go on in their place.
    following: Mapping[str, str] = field(default_factory=dict)


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
            heard.engine,
            heard.is_demo.label("is_demo_speech"),
            *(heard[name] for name in ("talk_time_agent_s", "talk_time_customer_s", "non_talk_time_s")),
            *(heard[name] for name in _TIMING),
            understood.id.is_not(None).label("is_understood"),
            *(understood[name] for name in ("reason_code", "taxonomy_version", "outcome", "is_resolved", "model")),
            understood.secondary_reason_codes,
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


def agreements(connection: sa.Connection, call_ids: Sequence[UUID], keys: Keys) -> dict[UUID, dict[str, int]]:
    """What people said of the engines' words, as parts; calls that nobody has reviewed are left out.

    An engine was right where its word, before the first review of that field, is the last word now. A reason that was
    replaced since counts as the one that goes on in its place.
    """
    rows = connection.execute(
        sa.select(review.c.call_id, review.c.field, review.c.before, review.c.after)
        .where(review.c.call_id.in_(call_ids), review.c.field.in_(_REVIEWED))
        .order_by(review.c.reviewed_at, review.c.revision, review.c.id)
    )
    said: dict[tuple[UUID, str], list[str | None]] = {}
    for row in rows:
        said.setdefault((row.call_id, row.field), [row.before, None])[1] = row.after
    found: dict[UUID, dict[str, int]] = {}
    for (call_id, field_name), (first, last) in said.items():
        # An outcome's name is no reason's code.
        following = keys.following if field_name == "reason" else {}
        is_agreed = following.get(first or "", first) == following.get(last or "", last)
        found.setdefault(call_id, {}).update(
            {f"{field_name}_reviewed_count": 1, f"{field_name}_agreed_count": int(is_agreed)}
        )
    return found


def reasons_of(row: Any, keys: Keys) -> dict[int, int]:
    """Every reason of the call of one row of `source`: its rank, 1 is the reason itself, by the reason's key."""
    if not is_handled(row):
        return {}
    ranks: dict[int, int] = {}
    for rank, code in enumerate((row.reason_code, *(row.secondary_reason_codes or ())), start=1):
        found = keys.reason.get((row.taxonomy_version, code))
        if found is not None:
            ranks.setdefault(found.key, rank)
    return ranks


def is_handled(row: Any) -> bool:
    """Whether the call of one row of `source` was understood."""
    return bool(row.stage == Stage.DONE and row.is_understood)


def fact_of(row: Any, zone: ZoneInfo, keys: Keys, now: datetime, agreed: dict[str, int]) -> Fact:
    """The fact of one row of `source`, without `call_key`; `agreed` are the parts that its reviews give.

    Its repeat parts are 0 until the customer's calls are compared. `keys.customer` must know the row's contact.
    """
    local = row.happened_at.astimezone(zone)
    handled = is_handled(row)
    reason = keys.reason.get((row.taxonomy_version, row.reason_code)) if handled else None
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
        "outcome": row.outcome if handled else None,
        "is_resolved": row.is_resolved if handled else None,
        "is_sample": row.is_sample,
        "is_demo": bool(row.is_demo_speech or row.is_demo_language),
        "speech_engine": row.engine,
        "language_model": row.model if handled else None,
        "taxonomy_version": row.taxonomy_version if handled else None,
        "is_window_complete": is_window_complete(row.happened_at, now),
        **dict.fromkeys(PART_NAMES, 0),
        **_states(row, handled),
        **(_telephony(row) | _speech(row) | _understanding(row, reason) | agreed if handled else {}),
        "cost_microusd": int(row.cost_microusd or 0),
        "unpriced_request_count": row.unpriced_request_count,
    }


def is_window_complete(happened_at: datetime, now: datetime) -> bool:
    """Whether the time in which a repeated call counts has passed."""
    return happened_at + REPEAT_WINDOW <= now


def _states(row: Any, handled: bool) -> dict[str, int]:
    return {
        "call_count": 1,
        "handled_count": int(handled),
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
    if row.interruption_time_agent_s is not None and row.interruption_time_customer_s is not None:
        found["interruption_time_known_count"] = 1
        found["interruption_time_ms"] = _ms(row.interruption_time_agent_s) + _ms(row.interruption_time_customer_s)
    if row.conversation_s is not None:
        found["conversation_known_count"] = 1
        found["conversation_ms"] = _ms(row.conversation_s)
        found["conversation_talk_agent_ms"] = agent_ms
    if row.longest_monologue_agent_s is not None and row.longest_monologue_customer_s is not None:
        found["monologue_known_count"] = 1
        found["longest_monologue_agent_ms"] = _ms(row.longest_monologue_agent_s)
        found["longest_monologue_customer_ms"] = _ms(row.longest_monologue_customer_s)
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
        "sentiment_end_count": int(end is not None),
        "sentiment_end_tenths": _tenths(end),
        "sentiment_shift_count": int(has_shift),
        "sentiment_shift_tenths": _tenths(end) - _tenths(start) if has_shift else 0,
        "sales_count": int(is_sales),
        "sale_count": int(is_sales and row.outcome == Outcome.SALE),
    }


def _ms(seconds: float | None) -> int:
    return round((seconds or 0.0) * 1000)


def _tenths(value: float | None) -> int:
    return round((value or 0.0) * 10)
