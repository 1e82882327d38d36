"""Repeated calls: the customer calls about the same thing again within the window, counted on the first of the two."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from typing import Any

import numpy as np
import sqlalchemy as sa

from analytics.aggregates import GRAIN, Deltas
from analytics.facts import PLACE, REPEAT_PARTS, REPEAT_WINDOW, Fact
from analytics.many_rows import Among, Prepared, as_stored, moment_of
from analytics.parts import PART_NAMES
from analytics.star import CUSTOMER_PLACE, UNKNOWN, customer_places, date_key, date_of, dim_reason, fact_call
from calls.reasons import OTHER

_CUSTOMERS_AT_ONCE = 2_000
_MANY = 500_000
# As in a full recompute of the facts: so that it holds one month's in memory, and not all of them.
_DAYS_AT_ONCE = timedelta(days=31)
# A moment's day by the site's zone is that of UTC or one beside it.
_DAY_OF_ZONES = timedelta(days=1)
_REACH = REPEAT_WINDOW + _DAY_OF_ZONES
_AT = fact_call.c
_LOOK = (
    sa.select(
        *(_AT[name] for name in GRAIN),
        *(_AT[name] for name in REPEAT_PARTS),
        *(_AT.call_key, _AT.customer_key, _AT.happened_at_utc, _AT.is_window_complete, _AT.classified_count),
        dim_reason.c.code,
    )
    # Each has a reason; from a plain join, SQLite begins with all facts of each reason.
    .outerjoin_from(fact_call, dim_reason, dim_reason.c.reason_key == _AT.reason_key)
    .order_by(_AT.happened_at_utc, _AT.call_id)
)
_CALLS = Prepared(_LOOK.where(Among(CUSTOMER_PLACE, "places")), ["places"])
_CALLS_OF_DAYS = Prepared(
    _LOOK.where(_AT.date_key.between(sa.bindparam("first"), sa.bindparam("last")), _AT.customer_key != UNKNOWN),
    ["first", "last"],
)
_MOMENTS = Prepared(sa.select(_AT.customer_key, _AT.happened_at_utc).where(Among(CUSTOMER_PLACE, "places")), ["places"])
_UPDATE = Prepared(
    sa.update(fact_call)
    .where(_AT.call_key == sa.bindparam("key"))
    .values({name: sa.bindparam(f"new_{name}") for name in (*REPEAT_PARTS, "modified_at_utc")}),
    [*(f"new_{name}" for name in (*REPEAT_PARTS, "modified_at_utc")), "key"],
)
_DAY = GRAIN.index("date_key")
_KEPT = slice(len(GRAIN), len(GRAIN) + len(REPEAT_PARTS))
_COLUMNS = [PART_NAMES.index(name) for name in REPEAT_PARTS]
# What the comparison looks at, with the call's id before it.
_LOOKED_AT = itemgetter(
    *(PLACE[name] for name in ("call_id", "customer_key", "happened_at_utc")),
    *(PLACE[name] for name in ("reason_key", "classified_count", "is_window_complete")),
)


@dataclass
class Concerned:
    """The customers whose calls have to be compared, and the moments, in order, at which something about them changed.

    Of changes without number, every call of everyone is compared.
    """

    moments: dict[int, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    is_everyone: bool = False
    _count: int = 0

    def replace(self, before: Iterable[Fact], after: Iterable[Fact]) -> None:
        """Facts that are no more and facts that are new; what the comparison does not look at may change."""
        changed = set(map(_LOOKED_AT, before)) ^ set(map(_LOOKED_AT, after))
        self.add([(customer_key, happened_at) for _, customer_key, happened_at, *_ in changed])

    def add(self, calls: Iterable[tuple[int, Any]]) -> None:
        """Calls of those customers, at those moments, have changed; nobody's calls are compared with none."""
        for customer_key, happened_at in calls:
            if customer_key != UNKNOWN:
                insort(self.moments[customer_key], moment_of(happened_at))
                self._count += 1
        if self._count > _MANY:
            self.add_everyone()

    def add_everyone(self) -> None:
        """Compare all calls of all customers."""
        self.is_everyone = True
        self.moments.clear()
        self._count = 0

    def includes(self, customer_key: int, happened_at: datetime) -> bool:
        """Whether a change can have touched the customer's call of then: it reaches back one window."""
        moments = self.moments[customer_key]
        place = bisect_left(moments, happened_at)
        return place < len(moments) and moments[place] - happened_at <= REPEAT_WINDOW


