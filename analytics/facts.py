"""One call as one row of `fact_call`: what is read of the CRM tables, and the whole numbers made of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from analytics.fact_parts import Columns, ReasonKey, parts_of
from analytics.many_rows import Among, Prepared, list_of, moment_of
from analytics.parts import PART_NAMES
from analytics.star import UNKNOWN, date_key, dim_agent, dim_customer, dim_queue, fact_call
from calls.pipeline import Stage
from crm.reason_tables import review
from crm.tables import call, call_analysis, paid_request, transcript
from crm.touched_tables import moved_call

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
    """The calls, each with its current transcript and its current analysis; and where a call was before, row by row.

    One statement has both: what moves meanwhile is seen with its mark, or where it was.
    """
    heard, understood = transcript.c, call_analysis.c
    return sa.select(
        *(call.c[name] for name in ("id", "stage", "skip_reason", "failed_step", "failed_code", "is_sample")),
        *(call.c[name] for name in ("direction", "disposition", "contact_id", "happened_at")),
        *(moved_call.c.id.label("moved_id"), moved_call.c.was_at),
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
        # As a text: most of them are empty, and none is then read as JSON.
        sa.cast(understood.secondary_reason_codes, sa.Text).label("secondary_reason_codes"),
        *(understood[name] for name in ("sentiment_customer", "sentiment_customer_start", "sentiment_customer_end")),
        understood.is_demo.label("is_demo_language"),
    ).select_from(
        call.outerjoin(transcript, sa.and_(heard.call_id == call.c.id, heard.is_current))
        .outerjoin(call_analysis, sa.and_(understood.call_id == call.c.id, understood.is_current))
        .outerjoin(moved_call, moved_call.c.call_id == call.c.id)
        .outerjoin(dim_queue, dim_queue.c.queue_id == call.c.queue_id)
        .outerjoin(dim_agent, dim_agent.c.agent_id == call.c.agent_id)
        .outerjoin(dim_customer, dim_customer.c.contact_id == call.c.contact_id)
    )


CALLS = Prepared(_source().where(Among(call.c.id, "call_ids")), ["call_ids"])
CALLS_BETWEEN = Prepared(
    _source().where(call.c.happened_at >= sa.bindparam("since"), call.c.happened_at < sa.bindparam("until")),
    ["since", "until"],
)
_COSTS = Prepared(
    sa.select(
        paid_request.c.call_id,
        sa.func.coalesce(sa.func.sum(paid_request.c.cost_microusd), 0),
        sa.func.count() - sa.func.count(paid_request.c.cost_microusd),
    )
    .where(Among(paid_request.c.call_id, "call_ids"))
    .group_by(paid_request.c.call_id),
    ["call_ids"],
)
_REVIEWS = Prepared(
    sa.select(review.c.call_id, review.c.field, review.c.before, review.c.after)
    .where(Among(review.c.call_id, "call_ids"), sa.or_(*(review.c.field == name for name in _REVIEWED)))
    .order_by(review.c.reviewed_at, review.c.revision, review.c.id),
    ["call_ids"],
)


def costs(connection: sa.Connection, call_ids: str) -> dict[Any, tuple[int, int]]:
    """What paid requests for these calls cost, in millionths of a dollar, and how many have no known price, by call;
    calls that nothing was paid for are left out.
    """
    return {call_id: (int(paid), unpriced) for call_id, paid, unpriced in _COSTS.rows(connection, call_ids=call_ids)}


def agreements(connection: sa.Connection, call_ids: str, keys: Keys) -> dict[Any, dict[str, int]]:
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


def reasons_of(calls: Columns, keys: Keys) -> Iterator[dict[int, int]]:
    """Every reason of each call: its rank, 1 is the reason itself, by the reason's key."""
    for is_handled, version, code, others in zip(
        _are_handled(calls),
        *(calls[name] for name in ("taxonomy_version", "reason_code", "secondary_reason_codes")),
        strict=True,
    ):
        ranks: dict[int, int] = {}
        for rank, said in enumerate((code, *list_of(others)) if is_handled else (), start=1):
            found = keys.reason.get((version, said))
            if found is not None:
                ranks.setdefault(found.key, rank)
        yield ranks


def facts_of(
    calls: Columns,
    keys: Keys,
    agreed: Mapping[Any, Mapping[str, int]],
    customers: Mapping[Any, int],
    *,
    zone: ZoneInfo,
    now: datetime,
) -> list[Fact]:
    """The facts of these calls, each in its place; `agreed` are the parts that reviews give, by call.

    `customers` are the keys of contacts that the columns do not know yet. Repeat parts are 0 until the customers' calls
    are compared.
    """
    handled = _are_handled(calls)

    def of_handled(name: str) -> list[Any]:
        return [value if counts else None for value, counts in zip(calls[name], handled, strict=True)]

    moments = [moment_of(value) for value in calls["happened_at"]]
    local = [moment.astimezone(zone) for moment in moments]
    reasons = [keys.reason.get(pair) for pair in zip(of_handled("taxonomy_version"), calls["reason_code"], strict=True)]
    known = zip(calls["customer_key"], calls["contact_id"], strict=True)
    found = {
        **{name: calls[name] for name in FACT_NAMES if name in calls},
        "call_id": calls["id"],
        "date_key": [date_key(moment) for moment in local],
        "hour_of_day": [moment.hour for moment in local],
        "reason_key": [UNKNOWN if reason is None else reason.key for reason in reasons],
        **{name: _or_unknown(calls[name]) for name in ("queue_key", "agent_key", "team_key")},
        "customer_key": [customers.get(contact, UNKNOWN) if key is None else key for key, contact in known],
        "happened_at_utc": calls["happened_at"],
        **{name: of_handled(name) for name in ("outcome", "is_resolved", "taxonomy_version")},
        "is_demo": [
            bool(heard or understood)
            for heard, understood in zip(calls["is_demo_speech"], calls["is_demo_language"], strict=True)
        ],
        "speech_engine": calls["engine"],
        "language_model": of_handled("model"),
        "is_window_complete": [is_window_complete(moment, now) for moment in moments],
    }
    parts = parts_of(calls, handled, reasons, [agreed.get(call_id, {}) for call_id in calls["id"]])
    heads = [found[name] for name in FACT_NAMES[: PARTS_AT.start]]
    return list(zip(*heads, *parts.T.tolist(), strict=True))


def is_window_complete(happened_at: datetime, now: datetime) -> bool:
    """Whether the time in which a repeated call counts has passed."""
    return happened_at + REPEAT_WINDOW <= now


def amounts_of(facts: Sequence[Fact]) -> Any:
    """The parts of each fact as one row of an array."""
    return np.array([fact[PARTS_AT] for fact in facts], np.int64).reshape(len(facts), len(PART_NAMES))


def _are_handled(calls: Columns) -> list[bool]:
    """Which of the calls were understood."""
    return [
        bool(stage == Stage.DONE and is_understood)
        for stage, is_understood in zip(calls["stage"], calls["is_understood"], strict=True)
    ]


def _or_unknown(keys: Sequence[int | None]) -> list[int]:
    return [UNKNOWN if key is None else key for key in keys]
