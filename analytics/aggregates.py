"""The sums of the star schema: what a changed fact adds to them and takes from them, or a whole day summed anew.

All of it is whole numbers, so that both ways give the same to the last digit.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from analytics.added_sums import Added, add_sums, delete_many, make_room
from analytics.dimensions import monday_of
from analytics.facts import PLACE, Fact, amounts_of
from analytics.many_rows import Among, Prepared, as_stored
from analytics.parts import PART_NAMES
from analytics.star import agg_agent_day, agg_day, agg_hour, agg_period, date_key, date_of, dim_date, fact_call
from crm.tables import UtcDateTime

# By the day, and what the sums by period are made of.
BY_DAY = (agg_day, agg_agent_day, agg_hour)
DAY = "day"
PERIODS = {
    DAY: dim_date.c.date_key,
    "week": dim_date.c.week_starts_on_key,
    "month": dim_date.c.month_starts_on_key,
}
# agg_period.dimension: the table whose days are added, and the column that tells its members apart.
DIMENSIONS: Mapping[str, tuple[sa.Table, str | None]] = {
    "all": (agg_day, None),
    "reason": (agg_day, "reason_key"),
    "queue": (agg_day, "queue_key"),
    "team": (agg_day, "team_key"),
    "agent": (agg_agent_day, "agent_key"),
}
# agg_agent_day has the agents by the day already.
GRAINS = tuple(
    (period, dimension) for period in PERIODS for dimension in DIMENSIONS if (period, dimension) != (DAY, "agent")
)
# What a fact has to tell for its sums to be found.
GRAIN = ("date_key", "hour_of_day", "reason_key", "queue_key", "agent_key", "team_key", "is_sample")

_WAITING = 50_000
_CALL_COUNT = PART_NAMES.index("call_count")
_NOW = sa.bindparam("now", type_=UtcDateTime)
_GRAIN_OF = itemgetter(*(PLACE[name] for name in GRAIN))


@dataclass
class Deltas:
    """What is to be added to the sums of each day; `are_kept=False` where every sum will be made anew."""

    are_kept: bool = True
    # By table: its keys and the amounts, as arrays with a row for each.
    of_day: dict[sa.Table, tuple[Any, Any]] = field(default_factory=dict)
    # Not added up yet: for each change the values of GRAIN, and its amounts in the order of PARTS.
    _grains: list[Sequence[int]] = field(default_factory=list)
    _amounts: list[Any] = field(default_factory=list)

    def add(self, grains: Sequence[Sequence[int]], amounts: Any) -> None:
        """Add the rows of amounts, an array, where calls of these grains count."""
        if not grains or not self.are_kept:
            return
        self._grains += grains
        self._amounts.append(amounts)
        # A change of reasons touches every call there is: what waits may be no more than what is added up.
        if len(self._grains) > max([_WAITING, *(len(keys) for keys, _ in self.of_day.values())]):
            self.add_up()

    def replace(self, before: Sequence[Fact], after: Sequence[Fact]) -> None:
        """Count the facts `after` in the place of those `before`."""
        self.add([_GRAIN_OF(fact) for fact in before], -amounts_of(before))
        self.add([_GRAIN_OF(fact) for fact in after], amounts_of(after))

    def add_up(self) -> None:
        """Bring what was added into `of_day`."""
        if not self._grains:
            return
        grains, amounts = np.array(self._grains, np.int64), np.concatenate(self._amounts)
        for table in BY_DAY:
            keys, sums = grains[:, [GRAIN.index(name) for name in _grain(table)]], amounts
            if table in self.of_day:
                keys, sums = (np.concatenate(pair) for pair in zip(self.of_day[table], (keys, sums), strict=True))
            self.of_day[table] = _summed(keys, sums)
        self._grains, self._amounts = [], []


def apply(connection: sa.Connection, deltas: Deltas, *, but_not: Collection[int], now: datetime) -> None:
    """Add the deltas to the stored sums, but for the days with these keys; rows without calls go."""
    deltas.add_up()
    of_day = {}
    if deltas.of_day and connection.dialect.name == "postgresql":
        make_room(connection, _ADDITIONS)
    for table, (keys, sums) in deltas.of_day.items():
        counts = ~np.isin(keys[:, 0], list(but_not))
        of_day[table] = keys[counts], sums[counts]
        _add(connection, table, [Added((), *of_day[table])], now)
    if of_day:
        _add(connection, agg_period, list(_by_period(of_day)), now)


def sum_days(connection: sa.Connection, day_keys: Collection[int], now: datetime) -> None:
    """Sum these days, and the weeks and months that they are in, anew."""
    if not day_keys:
        return
    for table in BY_DAY:
        delete, insert = _SUMMED_DAYS[table]
        delete.run(connection, days=sorted(day_keys))
        insert.run(connection, days=sorted(day_keys), now=now)
    starts = _period_starts(day_keys)
    for grain, (delete, insert) in _SUMMED_PERIODS.items():
        delete.run(connection, starts=sorted(starts[grain[0]]))
        insert.run(connection, starts=sorted(starts[grain[0]]), now=now)


def clear(connection: sa.Connection) -> None:
    """Take every sum away."""
    for table in (*BY_DAY, agg_period):
        connection.execute(sa.delete(table))


def _summed_days(table: sa.Table) -> tuple[Prepared, Prepared]:
    """The statements that take the sums of days away, and that make them of the facts."""
    grain = [fact_call.c[name] for name in _grain(table)]
    summed = sa.select(*grain, *_sums_of(fact_call), _NOW).where(Among(fact_call.c.date_key, "days")).group_by(*grain)
    return (
        Prepared(sa.delete(table).where(Among(table.c.date_key, "days")), ["days"]),
        Prepared(sa.insert(table).from_select(_names(table), summed), ["days", "now"]),
    )


def _summed_periods(period: str, dimension: str) -> tuple[Prepared, Prepared]:
    """The statements that take the sums of periods away, and that make them of their days."""
    at, start = agg_period.c, PERIODS[period]
    of_grain = [at.period == period, at.dimension == dimension]
    table, day, member, *where = _days_of(period, dimension)
    summed = (
        sa.select(
            sa.literal(period, sa.Text),
            sa.literal(dimension, sa.Text),
            start,
            sa.literal(0, sa.Integer) if member is None else member,
            table.c.is_sample,
            *_sums_of(table),
            _NOW,
        )
        .join_from(table, dim_date, dim_date.c.date_key == day)
        .where(Among(start, "starts"), *where)
        .group_by(start, *([] if member is None else [member]), table.c.is_sample)
    )
    return (
        Prepared(sa.delete(agg_period).where(*of_grain, Among(at.starts_on_key, "starts")), ["starts"]),
        Prepared(sa.insert(agg_period).from_select(_names(agg_period), summed), ["starts", "now"]),
    )


def _days_of(period: str, dimension: str) -> tuple[Any, ...]:
    """The smallest table that has the days of a period: it, the columns of its days and members, and what to take."""
    table, member = DIMENSIONS[dimension]
    if period == DAY or (DAY, dimension) not in GRAINS:
        return table, table.c.date_key, table.c[member] if member else None
    # The days stand there already, added up: they are the first of PERIODS.
    at = agg_period.c
    return agg_period, at.starts_on_key, at.member_key, at.period == DAY, at.dimension == dimension


def _sums_of(table: sa.Table) -> list[sa.Label[Any]]:
    # PostgreSQL adds whole numbers to a decimal.
    return [sa.cast(sa.func.sum(table.c[name]), sa.BigInteger).label(name) for name in PART_NAMES]


def _summed(keys: Any, amounts: Any) -> tuple[Any, Any]:
    """The rows of amounts added up by the rows of keys; keys in order, without those of which nothing changes."""
    if not len(keys):
        return keys, amounts
    order = np.lexsort(keys.T[::-1])
    keys = keys[order]
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
    sums = np.add.reduceat(amounts[order], starts)
    changed = sums.any(axis=1)
    return keys[starts][changed], sums[changed]


def _by_period(of_day: Mapping[sa.Table, tuple[Any, Any]]) -> Iterator[Added]:
    for period, dimension in GRAINS:
        table, member = DIMENSIONS[dimension]
        keys, amounts = of_day[table]
        days, place = np.unique(keys[:, 0], return_inverse=True)
        starts = np.array([_starts(day)[period] for day in days.tolist()], np.int64)[place]
        members = keys[:, _grain(table).index(member)] if member else np.zeros_like(starts)
        # A call that has another reason now changes nothing for its queue.
        yield Added((period, dimension), *_summed(np.column_stack([starts, members, keys[:, -1]]), amounts))


def _add(connection: sa.Connection, table: sa.Table, sums: Sequence[Added], now: datetime) -> None:
    """Add sums to those of the table."""
    # Only what lost calls can have lost its last one.
    emptied = [key for some in sums for key in some.keys_where(some.amounts[:, _CALL_COUNT] < 0)]
    if connection.dialect.name == "postgresql":
        add_sums(connection, table, sums, now)
        if emptied:
            delete_many(connection, table, "call_count = 0", emptied)
    else:
        moment = as_stored(connection, now)
        _ADDITIONS[table].many(connection, [(*row, moment) for some in sums for row in some.rows()])
        _EMPTIED[table].many(connection, emptied)


def _addition(table: sa.Table) -> Prepared:
    added = sqlite_insert(table)
    changes = {name: table.c[name] + added.excluded[name] for name in PART_NAMES}
    added = added.on_conflict_do_update(
        index_elements=_grain(table), set_=changes | {"modified_at_utc": added.excluded.modified_at_utc}
    )
    return Prepared(added, _names(table))


def _emptied(table: sa.Table) -> Prepared:
    same = [table.c[name] == sa.bindparam(f"of_{name}") for name in _grain(table)]
    return Prepared(sa.delete(table).where(*same, table.c.call_count == 0), [f"of_{name}" for name in _grain(table)])


def _names(table: sa.Table) -> list[str]:
    return [*_grain(table), *PART_NAMES, "modified_at_utc"]


@cache
def _grain(table: sa.Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key)


@cache
def _starts(day_key: int) -> dict[str, int]:
    day = date_of(day_key)
    return {"day": day_key, "week": date_key(monday_of(day)), "month": date_key(day.replace(day=1))}


def _period_starts(day_keys: Iterable[int]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {period: set() for period in PERIODS}
    for key in day_keys:
        for period, start in _starts(key).items():
            found[period].add(start)
    return found


_ADDITIONS = {table: _addition(table) for table in (*BY_DAY, agg_period)}
_EMPTIED = {table: _emptied(table) for table in (*BY_DAY, agg_period)}
_SUMMED_DAYS = {table: _summed_days(table) for table in BY_DAY}
_SUMMED_PERIODS = {grain: _summed_periods(*grain) for grain in GRAINS}
