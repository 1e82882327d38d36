"""Sums of parts by day and member, from the smallest table of the star schema that can tell the members apart."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from analytics.aggregates import PERIODS
from analytics.many_rows import Among, Prepared
from analytics.parts import PART_NAMES
from analytics.selection import (
    ALL,
    CODES,
    Filters,
    Over,
    Sums,
    add,
    conditions,
    joined,
    key_of,
    none,
    period_start,
    total,
    until_after,
)
from analytics.star import (
    UNKNOWN_CODE,
    agg_agent_day,
    agg_day,
    agg_hour,
    agg_period,
    date_key,
    date_of,
    dim_date,
    dim_reason,
    fact_call,
)
from analytics.zoned import days_in, first_day_in, hourly_calls_in, moved, other_zone

__all__ = [
    "ALL",
    "Filters",
    "Over",
    "Sums",
    "add",
    "daily_sums",
    "first_day",
    "hourly_calls",
    "labels_of",
    "none",
    "period_start",
    "period_sums",
    "total",
    "until_after",
    "whole_sums",
]


def daily_sums(connection: sa.Connection, over: Over | None, filters: Filters) -> dict[tuple[date, str], Sums]:
    """The sums of every day with calls, by day and member's code ("" where nothing is told apart)."""
    return period_sums(connection, "day", over, filters)


def period_sums(
    connection: sa.Connection, period: str, over: Over | None, filters: Filters, parts: Sequence[str] = PART_NAMES
) -> dict[tuple[date, str], Sums]:
    """The sums of every period with calls, by its first day and the member's code ("" where nothing is told apart).

    `period` is day, week (ISO) or month; one that the filters cut has the sums of its days within them. `parts` are
    those that are wanted, call_count among them.
    """
    zone = other_zone(connection, filters)
    if zone is None:
        return _site_sums(connection, period, over, filters, parts)
    columns, source = () if over is None else (CODES[over],), joined(fact_call, over)
    if period == "day":
        of_days = days_in(connection, filters, zone, columns=columns, source=source, parts=parts)
        return {(day, values[0] if values else ""): sums for day, values, sums in of_days}
    found = _site_sums(connection, period, over, filters, parts)
    edges = moved(connection, period, filters, zone, columns=columns, source=source, parts=parts)
    for starts_on, values, sums in edges:
        add(found.setdefault((starts_on, values[0] if values else ""), none(parts)), sums)
    return {place: sums for place, sums in found.items() if sums["call_count"]}


def whole_sums(
    connection: sa.Connection, over: Over | None, filters: Filters, parts: Sequence[str] = PART_NAMES
) -> dict[str, Sums]:
    """The sums over the whole time, by member's code ("" where nothing is told apart)."""
    found: dict[str, Sums] = {}
    if len(_needed(over, filters)) > 1 or other_zone(connection, filters) is not None:
        for (_, code), sums in period_sums(connection, "month", over, filters, parts).items():
            _add_to(found, code, sums)
        return found
    whole, edges = _whole_and_edges("month", filters)
    if whole is not None:
        for _, code, sums in _stored(connection, "month", over, whole, parts, is_summed=True):
            _add_to(found, code, sums)
    for cut in edges:
        for code, sums in _over_days(connection, over, cut, parts):
            _add_to(found, code, sums)
    return found


def _site_sums(
    connection: sa.Connection, period: str, over: Over | None, filters: Filters, parts: Sequence[str]
) -> dict[tuple[date, str], Sums]:
    """The same in the zone of the site."""
    needed = _needed(over, filters)
    if len(needed) > 1 or (needed == {"agent"} and period == "day"):
        return _grouped(connection, period, over, filters, parts)
    whole, edges = _whole_and_edges(period, filters)
    found: dict[tuple[date, str], Sums] = {}
    if whole is not None:
        for start_key, code, sums in _stored(connection, period, over, whole, parts):
            _add_to(found, (date_of(start_key), code), sums)
    for cut in edges:
        start = period_start(period, cut.since or date.min)
        for code, sums in _over_days(connection, over, cut, parts):
            _add_to(found, (start, code), sums)
    return found


def _over_days(
    connection: sa.Connection, over: Over | None, filters: Filters, parts: Sequence[str]
) -> Iterator[tuple[str, Sums]]:
    """The members' codes, each as often as there is something to add, and the sums over these days of the site."""
    if _needed(over, filters) == {"agent"}:
        # agg_period has no days of agents.
        for (_, code), sums in _grouped(connection, "day", over, filters, parts).items():
            yield code, sums
        return
    for _, code, sums in _stored(connection, "day", over, filters, parts, is_summed=True):
        yield code, sums


def _add_to(found: dict[Any, Sums], place: Any, sums: Sums) -> None:
    """Let the place have these sums too; the first ones are kept as they are."""
    if place in found:
        add(found[place], sums)
    else:
        found[place] = sums


def _period_end(period: str, start: date) -> date:
    return start + timedelta(days=7) if period == "week" else (start + timedelta(days=31)).replace(day=1)


def _whole_and_edges(period: str, filters: Filters) -> tuple[Filters | None, list[Filters]]:
    """The filters over whole periods only, and over the days before and after these, each of one period; None: there is
    no whole one.
    """
    since, until = filters.since, filters.until
    if period == "day":
        return filters, []
    first = since and (
        since if period_start(period, since) == since else _period_end(period, period_start(period, since))
    )
    last = until and period_start(period, until)
    if first and last and first > last:
        # Days of one period.
        return None, [filters]
    edges = []
    if since and first and since < first:
        edges.append(replace(filters, since=since, until=first))
    if until and last and last < until:
        edges.append(replace(filters, since=last, until=until))
    has_whole = not (first and last) or first < last
    return replace(filters, since=first, until=last) if has_whole else None, edges


