"""Sums of parts by day and member, from the smallest table of the star schema that can tell the members apart."""

from dataclasses import replace
from datetime import date, timedelta
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
    connection: sa.Connection, period: str, over: Over | None, filters: Filters
) -> dict[tuple[date, str], Sums]:
    """The sums of every period with calls, by its first day and the member's code ("" where nothing is told apart).

    `period` is day, week (ISO) or month; one that the filters cut has the sums of its days within them.
    """
    zone = other_zone(connection, filters)
    if zone is None:
        return _site_sums(connection, period, over, filters)
    columns, source = () if over is None else (CODES[over],), joined(fact_call, over)
    if period == "day":
        of_days = days_in(connection, filters, zone, columns=columns, source=source)
        return {(day, values[0] if values else ""): sums for day, values, sums in of_days}
    found = _site_sums(connection, period, over, filters)
    for starts_on, values, sums in moved(connection, period, filters, zone, columns=columns, source=source):
        add(found.setdefault((starts_on, values[0] if values else ""), none()), sums)
    return {place: sums for place, sums in found.items() if sums["call_count"]}


def _site_sums(
    connection: sa.Connection, period: str, over: Over | None, filters: Filters
) -> dict[tuple[date, str], Sums]:
    """The same in the zone of the site."""
    needed = _needed(over, filters)
    if len(needed) > 1 or (needed == {"agent"} and period == "day"):
        return _grouped(connection, period, over, filters)
    whole, edges = _whole_and_edges(period, filters)
    found = {} if whole is None else _stored(connection, period, over, whole)
    for cut in edges:
        for (day, code), sums in _site_sums(connection, "day", over, cut).items():
            add(found.setdefault((period_start(period, day), code), none()), sums)
    return found


def _period_end(period: str, start: date) -> date:
    return start + timedelta(days=7) if period == "week" else (start + timedelta(days=31)).replace(day=1)


def _whole_and_edges(period: str, filters: Filters) -> tuple[Filters | None, list[Filters]]:
    """The filters over whole periods only, and over the days before and after these; None: there is no whole one."""
    since, until = filters.since, filters.until
    if period == "day":
        return filters, []
    first = since and (
        since if period_start(period, since) == since else _period_end(period, period_start(period, since))
    )
    last = until and period_start(period, until)
    if first and last and first >= last:
        # Less than one whole period, or two pieces of two.
        return None, [filters]
    edges = []
    if since and first and since < first:
        edges.append(replace(filters, since=since, until=first))
    if until and last and last < until:
        edges.append(replace(filters, since=last, until=until))
    return replace(filters, since=first, until=last), edges


_AT = agg_period.c
_OF_PERIODS = sa.select(_AT.starts_on_key, _AT.member_key, _AT.is_sample, *(_AT[name] for name in PART_NAMES)).where(
    _AT.period == sa.bindparam("period"),
    _AT.dimension == sa.bindparam("dimension"),
    _AT.starts_on_key >= sa.bindparam("since"),
    _AT.starts_on_key < sa.bindparam("until"),
)
_GIVEN = ["period", "dimension", "since", "until"]
_OF_EVERYONE = Prepared(_OF_PERIODS, _GIVEN)
_OF_SOME = Prepared(_OF_PERIODS.where(Among(_AT.member_key, "members")), [*_GIVEN, "members"])


def _stored(
    connection: sa.Connection, period: str, over: Over | None, filters: Filters
) -> dict[tuple[date, str], Sums]:
    """Sums that stand in agg_period as they are asked for."""
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
    asked = _OF_SOME if "members" in given else _OF_EVERYONE
    found: dict[tuple[date, str], Sums] = {}
    for row in asked.rows(connection, period=str(period), dimension=dimension, **given):
        if row[2] and not filters.with_samples:
            continue
        place = date_of(row[0]), "" if over is None else codes[row[1]]
        sums = dict(zip(PART_NAMES, row[3:], strict=True))
        if place in found:
            # Two versions of a reason, or calls and samples.
            add(found[place], sums)
        else:
            found[place] = sums
    return found


def _grouped(
    connection: sa.Connection, period: str, over: Over | None, filters: Filters
) -> dict[tuple[date, str], Sums]:
    """Sums added up from the smallest table that can tell the members apart."""
    table = _table_for(over, filters)
    start = PERIODS[period]
    grain = [start] if over is None else [start, CODES[over]]
    rows = connection.execute(
        sa.select(*grain, *(sa.func.sum(table.c[name]) for name in PART_NAMES))
        .select_from(joined(table, over).join(dim_date, dim_date.c.date_key == table.c.date_key))
        .where(*conditions(table, filters))
        .group_by(*grain)
    )
    found: dict[tuple[date, str], Sums] = {}
    for row in rows:
        code = "" if over is None else row[1]
        # PostgreSQL sums whole numbers into a decimal: back to the whole number that it is.
        found[date_of(row[0]), code] = dict(zip(PART_NAMES, map(int, row[len(grain) :]), strict=True))
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


def whole_sums(connection: sa.Connection, over: Over | None, filters: Filters) -> dict[str, Sums]:
    """The sums over the whole time, by member's code ("" where nothing is told apart)."""
    found: dict[str, Sums] = {}
    for (_, code), sums in period_sums(connection, "month", over, filters).items():
        if code in found:
            add(found[code], sums)
        else:
            found[code] = sums
    return found


def first_day(connection: sa.Connection, zone: str = "") -> date | None:
    """The day of the first call, in the zone ("": the site's); None where there is none."""
    other = other_zone(connection, Filters(zone=zone))
    if other is not None:
        return first_day_in(connection, other)
    key = connection.execute(sa.select(sa.func.min(agg_day.c.date_key))).scalar_one()
    return None if key is None else date_of(key)