def mark_repeats(
    connection: sa.Connection, concerned: Concerned, deltas: Deltas, now: datetime, *, last: datetime | None = None
) -> None:
    """Set the repeat parts of the calls concerned, and add to `deltas` what they have changed by.

    `last` is when it was done before. A call whose window was over neither then nor is now has none of these parts.
    """
    moment = as_stored(connection, now)
    is_everyone = concerned.is_everyone
    ended_by = max(now, last or now) - REPEAT_WINDOW
    found = _of_all(connection) if is_everyone else _of_some(connection, concerned, ended_by)
    for rows, days in found:
        of_customer: dict[tuple[int, str], list[Any]] = defaultdict(list)
        for row in rows:
            of_customer[row.customer_key, row.code].append(row)
        changed = [
            (row, parts)
            for calls in of_customer.values()
            for row, happened_at, parts in _judged(calls)
            if parts != row[_KEPT]
            and (row[_DAY] in days if is_everyone else concerned.includes(row.customer_key, happened_at))
        ]
        if not changed:
            continue
        _UPDATE.many(connection, [(*parts, moment, row.call_key) for row, parts in changed])
        amounts = np.zeros((len(changed), len(PART_NAMES)), np.int64)
        amounts[:, _COLUMNS] = [parts for _, parts in changed]
        amounts[:, _COLUMNS] -= [row[_KEPT] for row, _ in changed]
        deltas.add([row[: len(GRAIN)] for row, _ in changed], amounts)


def _of_all(connection: sa.Connection) -> Iterator[tuple[Any, range]]:
    """All calls in order of time, some days at a time with the keys of these; the calls that may follow as well."""
    bounds = connection.execute(sa.select(sa.func.min(_AT.date_key), sa.func.max(_AT.date_key))).one()
    if bounds[0] is None:
        return
    day, end = map(date_of, bounds)
    while day <= end:
        next_day = day + _DAYS_AT_ONCE
        yield (
            _CALLS_OF_DAYS.rows(connection, first=date_key(day), last=date_key(next_day + _REACH)),
            range(date_key(day), date_key(next_day)),
        )
        day = next_day


def _of_some(connection: sa.Connection, concerned: Concerned, ended_by: datetime) -> Iterator[tuple[Any, range]]:
    """The calls around the changes, in order of time: where any can be another than it was."""
    customers = list(concerned.moments)
    ended_on = ended_by.astimezone(UTC).date() + _DAY_OF_ZONES
    for start in range(0, len(customers), _CUSTOMERS_AT_ONCE):
        by_day: dict[date, set[int]] = defaultdict(set)
        for customer_key in customers[start : start + _CUSTOMERS_AT_ONCE]:
            for moment in concerned.moments[customer_key]:
                by_day[moment.astimezone(UTC).date()].add(customer_key)
        before = [(some, day - _REACH, min(day + _DAY_OF_ZONES, ended_on)) for day, some in by_day.items()]
        found = [(key, moment_of(moment)) for key, moment in _MOMENTS.rows(connection, places=_places(before))]
        judged = {key for key, moment in found if moment <= ended_by and concerned.includes(key, moment)}
        if judged:
            # The ones that may follow are read as well.
            around = [(some & judged, day - _REACH, day + _REACH) for day, some in by_day.items()]
            yield _CALLS.rows(connection, places=_places(around)), range(0)


def _places(asked: Iterable[tuple[Iterable[int], date, date]]) -> list[int]:
    return list({place for customers, first, last in asked for place in customer_places(customers, first, last)})


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
