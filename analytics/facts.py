"""One call as one row of `fact_call`: what is read of the CRM tables, and the whole numbers made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from analytics.fact_parts import ReasonKey, parts_of
from analytics.many_rows import Among, Prepared, list_of, moment_of
from analytics.parts import PART_NAMES
from analytics.star import UNKNOWN, date_key, dim_agent, dim_customer, dim_queue, fact_call
from calls.pipeline import TERMINAL_STAGES, Stage
from crm.reason_tables import review
from crm.tables import call, call_analysis, paid_request, transcript

# A customer who calls about the same thing again within this time was not helped the first time.
REPEAT_WINDOW = timedelta(days=7)

REPEAT_PARTS = ("repeat_window_count", "repeated_count", "not_repeated_count")

# A fact as it is stored, without its key and the moment of its change: a value for each of FACT_NAMES. Ids, moments and
# flags are as the driver has them (many_rows.py).
Fact = tuple[Any, ...]
FACT_NAMES = tuple(column.name for column in fact_call.columns)[1:-1]
PLACE = {name: n for n, name in enumerate(FACT_NAMES)}
PARTS_AT = slice(PLACE[PART_NAMES[0]], PLACE[PART_NAMES[-1]] + 1)
REPEATS_AT = slice(PLACE[REPEAT_PARTS[0]], PLACE[REPEAT_PARTS[-1]] + 1)

_TIMING = (
    *("interruption_count", "interruption_time_agent_s", "interruption_time_customer_s", "conversation_s"),
    *("longest_monologue_agent_s", "longest_monologue_customer_s"),
)
# The fields of reviews that measures tell the agreement of.
_REVIEWED = ("reason", "outcome")


@dataclass(frozen=True)
class Keys:
    """The keys of the reasons by version and code."""

    reason: Mapping[tuple[str, str], ReasonKey]
    # Codes of earlier taxonomies with those that go on in their place.
    following: Mapping[str, str]


def _source() -> sa.Select[Any]:
    """The calls that have ended their way, each with its current transcript, its current analysis and its cost."""
    paid = sa.select(sa.func.sum(paid_request.c.cost_microusd)).where(paid_request.c.call_id == call.c.id)
    unpriced = sa.select(sa.func.count()).where(
        paid_request.c.call_id == call.c.id, paid_request.c.cost_microusd.is_(None)
    )
    heard, understood = transcript.c, call_analysis.c
    return (
        sa.select(
            *(call.c[name] for name in ("id", "stage", "skip_reason", "failed_step", "failed_code", "is_sample")),
            *(call.c[name] for name in ("direction", "disposition", "contact_id", "happened_at")),
            *(call.c[name] for name in ("duration_s", "hold_time_s", "acw_time_s", "is_transferred")),
            dim_queue.c.queue_key,
            dim_agent.c.agent_key,
            dim_agent.c.team_key,
            dim_customer.c.customer_key,
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
            call.outerjoin(transcript, sa.and_(heard.call_id == call.c.id, heard.is_current))
            .outerjoin(call_analysis, sa.and_(understood.call_id == call.c.id, understood.is_current))
            .outerjoin(dim_queue, dim_queue.c.queue_id == call.c.queue_id)
            .outerjoin(dim_agent, dim_agent.c.agent_id == call.c.agent_id)
            .outerjoin(dim_customer, dim_customer.c.contact_id == call.c.contact_id)
        )
        .where(sa.or_(*(call.c.stage == str(stage) for stage in sorted(TERMINAL_STAGES))))
    )


CALLS = Prepared(_source().where(Among(call.c.id, "call_ids")), ["call_ids"])
CALLS_BETWEEN = Prepared(
    _source().where(call.c.happened_at >= sa.bindparam("since"), call.c.happened_at < sa.bindparam("until")),
    ["since", "until"],
)
_REVIEWS = Prepared(
    sa.select(review.c.call_id, review.c.field, review.c.before, review.c.after)
    .where(Among(review.c.call_id, "call_ids"), sa.or_(*(review.c.field == name for name in _REVIEWED)))
    .order_by(review.c.reviewed_at, review.c.revision, review.c.id),
    ["call_ids"],
)


def agreements(connection: sa.Connection, call_ids: list[Any], keys: Keys) -> dict[Any, dict[str, int]]:
    """What people said of the engines' words, as parts; calls that nobody has reviewed are left out.

    An engine was right where its word, before the first review of that field, is the last word now. A reason that was
    replaced since counts as the one that goes on in its place.
    """
    said: dict[tuple[Any, str], list[str | None]] = {}
    for row in _REVIEWS.rows(connection, call_ids=call_ids):
        said.setdefault((row.call_id, row.field), [row.before, None])[1] = row.after
    found: dict[Any, dict[str, int]] = {}
    for (call_id, field_name), (first, last) in said.items():
        # An outcome's name is no reason's code.
        following = keys.following if field_name == "reason" else {}
        is_agreed = following.get(first or "", first) == following.get(last or "", last)
        found.setdefault(call_id, {}).update(
            {f"{field_name}_reviewed_count": 1, f"{field_name}_agreed_count": int(is_agreed)}
        )
    return found


def reasons_of(row: Any, keys: Keys) -> dict[int, int]:
    """Every reason of the call of one row: its rank, 1 is the reason itself, by the reason's key."""
    if not _is_handled(row):
        return {}
    ranks: dict[int, int] = {}
    for rank, code in enumerate((row.reason_code, *list_of(row.secondary_reason_codes)), start=1):
        found = keys.reason.get((row.taxonomy_version, code))
        if found is not None:
            ranks.setdefault(found.key, rank)
    return ranks


