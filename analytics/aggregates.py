"""The sums of the star schema: what a changed fact adds to them and takes from them, or a whole day summed anew.

All of it is whole numbers, so that both ways give the same to the last digit.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np
import sqlalchemy as sa

from analytics.dimensions import monday_of
from analytics.many_rows import ManyRows, add_many, all_of
from analytics.parts import PART_NAMES
from analytics.star import agg_agent_day, agg_day, agg_hour, agg_period, date_key, date_of, dim_date, fact_call
from crm.database import insert
from crm.tables import UtcDateTime

# By the day, and what the sums by period are made of.
BY_DAY = (agg_day, agg_agent_day, agg_hour)
PERIODS = {
    "day": dim_date.c.date_key,
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
    (period, dimension) for period in PERIODS for dimension in DIMENSIONS if (period, dimension) != ("day", "agent")
)
# What a fact has to tell for its sums to be found.
GRAIN = ("date_key", "hour_of_day", "reason_key", "queue_key", "agent_key", "team_key", "is_sample")

_PART_OF_LIST = 500
_CALL_COUNT = PART_NAMES.index("call_count")

Key = tuple[Any, ...]


@dataclass
class Deltas:
    """What is to be added to the sums of each day, by the keys of its table; nothing for a day to be summed anew."""

    of: dict[str, dict[Key, Any]] = field(default_factory=lambda: {table.name: {} for table in BY_DAY})

    def add(self, fact: Mapping[str, Any], amounts: Any) -> None:
        """Add these amounts, an array in the order of PART_NAMES, where the fact counts."""
        for table in BY_DAY:
            sums = self.of[table.name]
            key = tuple(fact[name] for name in _grain(table))
            held = sums.get(key)
            sums[key] = amounts if held is None else held + amounts

    def add_parts(self, fact: Mapping[str, Any], names: Sequence[str], amounts: Sequence[int]) -> None:
        """Add these amounts of these parts, and of no other."""
        array = np.zeros(len(PART_NAMES), np.int64)
        array[[PART_NAMES.index(name) for name in names]] = amounts
        self.add(fact, array)

    def replace(self, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
        """Count `after` in the place of `before`; None: the fact was not there, or is no more."""
        if before is not None:
            self.add(before, -_amounts(before))
        if after is not None:
            self.add(after, _amounts(after))


def apply(connection: sa.Connection, deltas: Deltas, *, but_not: Collection[int], now: datetime) -> None:
    """Add the deltas to the stored sums, but for the days with these keys; rows without calls go."""
    of_day = {
        table: {key: sums for key, sums in deltas.of[table.name].items() if key[0] not in but_not and sums.any()}
        for table in BY_DAY
    }
    for table, sums in of_day.items():
        _add(connection, table, sums, now)
    _add(connection, agg_period, _by_period(of_day), now)


def sum_days(connection: sa.Connection, day_keys: Collection[int], now: datetime) -> None:
    """Sum these days, and the weeks and months that they are in, anew."""
    for table in BY_DAY:
        grain = [fact_call.c[name] for name in _grain(table)]
        for some in _parts_of(sorted(day_keys)):
            connection.execute(sa.delete(table).where(table.c.date_key.in_(some)))
            summed = sa.select(*grain, *_sums_of(fact_call), sa.literal(now, UtcDateTime))
            summed = summed.where(fact_call.c.date_key.in_(some)).group_by(*grain)
            connection.execute(sa.insert(table).from_select([*_grain(table), *PART_NAMES, "modified_at_utc"], summed))
    starts = _period_starts(day_keys)
    for period, dimension in GRAINS:
        for some in _parts_of(sorted(starts[period])):
            _sum_periods(connection, period, dimension, some, now)


def clear(connection: sa.Connection) -> None:
    """Take every sum away."""
    for table in (*BY_DAY, agg_period):
        connection.execute(sa.delete(table))


def _sum_periods(connection: sa.Connection, period: str, dimension: str, starts: Sequence[int], now: datetime) -> None:
    table, member = DIMENSIONS[dimension]
    start = PERIODS[period]
    at = agg_period.c
    connection.execute(
        sa.delete(agg_period).where(at.period == period, at.dimension == dimension, at.starts_on_key.in_(starts))
    )
    grain = [start, *([table.c[member]] if member else []), table.c.is_sample]
    summed = (
        sa.select(
            sa.literal(period, sa.Text),
            sa.literal(dimension, sa.Text),
            start,
            table.c[member] if member else sa.literal(0, sa.Integer),
            table.c.is_sample,
            *_sums_of(table),
            sa.literal(now, UtcDateTime),
        )
        .join_from(table, dim_date, dim_date.c.date_key == table.c.date_key)
        .where(start.in_(starts))
        .group_by(*grain)
    )
    names = [*_grain(agg_period), *PART_NAMES, "modified_at_utc"]
    connection.execute(sa.insert(agg_period).from_select(names, summed))


def _sums_of(table: sa.Table) -> list[sa.Label[Any]]:
    # PostgreSQL adds whole numbers to a decimal.
    return [sa.cast(sa.func.sum(table.c[name]), sa.BigInteger).label(name) for name in PART_NAMES]


def _by_period(of_day: Mapping[sa.Table, Mapping[Key, Any]]) -> dict[Key, Any]:
    found: dict[Key, Any] = {}
    for dimension, (table, member) in DIMENSIONS.items():
        grain = _grain(table)
        place = grain.index(member) if member else None
        for key, amounts in of_day[table].items():
            member_key = 0 if place is None else key[place]
            for period, start in _starts(key[0]).items():
                if (period, dimension) not in GRAINS:
                    continue
                into = (period, dimension, start, member_key, key[-1])
                held = found.get(into)
                found[into] = amounts if held is None else held + amounts
    # A call that has another reason now changes nothing for its queue.
    return {key: amounts for key, amounts in found.items() if amounts.any()}


def _add(connection: sa.Connection, table: sa.Table, sums: Mapping[Key, Any], now: datetime) -> None:
    if not sums:
        return
    names = [*_grain(table), *PART_NAMES, "modified_at_utc"]
    rows = [(*key, *amounts.tolist(), now) for key, amounts in sorted(sums.items())]
    if connection.dialect.name == "postgresql":
        add_many(connection, table, PART_NAMES, dict(zip(names, zip(*rows, strict=True), strict=True)))
    else:
        _ADDITIONS[table].execute(connection, [dict(zip(names, row, strict=True)) for row in rows])
    # Only what lost calls can have lost its last one.
    emptied = [key for key, amounts in sums.items() if amounts[_CALL_COUNT] < 0]
    if emptied:
        connection.execute(
            sa.delete(table).where(
                table.c.call_count == 0, *(table.c[name] == sa.bindparam(f"of_{name}") for name in _grain(table))
            ),
            [{f"of_{name}": value for name, value in zip(_grain(table), key, strict=True)} for key in sorted(emptied)],
        )


def _addition(table: sa.Table) -> ManyRows:
    def statement(connection: sa.Connection) -> Any:
        added = insert(connection, table)
        changes = {name: table.c[name] + added.excluded[name] for name in PART_NAMES}
        return added.on_conflict_do_update(
            index_elements=_grain(table), set_=changes | {"modified_at_utc": added.excluded.modified_at_utc}
        )

    return ManyRows(statement, all_of(table))


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


def _amounts(fact: Mapping[str, Any]) -> Any:
    return np.array([fact[name] for name in PART_NAMES], np.int64)


def _parts_of(many: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(many), _PART_OF_LIST):
        yield many[start : start + _PART_OF_LIST]


_ADDITIONS = {table: _addition(table) for table in (*BY_DAY, agg_period)}
