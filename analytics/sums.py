"""Sums of parts by day and member, from the smallest table of the star schema that can tell the members apart."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import sqlalchemy as sa

from analytics.parts import PART_NAMES
from analytics.star import (
    UNKNOWN_CODE,
    agg_agent_day,
    agg_day,
    agg_hour,
    date_key,
    date_of,
    dim_agent,
    dim_queue,
    dim_reason,
    dim_team,
    fact_call,
)

Sums = dict[str, int]


class Over(StrEnum):
    """What the calls of a period are told apart by."""

    REASON = "reason"
    QUEUE = "queue"
    AGENT = "agent"
    TEAM = "team"


@dataclass(frozen=True)
class Filters:
    """Which calls count; None and "" do not restrict. `since` <= the call's day < `until`, in the site's zone.

    `reason` is a code, `queue`, `agent` and `team` are whole names. `with_samples=False` leaves generated history out.
    """

    since: date | None = None
    until: date | None = None
    reason: str = ""
    queue: str = ""
    agent: str = ""
    team: str = ""
    with_samples: bool = True


ALL = Filters()


def until_after(last: date | None) -> date | None:
    """The `until` with which the day `last` still counts; None, no bound, for the calendar's last day as well."""
    return last + timedelta(days=1) if last and last < date.max else None


_CODES: dict[Over, sa.Column[str]] = {
    Over.REASON: dim_reason.c.code,
    Over.QUEUE: dim_queue.c.name,
    Over.AGENT: dim_agent.c.name,
    Over.TEAM: dim_team.c.name,
}


def none() -> Sums:
    """The sums over no calls."""
    return dict.fromkeys(PART_NAMES, 0)


def add(into: Sums, sums: Mapping[str, int]) -> None:
    """Add `sums` to `into`."""
    for name, amount in sums.items():
        into[name] += amount


def total(many: Iterable[Mapping[str, int]]) -> Sums:
    """The sum of sums."""
    result = none()
    for sums in many:
        add(result, sums)
    return result


def daily_sums(connection: sa.Connection, over: Over | None, filters: Filters) -> dict[tuple[date, str], Sums]:
    """The sums of every day with calls, by day and member's code ("" where nothing is told apart)."""
    table = _table_for(over, filters)
    grain = [table.c.date_key] if over is None else [table.c.date_key, _CODES[over]]
    rows = connection.execute(
        sa.select(*grain, *(sa.func.sum(table.c[name]) for name in PART_NAMES))
        .select_from(_joined(table, over))
        .where(*_conditions(table, filters))
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


def _joined(table: sa.Table, over: Over | None) -> sa.FromClause:
    if over is None:
        return table
    key = _key_of(over)
    return table.join(key.table, table.c[key.name] == key)


def _key_of(over: Over) -> sa.Column[int]:
    return next(iter(_CODES[over].table.primary_key))


def _conditions(table: sa.Table, filters: Filters) -> Iterator[sa.ColumnElement[bool]]:
    if filters.since:
        yield table.c.date_key >= date_key(filters.since)
    if filters.until:
        yield table.c.date_key < date_key(filters.until)
    if not filters.with_samples:
        yield table.c.is_sample.is_(False)
    for over, code in _CODES.items():
        wanted = getattr(filters, over.value)
        if wanted:
            key = _key_of(over)
            yield table.c[key.name].in_(sa.select(key).where(sa.func.lower(code) == wanted.lower()))


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
    table = agg_hour if _needed(None, filters) <= {"queue"} else fact_call
    rows = connection.execute(
        sa.select(table.c.date_key, table.c.hour_of_day, sa.func.sum(table.c.call_count))
        .where(*_conditions(table, filters))
        .group_by(table.c.date_key, table.c.hour_of_day)
    )
    return {(date_of(key), hour): int(calls) for key, hour, calls in rows}


def first_day(connection: sa.Connection) -> date | None:
    """The day of the first call; None where there is none."""
    key = connection.execute(sa.select(sa.func.min(agg_day.c.date_key))).scalar_one()
    return None if key is None else date_of(key)
