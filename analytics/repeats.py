"""Repeated calls: the customer calls about the same thing again within the window, counted on the first of the two."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from analytics.aggregates import GRAIN, Deltas
from analytics.facts import REPEAT_PARTS, REPEAT_WINDOW
from analytics.star import UNKNOWN, dim_reason, fact_call
from calls.reasons import OTHER

_CUSTOMERS_AT_ONCE = 500


@dataclass
class Concerned:
    """The customers whose calls have to be compared, and the time in which something about them changed."""

    customer_keys: set[int] = field(default_factory=set)
    first_at: datetime | None = None
    last_at: datetime | None = None
    is_everyone: bool = False

    def add(self, customer_key: int, happened_at: datetime) -> None:
        """A call of that customer's has changed; calls of nobody known are compared with none."""
        if customer_key == UNKNOWN:
            return
        self.customer_keys.add(customer_key)
        self.first_at = min(self.first_at or happened_at, happened_at)
        self.last_at = max(self.last_at or happened_at, happened_at)

    def includes(self, happened_at: datetime) -> bool:
        """Whether a change can have touched a call of then; the calls after the last change are only looked at."""
        return self.is_everyone or (self.last_at is not None and happened_at <= self.last_at)

    def add_everyone(self) -> None:
        """Compare all calls of all customers."""
        self.is_everyone = True


def mark_repeats(connection: sa.Connection, concerned: Concerned, deltas: Deltas, now: datetime) -> None:
    """Set the repeat parts of the calls concerned, and add to `deltas` what they have changed by."""
    for condition in _conditions(connection, concerned):
        of_customer: dict[tuple[int, str], list[Any]] = defaultdict(list)
        for row in connection.execute(_calls().where(*condition)):
            of_customer[row.customer_key, row.code].append(row)
        changed = []
        for calls in of_customer.values():
            for row, parts in _judged(calls):
                before = tuple(row[-len(REPEAT_PARTS) :])
                if parts == before or not concerned.includes(row.happened_at_utc):
                    continue
                changed.append(
                    {"key": row.call_key, "modified_at_utc": now, **dict(zip(REPEAT_PARTS, parts, strict=True))}
                )
                deltas.add_parts(
                    row._mapping, REPEAT_PARTS, [new - old for new, old in zip(parts, before, strict=True)]
                )
        if changed:
            connection.execute(sa.update(fact_call).where(fact_call.c.call_key == sa.bindparam("key")), changed)


def _conditions(connection: sa.Connection, concerned: Concerned) -> Iterator[list[sa.ColumnElement[bool]]]:
    customers, during = sorted(concerned.customer_keys), []
    if concerned.is_everyone:
        customers = list(connection.execute(sa.select(fact_call.c.customer_key).distinct()).scalars())
    elif concerned.first_at is not None and concerned.last_at is not None:
        # A change reaches back one window; to judge the calls there, the ones that may follow them are read as well.
        begins_at, ends_at = concerned.first_at - REPEAT_WINDOW, concerned.last_at + REPEAT_WINDOW
        during = [fact_call.c.happened_at_utc >= begins_at, fact_call.c.happened_at_utc <= ends_at]
    for start in range(0, len(customers), _CUSTOMERS_AT_ONCE):
        yield [fact_call.c.customer_key.in_(customers[start : start + _CUSTOMERS_AT_ONCE]), *during]


def _calls() -> sa.Select[Any]:
    return (
        sa.select(
            fact_call.c.call_key,
            *(fact_call.c[name] for name in GRAIN),
            fact_call.c.customer_key,
            fact_call.c.happened_at_utc,
            fact_call.c.is_window_complete,
            fact_call.c.classified_count,
            dim_reason.c.code,
            *(fact_call.c[name] for name in REPEAT_PARTS),
        )
        .join_from(fact_call, dim_reason, dim_reason.c.reason_key == fact_call.c.reason_key)
        .order_by(fact_call.c.happened_at_utc, fact_call.c.call_id)
    )


def _judged(calls: list[Any]) -> Iterator[tuple[Any, tuple[int, int, int]]]:
    """Each call of one customer about one reason, in order of time, with its repeat parts."""
    for n, row in enumerate(calls):
        if row.customer_key == UNKNOWN or not row.classified_count or row.code == OTHER or not row.is_window_complete:
            yield row, (0, 0, 0)
            continue
        is_followed = n + 1 < len(calls) and calls[n + 1].happened_at_utc < row.happened_at_utc + REPEAT_WINDOW
        yield row, (1, int(is_followed), int(not is_followed))
