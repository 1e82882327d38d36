"""Trends: measures by day, ISO week or month, over reasons, queues, agents or teams. What pages and commands show."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from analytics.measures import BY_SLUG, Kind, Measure, wilson
from analytics.parts import PART_NAMES
from analytics.sums import (
    ALL,
    Filters,
    Over,
    Sums,
    first_day,
    hourly_calls,
    labels_of,
    period_start,
    period_sums,
    total,
    whole_sums,
)
from analytics.zoned import site_zone
from analytics.zones import zone_named


class By(StrEnum):
    """How long a period is; a week is an ISO week."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Figure:
    """A measure's value and the `n` it rests on; None: nothing to divide by. `low` and `high` bound a rate, 95 %."""

    value: int | float | None
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class TrendRow:
    """One period and one member of the dimension.

    `period` is 2026-03-14, 2026-W11 or 2026-03; its days are `starts_on` <= day < `ends_on`. `is_complete` is False
    where the period has not ended, or is cut by the filters or by the first call. `code` and `label` name the member
    ("" where nothing is told apart; the code of a queue, agent or team is its name; `unknown` is the member for what
    is not known).
    """

    period: str
    starts_on: date
    ends_on: date
    is_complete: bool
    code: str
    label: str
    parts: Mapping[str, int] = field(repr=False)
    figures: Mapping[str, Figure] = field(repr=False)

    @property
    def calls(self) -> int:
        """The calls of this row."""
        return self.parts["call_count"]


@dataclass(frozen=True)
class Trend:
    """The rows in order of period and then of calls, most first; `time_zone` is the zone in which the days were cut."""

    by: By
    over: Over | None
    time_zone: str
    rows: tuple[TrendRow, ...]


@dataclass(frozen=True)
class Member:
    """One reason, queue, agent or team with its figures over the whole time that was asked for."""

    code: str
    label: str
    parts: Mapping[str, int] = field(repr=False)
    figures: Mapping[str, Figure] = field(repr=False)

    @property
    def calls(self) -> int:
        """The calls of this member."""
        return self.parts["call_count"]


@dataclass(frozen=True)
class HeatCell:
    """Calls that began in that hour (0 to 23) of that weekday (1 is Monday)."""

    weekday: int
    hour: int
    calls: int


def trend(
    connection: sa.Connection,
    *,
    by: By,
    over: Over | None = None,
    filters: Filters = ALL,
    today: date,
    measures: Collection[str] = BY_SLUG,
) -> Trend:
    """The trend table; a period without calls has no row.

    `today` is the date in the zone of the filters (`local_today`): a period that has not ended before it is not
    complete. `measures` are the slugs of those that are wanted: rows have no other figures, and no parts beside theirs,
    calls, samples and demonstrations.
    """
    parts = _parts_of(measures)
    labels = labels_of(connection, over)
    first = first_day(connection, filters) or today
    slugs = _slugs(measures, shares=_has_shares(over, filters))
    begins = max(first, filters.since or first)
    grouped: dict[date, dict[str, Sums]] = defaultdict(dict)
    for (starts_on, code), sums in period_sums(connection, by, over, filters, parts).items():
        grouped[starts_on][code] = sums
    rows = []
    for starts_on, members in sorted(grouped.items()):
        ends_on = _end_of(by, starts_on)
        is_complete = begins <= starts_on and ends_on <= min(today, filters.until or today)
        of_period = _shared(members.values(), parts)
        period = _name_of(by, starts_on)
        rows += [
            TrendRow(
                period=period,
                starts_on=starts_on,
                ends_on=ends_on,
                is_complete=is_complete,
                code=code,
                label=labels.get(code, code),
                parts=sums,
                figures=_Figures(sums, of_period, slugs),
            )
            for code, sums in sorted(members.items(), key=lambda item: (-item[1]["call_count"], item[0]))
        ]
    return Trend(by=by, over=over, time_zone=time_zone(connection, filters.zone), rows=tuple(rows))


def members(
    connection: sa.Connection, *, over: Over, filters: Filters = ALL, measures: Collection[str] = BY_SLUG
) -> tuple[Member, ...]:
    """Every reason, queue, agent or team with calls in the time, most calls first; `measures` as for `trend`."""
    labels, parts = labels_of(connection, over), _parts_of(measures)
    by_code = whole_sums(connection, over, filters, parts)
    slugs = _slugs(measures, shares=_has_shares(over, filters))
    totals = _shared(by_code.values(), parts)
    return tuple(
        Member(code, labels.get(code, code), sums, _Figures(sums, totals, slugs))
        for code, sums in sorted(by_code.items(), key=lambda item: (-item[1]["call_count"], item[0]))
    )


def totals(connection: sa.Connection, *, filters: Filters = ALL) -> Member:
    """Everything in the time as one member; its code and label are ""."""
    sums = total(whole_sums(connection, None, filters).values())
    return Member("", "", sums, _Figures(sums, sums, _slugs(BY_SLUG, shares=False)))


