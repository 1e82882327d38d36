"""Which calls count for a sum, what they are told apart by, and how whole numbers are added."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

import sqlalchemy as sa

from analytics.dimensions import monday_of
from analytics.parts import PART_NAMES
from analytics.star import date_key, dim_agent, dim_queue, dim_reason, dim_team

Sums = dict[str, int]


class Over(StrEnum):
    """What the calls of a period are told apart by."""

    REASON = "reason"
    QUEUE = "queue"
    AGENT = "agent"
    TEAM = "team"


@dataclass(frozen=True)
class Filters:
    """Which calls count; None and "" do not restrict. `since` <= the call's day < `until`.

    `reason` is a code, `queue`, `agent` and `team` are whole names. `with_samples=False` leaves generated history out.
    Days, weeks, months and hours are those of `zone`, an IANA name; "" is the site's.
    """

    since: date | None = None
    until: date | None = None
    reason: str = ""
    queue: str = ""
    agent: str = ""
    team: str = ""
    with_samples: bool = True
    zone: str = ""


ALL = Filters()
_LAST_SINCE = date(9999, 11, 30)
CODES: dict[Over, sa.Column[str]] = {
    Over.REASON: dim_reason.c.code,
    Over.QUEUE: dim_queue.c.name,
    Over.AGENT: dim_agent.c.name,
    Over.TEAM: dim_team.c.name,
}


def since_from(first: date | None) -> date | None:
    """The `since` from which the day `first` counts: no later than the last day whose month ends in the calendar."""
    return min(first, _LAST_SINCE) if first else None


def until_after(last: date | None) -> date | None:
    """The `until` with which the day `last` still counts; None, no bound, for the calendar's last day as well."""
    return last + timedelta(days=1) if last and last < date.max else None


def period_start(period: str, day: date) -> date:
    """The first day of the day's period: day, week (ISO) or month."""
    if period == "day":
        return day
    return monday_of(day) if period == "week" else day.replace(day=1)


def none(parts: Sequence[str] = PART_NAMES) -> Sums:
    """The sums over no calls."""
    return dict.fromkeys(parts, 0)


def add(into: Sums, sums: Mapping[str, int]) -> None:
    """Add `sums` to `into`."""
    for name, amount in sums.items():
        into[name] += amount


def total(many: Iterable[Mapping[str, int]], parts: Sequence[str] = PART_NAMES) -> Sums:
    """The sum of sums."""
    result = none(parts)
    for sums in many:
        add(result, sums)
    return result


def joined(table: sa.Table, over: Over | None) -> sa.FromClause:
    """The table beside the dimension that tells its rows apart."""
    if over is None:
        return table
    key = key_of(over)
    return table.join(key.table, table.c[key.name] == key)


def key_of(over: Over) -> sa.Column[int]:
    """The key of the dimension."""
    return next(iter(CODES[over].table.primary_key))


def conditions(table: sa.Table, filters: Filters) -> Iterator[sa.ColumnElement[bool]]:
    """The filters as conditions on a table of the star, days and all: those of the site."""
    if filters.since:
        yield table.c.date_key >= date_key(filters.since)
    if filters.until:
        yield table.c.date_key < date_key(filters.until)
    yield from beside_days(table, filters)


def beside_days(table: sa.Table, filters: Filters) -> Iterator[sa.ColumnElement[bool]]:
    """The filters but for the days."""
    if not filters.with_samples:
        yield table.c.is_sample.is_(False)
    for over, code in CODES.items():
        wanted = getattr(filters, over.value)
        if wanted:
            key = key_of(over)
            yield table.c[key.name].in_(sa.select(key).where(sa.func.lower(code) == wanted.lower()))
