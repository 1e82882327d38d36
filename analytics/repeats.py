"""Repeated calls: the customer calls about the same thing again within the window, counted on the first of the two."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Any

import numpy as np
import sqlalchemy as sa

from analytics.aggregates import GRAIN, Deltas
from analytics.facts import PLACE, REPEAT_PARTS, REPEAT_WINDOW, Fact
from analytics.many_rows import Among, Prepared, as_stored, moment_of
from analytics.parts import PART_NAMES
from analytics.star import UNKNOWN, dim_reason, fact_call
from calls.reasons import OTHER

_CUSTOMERS_AT_ONCE = 2_000
_AT = fact_call.c
_OF_CUSTOMERS = (
    sa.select(
        *(_AT[name] for name in GRAIN),
        *(_AT[name] for name in REPEAT_PARTS),
        *(_AT.call_key, _AT.customer_key, _AT.happened_at_utc, _AT.is_window_complete, _AT.classified_count),
        dim_reason.c.code,
    )
    .join_from(fact_call, dim_reason, dim_reason.c.reason_key == _AT.reason_key)
    .where(Among(_AT.customer_key, "customers"))
    .order_by(_AT.happened_at_utc, _AT.call_id)
)
_CALLS = Prepared(_OF_CUSTOMERS, ["customers"])
_BETWEEN = _AT.happened_at_utc.between(sa.bindparam("first"), sa.bindparam("last"))
_CALLS_BETWEEN = Prepared(_OF_CUSTOMERS.where(_BETWEEN), ["customers", "first", "last"])
_CUSTOMERS_BETWEEN = Prepared(
    sa.select(_AT.customer_key).distinct().where(Among(_AT.customer_key, "customers"), _BETWEEN),
    ["customers", "first", "last"],
)
_UPDATE = Prepared(
    sa.update(fact_call)
    .where(_AT.call_key == sa.bindparam("key"))
    .values({name: sa.bindparam(f"new_{name}") for name in (*REPEAT_PARTS, "modified_at_utc")}),
    [*(f"new_{name}" for name in (*REPEAT_PARTS, "modified_at_utc")), "key"],
)
_KEPT = slice(len(GRAIN), len(GRAIN) + len(REPEAT_PARTS))
_COLUMNS = [PART_NAMES.index(name) for name in REPEAT_PARTS]
# What the comparison looks at, with the call's id before it.
_LOOKED_AT = itemgetter(
    *(PLACE[name] for name in ("call_id", "customer_key", "happened_at_utc")),
    *(PLACE[name] for name in ("reason_key", "classified_count", "is_window_complete")),
)


@dataclass
class Concerned:
    """The customers whose calls have to be compared, and the time in which something about them changed."""

    customer_keys: set[int] = field(default_factory=set)
    first_at: datetime | None = None
    last_at: datetime | None = None
    is_everyone: bool = False

    def replace(self, before: Iterable[Fact], after: Iterable[Fact]) -> None:
        """Facts that are no more and facts that are new; what the comparison does not look at may change."""
        changed = set(map(_LOOKED_AT, before)) ^ set(map(_LOOKED_AT, after))
        # As the driver has them, moments are in order, too.
        self.add([(customer_key, happened_at) for _, customer_key, happened_at, *_ in changed])

    def add(self, calls: Iterable[tuple[int, Any]]) -> None:
        """Calls of those customers, at those moments, have changed; nobody's calls are compared with none."""
        known = [call for call in calls if call[0] != UNKNOWN]
        if not known:
            return
        self.customer_keys.update(customer_key for customer_key, _ in known)
        moments = [happened_at for _, happened_at in known]
        first_at, last_at = moment_of(min(moments)), moment_of(max(moments))
        self.first_at = min(self.first_at or first_at, first_at)
        self.last_at = max(self.last_at or last_at, last_at)

    def includes(self, happened_at: datetime) -> bool:
        """Whether a change can have touched a call of then; the calls after the last change are only looked at."""
        return self.is_everyone or (self.last_at is not None and happened_at <= self.last_at)

    def add_everyone(self) -> None:
        """Compare all calls of all customers."""
        self.is_everyone = True


def mark_repeats(
    connection: sa.Connection, concerned: Concerned, deltas: Deltas, now: datetime, *, last: datetime | None = None
) -> None:
    """Set the repeat parts of the calls concerned, and add to `deltas` what they have changed by.

    `last` is when it was done before. A call whose window was over neither then nor is now has none of these parts.
    """
    moment = as_stored(connection, now)
    for rows in _calls(connection, concerned, max(now, last or now) - REPEAT_WINDOW):
        of_customer: dict[tuple[int, str], list[Any]] = defaultdict(list)
        for row in rows:
            of_customer[row.customer_key, row.code].append(row)
        changed = [
            (row, parts)
            for calls in of_customer.values()
            for row, happened_at, parts in _judged(calls)
            if parts != row[_KEPT] and concerned.includes(happened_at)
        ]
        if not changed:
            continue
        _UPDATE.many(connection, [(*parts, moment, row.call_key) for row, parts in changed])
        amounts = np.zeros((len(changed), len(PART_NAMES)), np.int64)
        amounts[:, _COLUMNS] = [parts for _, parts in changed]
        amounts[:, _COLUMNS] -= [row[_KEPT] for row, _ in changed]
        deltas.add([row[: len(GRAIN)] for row, _ in changed], amounts)


def _calls(connection: sa.Connection, concerned: Concerned, ended_by: datetime) -> Iterator[Any]:
    """The calls to be compared, in order of time, those of one customer together."""
    customers = sorted(concerned.customer_keys)
    if concerned.is_everyone:
        known = sa.select(_AT.customer_key).distinct().where(_AT.customer_key != UNKNOWN)
        customers = list(connection.execute(known).scalars())
    for start in range(0, len(customers), _CUSTOMERS_AT_ONCE):
        some = customers[start : start + _CUSTOMERS_AT_ONCE]
        if concerned.is_everyone or concerned.first_at is None or concerned.last_at is None:
            yield _CALLS.rows(connection, customers=some)
            continue
        # A change reaches back one window; to judge the calls there, the ones that may follow them are read as well.
        first, last = concerned.first_at - REPEAT_WINDOW, min(concerned.last_at, ended_by)
        judged = [row[0] for row in _CUSTOMERS_BETWEEN.rows(connection, customers=some, first=first, last=last)]
        if judged:
            last = concerned.last_at + REPEAT_WINDOW
            yield _CALLS_BETWEEN.rows(connection, customers=judged, first=first, last=last)


def _judged(calls: list[Any]) -> Iterator[tuple[Any, datetime, tuple[int, int, int]]]:
    """Each call of one customer about one reason, in order of time, with its moment and its repeat parts."""
    following = None
    for row in reversed(calls):
        happened_at = moment_of(row.happened_at_utc)
        if not row.classified_count or row.code == OTHER or not row.is_window_complete:
            parts = (0, 0, 0)
        elif following is not None and following < happened_at + REPEAT_WINDOW:
            parts = (1, 1, 0)
        else:
            parts = (1, 0, 1)
        following = happened_at
        yield row, happened_at, parts