def heat_map(connection: sa.Connection, *, filters: Filters = ALL) -> tuple[HeatCell, ...]:
    """Calls by weekday and hour; cells without calls are left out."""
    cells: dict[tuple[int, int], int] = defaultdict(int)
    for (day, hour), calls in hourly_calls(connection, filters).items():
        cells[day.isoweekday(), hour] += calls
    return tuple(HeatCell(weekday, hour, calls) for (weekday, hour), calls in sorted(cells.items()))


def time_zone(connection: sa.Connection, asked: str = "") -> str:
    """The zone in which days are cut: the one that was asked for, else the site's; "UTC" before the first roll-up."""
    return asked or site_zone(connection)


def local_today(connection: sa.Connection, now: datetime, zone: str = "") -> date:
    """The date in the zone ("": the site's), for `trend`. Raises NoSuchZone."""
    return now.astimezone(zone_named(time_zone(connection, zone))).date()


def period_before(by: By, today: date, count: int) -> date:
    """The first day of the period that lies `count` periods before that of `today`."""
    start = period_start(by.value, today)
    for _ in range(count):
        start = period_start(by.value, start - timedelta(days=1))
    return start


def row_document(row: TrendRow) -> dict[str, object]:
    """One row as `callwise trends --json` and the API give it: every measure by its slug, intervals beside them."""
    return {
        "period": row.period,
        "starts_on": row.starts_on.isoformat(),
        "ends_on": row.ends_on.isoformat(),
        "is_complete": row.is_complete,
        "dimension": row.code,
        "label": row.label,
        **{slug: figure.value for slug, figure in row.figures.items()},
        "sample_calls": row.parts["sample_count"],
        "demo_calls": row.parts["demo_count"],
        "intervals": {
            slug: {"n": figure.n, "low": figure.low, "high": figure.high}
            for slug, figure in row.figures.items()
            if figure.low is not None
        },
    }


def _has_shares(over: Over | None, filters: Filters) -> bool:
    # A share of the reasons needs the other reasons beside it.
    return over is Over.REASON and not filters.reason


def _parts_of(measures: Collection[str]) -> tuple[str, ...]:
    """The parts that these measures are made of, and those that every row has."""
    made_of = [(BY_SLUG[slug].numerator, BY_SLUG[slug].denominator) for slug in measures]
    wanted = {*_EVER, *(name for names in made_of for name in names)}
    return PART_NAMES if measures is BY_SLUG else tuple(name for name in PART_NAMES if name in wanted)


def _slugs(measures: Collection[str], *, shares: bool) -> dict[str, None]:
    """The measures that can be told, in order."""
    return {
        slug: None
        for slug, measure in BY_SLUG.items()
        if slug in measures and (shares or measure.kind is not Kind.SHARE)
    }


def _shared(members: Collection[Sums], parts: Collection[str]) -> Mapping[str, int]:
    """What shares are shares of, summed over the members."""
    return {name: sum(sums[name] for sums in members) for name in _SHARED if name in parts}


_EVER = ("call_count", "sample_count", "demo_count")
_SHARED = {measure.denominator for measure in BY_SLUG.values() if measure.kind is Kind.SHARE and measure.denominator}


class _Figures(Mapping[str, Figure]):
    """The measures by slug, each made when it is asked for: a page shows three of thirty, for hundreds of rows."""

    def __init__(self, sums: Mapping[str, int], totals: Mapping[str, int], slugs: Mapping[str, None]) -> None:
        self._sums, self._totals, self._slugs = sums, totals, slugs

    def __getitem__(self, slug: str) -> Figure:
        if slug not in self._slugs:
            raise KeyError(slug)
        return _figure(BY_SLUG[slug], self._sums, self._totals)

    def __iter__(self) -> Iterator[str]:
        return iter(self._slugs)

    def __len__(self) -> int:
        return len(self._slugs)


def _figure(measure: Measure, sums: Mapping[str, int], totals: Mapping[str, int]) -> Figure:
    value = measure.value(sums, totals)
    if measure.denominator is None:
        return Figure(value, sums["call_count"])
    n = (totals if measure.kind is Kind.SHARE else sums)[measure.denominator]
    if measure.kind not in {Kind.RATE, Kind.SHARE}:
        return Figure(value, n)
    low, high = wilson(sums[measure.numerator], n) or (None, None)
    return Figure(value, n, low, high)


def _end_of(by: By, starts_on: date) -> date:
    if by is By.MONTH:
        return (starts_on + timedelta(days=31)).replace(day=1)
    return starts_on + timedelta(days=1 if by is By.DAY else 7)


def _name_of(by: By, starts_on: date) -> str:
    if by is By.WEEK:
        iso = starts_on.isocalendar()
        return f"{iso.year}-W{iso.week:02}"
    # The first seven letters, as strftime takes ten times as long.
    return starts_on.isoformat() if by is By.DAY else starts_on.isoformat()[:7]