_GIVEN = ["period", "dimension", "since", "until"]


@lru_cache(maxsize=100)
def _asked(parts: tuple[str, ...], *, of_some: bool, is_summed: bool) -> Prepared:
    """The statement that reads these parts: first day, member's key, whether they are samples, and the parts."""
    at = agg_period.c
    place = [at.member_key, at.is_sample]
    if is_summed:
        # PostgreSQL sums whole numbers into a decimal: back to the whole number that it is.
        sums = (sa.cast(sa.func.sum(at[name]), sa.BigInteger) for name in parts)
        asked = sa.select(sa.literal_column("0"), *place, *sums).group_by(*place)
    else:
        asked = sa.select(at.starts_on_key, *place, *(at[name] for name in parts))
    asked = asked.where(
        at.period == sa.bindparam("period"),
        at.dimension == sa.bindparam("dimension"),
        at.starts_on_key >= sa.bindparam("since"),
        at.starts_on_key < sa.bindparam("until"),
    )
    if of_some:
        return Prepared(asked.where(Among(at.member_key, "members")), [*_GIVEN, "members"])
    return Prepared(asked, _GIVEN)


def _stored(
    connection: sa.Connection,
    period: str,
    over: Over | None,
    filters: Filters,
    parts: Sequence[str],
    *,
    is_summed: bool = False,
) -> Iterator[tuple[int, str, Sums]]:
    """Sums that stand in agg_period as they are asked for: the key of the first day, the member's code, the sums.

    A place may come more than once: two versions of a reason, or calls and samples. `is_summed` adds up all periods.
    """
    dimension = next(iter(_needed(over, filters)), "all")
    since, until = filters.since or date.min, filters.until or date.max
    given: dict[str, Any] = {"since": date_key(since), "until": date_key(until)}
    codes = {}
    if dimension != "all":
        key, code = key_of(Over(dimension)), CODES[Over(dimension)]
        codes = {row[0]: row[1] for row in connection.execute(sa.select(key, code))}
        wanted = getattr(filters, dimension).lower()
        if wanted:
            given["members"] = [key for key, name in codes.items() if name.lower() == wanted]
    asked = _asked(tuple(parts), of_some="members" in given, is_summed=is_summed)
    for start_key, member, is_sample, *sums in asked.rows(connection, period=str(period), dimension=dimension, **given):
        if filters.with_samples or not is_sample:
            yield start_key, "" if over is None else codes[member], dict(zip(parts, sums, strict=True))


def _grouped(
    connection: sa.Connection, period: str, over: Over | None, filters: Filters, parts: Sequence[str]
) -> dict[tuple[date, str], Sums]:
    """Sums added up from the smallest table that can tell the members apart."""
    table = _table_for(over, filters)
    start = PERIODS[period]
    grain = [start] if over is None else [start, CODES[over]]
    rows = connection.execute(
        sa.select(*grain, *(sa.func.sum(table.c[name]) for name in parts))
        .select_from(joined(table, over).join(dim_date, dim_date.c.date_key == table.c.date_key))
        .where(*conditions(table, filters))
        .group_by(*grain)
    )
    found: dict[tuple[date, str], Sums] = {}
    for row in rows:
        code = "" if over is None else row[1]
        # As in _asked.
        found[date_of(row[0]), code] = dict(zip(parts, map(int, row[len(grain) :]), strict=True))
    return found


def _needed(over: Over | None, filters: Filters) -> set[str]:
    named = {name for name in ("reason", "queue", "agent", "team") if getattr(filters, name)}
    return named | ({over.value} if over else set())


def _table_for(over: Over | None, filters: Filters) -> sa.Table:
    """The smallest table that can tell the members apart."""
    needed = _needed(over, filters)
    if needed <= {"reason", "queue", "team"}:
        return agg_day
    return agg_agent_day if needed <= {"agent", "team"} else fact_call


def labels_of(connection: sa.Connection, over: Over | None) -> dict[str, str]:
    """What people read for a code: for a reason the label of the version that classifies now, else the latest."""
    if over is not Over.REASON:
        return {UNKNOWN_CODE: "Unknown"}
    rows = connection.execute(
        sa.select(dim_reason.c.code, dim_reason.c.label).order_by(dim_reason.c.is_current, dim_reason.c.reason_key)
    )
    return {row.code: row.label for row in rows}


def hourly_calls(connection: sa.Connection, filters: Filters) -> dict[tuple[date, int], int]:
    """Calls by day and hour of the day."""
    zone = other_zone(connection, filters)
    if zone is not None:
        return hourly_calls_in(connection, filters, zone)
    table = agg_hour if _needed(None, filters) <= {"queue"} else fact_call
    rows = connection.execute(
        sa.select(table.c.date_key, table.c.hour_of_day, sa.func.sum(table.c.call_count))
        .where(*conditions(table, filters))
        .group_by(table.c.date_key, table.c.hour_of_day)
    )
    return {(date_of(key), hour): int(calls) for key, hour, calls in rows}


def first_day(connection: sa.Connection, filters: Filters = ALL) -> date | None:
    """The day of the first call, in the zone of the filters, and generated history left out where they leave it out;
    None where there is none.
    """
    other = other_zone(connection, filters)
    if other is not None:
        return first_day_in(connection, other, with_samples=filters.with_samples)
    days = sa.select(agg_day.c.date_key).order_by(agg_day.c.date_key).limit(1)
    if not filters.with_samples:
        days = days.where(agg_day.c.is_sample.is_(False))
    key = connection.execute(days).scalar_one_or_none()
    return None if key is None else date_of(key)