def facts_of(
    rows: Sequence[Any],
    keys: Keys,
    agreed: Mapping[Any, Mapping[str, int]],
    customers: Mapping[Any, int],
    *,
    zone: ZoneInfo,
    now: datetime,
) -> list[Fact]:
    """The facts of these rows of calls, each in its place; `agreed` are the parts that reviews give, by call.

    `customers` are the keys of contacts that the rows do not know yet. Repeat parts are 0 until the customers' calls
    are compared.
    """
    if not rows:
        return []
    handled = [_is_handled(row) for row in rows]
    reasons = [
        keys.reason.get((row.taxonomy_version, row.reason_code)) if is_handled else None
        for row, is_handled in zip(rows, handled, strict=True)
    ]
    parts = parts_of(rows, handled, reasons, [agreed.get(row.id, {}) for row in rows])
    facts = []
    for row, is_handled, reason, amounts in zip(rows, handled, reasons, parts.tolist(), strict=True):
        happened_at = moment_of(row.happened_at)
        local = happened_at.astimezone(zone)
        agent_key = row.agent_key
        facts.append(
            (
                row.id,
                date_key(local),
                local.hour,
                reason.key if reason else UNKNOWN,
                UNKNOWN if row.queue_key is None else row.queue_key,
                *((UNKNOWN, UNKNOWN) if agent_key is None else (agent_key, row.team_key)),
                customers.get(row.contact_id, UNKNOWN) if row.customer_key is None else row.customer_key,
                row.happened_at,
                *(row.stage, row.skip_reason, row.failed_step, row.failed_code, row.direction, row.disposition),
                *((row.outcome, row.is_resolved) if is_handled else (None, None)),
                row.is_sample,
                bool(row.is_demo_speech or row.is_demo_language),
                row.engine,
                *((row.model, row.taxonomy_version) if is_handled else (None, None)),
                is_window_complete(happened_at, now),
                *amounts,
            )
        )
    return facts


def is_window_complete(happened_at: datetime, now: datetime) -> bool:
    """Whether the time in which a repeated call counts has passed."""
    return happened_at + REPEAT_WINDOW <= now


def amounts_of(facts: Sequence[Fact]) -> Any:
    """The parts of each fact as one row of an array."""
    return np.array([fact[PARTS_AT] for fact in facts], np.int64).reshape(len(facts), len(PART_NAMES))


def _is_handled(row: Any) -> bool:
    """Whether the call was understood."""
    return bool(row.stage == Stage.DONE and row.is_understood)
