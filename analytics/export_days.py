"""What has changed since the last export: the state of each day, and the stretches of days that are one file each.

A day's state is how many calls it has and when a fact of it last changed. Both are kept by index and small sums, so
that asking for all days of ten million calls takes milliseconds. Sums change with the facts, in one transaction, so
that one state stands for every table that is cut by the day.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

import sqlalchemy as sa

from analytics.export_tables import CHUNK_KEYS, ExportTable
from analytics.star import agg_day, agg_period, date_key, date_of, fact_call, fact_call_reason

# A month of more calls is written in one file for each day, in tables that may have a row for every call of a day.
MONTH_ROWS = 50_000
_MANY = (fact_call.name, fact_call_reason.name, agg_day.name)


@dataclass(frozen=True)
class Day:
    """The state of one day: the calls it has, and what tells whether anything about them is another than before."""

    calls: int
    state: str


@dataclass(frozen=True)
class Stretch:
    """The rows with `low` <= key <= `high`, the file below the table's folder that holds them, and their state."""

    low: int
    high: int
    path: str
    state: str


def days(connection: sa.Connection) -> dict[int, Day]:
    """The state of every day with calls, by its date key, in order."""
    key = agg_period.c.starts_on_key.label("date_key")
    counts = (
        sa.select(key, sa.func.sum(agg_period.c.call_count).label("calls"))
        .where(agg_period.c.period == "day", agg_period.c.dimension == "all")
        .group_by(key)
        .subquery()
    )
    newest = (
        sa.select(sa.func.max(fact_call.c.modified_at_utc))
        .where(fact_call.c.date_key == counts.c.date_key)
        .scalar_subquery()
    )
    rows = connection.execute(sa.select(counts.c.date_key, counts.c.calls, newest).order_by(counts.c.date_key))
    return {key: Day(int(calls), f"{key} {int(calls)} {at}") for key, calls, at in rows if calls}


def stretches(found: Mapping[int, Day], table: ExportTable) -> Iterator[Stretch]:
    """The files that hold the table's rows, in order of the days."""
    months: dict[int, list[int]] = defaultdict(list)
    is_of_periods = table.name == agg_period.name
    for key in found:
        for month in _months_of(key) if is_of_periods else (key // 100,):
            months[month].append(key)
    for month, keys in sorted(months.items()):
        folder = f"month={month // 100:04}-{month % 100:02}"
        by_day = table.name in _MANY and sum(found[key].calls for key in keys) > MONTH_ROWS
        if by_day:
            for key in keys:
                yield Stretch(key, key, f"{folder}/day-{key % 100:02}.parquet", found[key].state)
        else:
            state = digest(*(found[key].state for key in keys))
            yield Stretch(month * 100, month * 100 + 99, f"{folder}/part-0.parquet", state)


def _months_of(key: int) -> set[int]:
    """The months whose sums by period the day counts in: a week stands in the month in which it begins."""
    day = date_of(key)
    return {key // 100, date_key(day - timedelta(days=day.weekday())) // 100}


def chunks_of(connection: sa.Connection, table: ExportTable) -> Iterator[Stretch]:
    """A table of members in stretches of keys; the first holds the member for what is not known, too.

    On SQLite the state is "": such a table is small there, and always looked at.
    """
    if table.select is None:
        raise ValueError(f"{table.name} is not cut into parts")
    key, identity = (table.select.selected_columns[name] for name in (table.chunk, "contact_id"))
    number = sa.case((key < 0, 0), else_=key // CHUNK_KEYS).label("number")
    is_hashed = connection.dialect.name == "postgresql"
    marks = sa.func.sum(sa.func.uuid_hash(identity)) if is_hashed else sa.null()
    rows = connection.execute(sa.select(number, sa.func.count(), marks).group_by(number).order_by(number))
    for found, count, sum_of_hashes in rows:
        first = int(found) * CHUNK_KEYS
        yield Stretch(
            first if first else -1,
            first + CHUNK_KEYS - 1,
            f"part-{int(found)}.parquet",
            f"{count} {sum_of_hashes}" if is_hashed else "",
        )


def digest(*texts: str) -> str:
    """A short mark that is another when any of the texts is."""
    return sha256("\n".join(texts).encode()).hexdigest()[:32]


def whole_state(found: Mapping[int, Day], keys: Sequence[int] | None = None) -> str:
    """One mark for all of these days."""
    return digest(*(found[key].state for key in (keys if keys is not None else found)))
