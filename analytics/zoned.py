"""Sums by days of another zone than the site's: what the roll-ups have, and at each edge of a period the calls between
the two midnights.

Sums of the site's days cannot be cut in another zone: its days may begin at half past, and on the night when the
site's clocks go back, one of its hours is two. But a period of the one and of the other zone differ by the calls
between their midnights alone: those are read of the facts, and the rest stands ready. All are whole numbers, so that
nothing is lost on the way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from analytics.selection import Filters, Sums, beside_days, period_start
from analytics.star import fact_call, refresh_state
from analytics.zones import midnight, offsets, zone_named
from crm.tables import UtcDateTime

# So many spans are asked for in one query: SQLite reads no chain of more than 1000 conditions.
_SPANS_AT_ONCE = 100
_began = fact_call.c.happened_at_utc
# No two zones are further apart than 26 hours.
_FURTHEST = timedelta(days=2)
_EPOCH = date(1970, 1, 1)
_DAY_S = 86_400


@dataclass(frozen=True)
class _Span:
    """The calls between the two midnights with which the day `edge` begins; `sign` is 1 where the other zone counts
    them to what begins then, and -1 where the site does.
    """

    edge: date
    begins: datetime
    ends: datetime
    sign: int


def site_zone(connection: sa.Connection) -> str:
    """The zone in which the roll-ups' days were cut; "UTC" before the first roll-up."""
    return connection.execute(sa.select(refresh_state.c.time_zone)).scalar_one_or_none() or "UTC"


def other_zone(connection: sa.Connection, filters: Filters) -> ZoneInfo | None:
    """The zone that is asked for; None where it is the site's. Raises NoSuchZone."""
    return other_zone_named(connection, filters.zone)


def other_zone_named(connection: sa.Connection, name: str) -> ZoneInfo | None:
    """The zone of that name; None for the site's and for "". Raises NoSuchZone."""
    return zone_named(name) if name and name != site_zone(connection) else None


def moved(
    connection: sa.Connection,
    period: str,
    filters: Filters,
    zone: ZoneInfo,
    *,
    columns: Sequence[sa.Column[Any]],
    source: sa.FromClause,
    parts: Sequence[str],
) -> Iterator[tuple[date, tuple[Any, ...], Sums]]:
    """What has to be added to the site's sums by week or month for those by days of `zone`: the first day of a period,
    the values of `columns`, the sums. `source` is fact_call, joined with the tables of `columns`.
    """
    since, until = filters.since or date.min, filters.until or date.max
    spans = list(_spans(connection, period, filters, zone))
    for some in _at_once(spans):
        place = sa.case(*((_began < _moment(span.ends), sa.literal_column(str(n))) for n, span in enumerate(some)))
        lies_in = (sa.and_(_began >= _moment(span.begins), _began < _moment(span.ends)) for span in some)
        rows = connection.execute(
            sa.select(place.label("span"), *columns, *(sa.func.sum(fact_call.c[name]) for name in parts))
            .select_from(source)
            .where(sa.or_(*lies_in), *beside_days(fact_call, filters))
            .group_by(sa.literal_column("span"), *columns)
        )
        for row in rows:
            span, values = some[row[0]], tuple(row[1 : len(columns) + 1])
            sums = dict(zip(parts, map(int, row[len(columns) + 1 :]), strict=True))
            if span.edge < until:
                yield period_start(period, span.edge), values, {name: span.sign * count for name, count in sums.items()}
            if span.edge > since:
                before = period_start(period, span.edge - timedelta(days=1))
                yield before, values, {name: -span.sign * count for name, count in sums.items()}


def days_in(
    connection: sa.Connection,
    filters: Filters,
    zone: ZoneInfo,
    *,
    columns: Sequence[sa.Column[Any]],
    source: sa.FromClause,
    parts: Sequence[str],
) -> Iterator[tuple[date, tuple[Any, ...], Sums]]:
    """The sums by days of `zone`, from the facts alone: of each day a part would have to be read for `moved`."""
    known = first_and_last(connection)
    if known is None:
        return
    day = local_seconds(connection, zone, *known) // _DAY_S
    rows = connection.execute(
        sa.select(day.label("local_day"), *columns, *(sa.func.sum(fact_call.c[name]) for name in parts))
        .select_from(source)
        .where(*days_within(filters, zone, known), *beside_days(fact_call, filters))
        .group_by(sa.literal_column("local_day"), *columns)
    )
    for number, *row in rows:
        values, sums = row[: len(columns)], row[len(columns) :]
        yield _EPOCH + timedelta(days=number), tuple(values), dict(zip(parts, map(int, sums), strict=True))


def hourly_calls_in(connection: sa.Connection, filters: Filters, zone: ZoneInfo) -> dict[tuple[date, int], int]:
    """Calls by day and hour of the zone."""
    found = first_and_last(connection)
    if found is None:
        return {}
    hour = local_seconds(connection, zone, *found) // 3600
    rows = connection.execute(
        sa.select(hour.label("local_hour"), sa.func.count())
        .where(*days_within(filters, zone, found), *beside_days(fact_call, filters))
        .group_by(sa.literal_column("local_hour"))
    )
    return {(_EPOCH + timedelta(days=number // 24), number % 24): calls for number, calls in rows}


def first_day_in(connection: sa.Connection, zone: ZoneInfo, *, with_samples: bool) -> date | None:
    """The day of the first call in the zone, of the real ones where it is without samples; None where there is none."""
    moments = sa.select(_began).order_by(_began).limit(1)
    if not with_samples:
        moments = moments.where(fact_call.c.is_sample.is_(False))
    found = connection.execute(moments).scalar_one_or_none()
    return found and found.astimezone(zone).date()


def local_seconds(connection: sa.Connection, zone: ZoneInfo, first: datetime, last: datetime) -> sa.ColumnElement[int]:
    """What the zone's clock shows when a call begins, in seconds since 1970 began there: of calls from `first` to
    `last`.
    """
    seconds: sa.ColumnElement[int]
    if connection.dialect.name == "sqlite":
        # To the second as it is written: SQLite would round what comes after it, now and then into the next day.
        written = sa.func.substr(sa.cast(_began, sa.Text), 1, 19)
        seconds = sa.cast(sa.func.strftime("%s", written), sa.BigInteger)
    else:
        seconds = sa.cast(sa.func.floor(sa.extract("epoch", _began)), sa.BigInteger)
    known = offsets(zone, first, last)
    ahead = [(until, sa.literal_column(str(offset), sa.BigInteger)) for until, offset in known]
    if len(ahead) == 1:
        return seconds + ahead[0][1]
    return seconds + sa.case(*((_began < _moment(until), offset) for until, offset in ahead[:-1]), else_=ahead[-1][1])


def days_within(filters: Filters, zone: ZoneInfo, known: tuple[datetime, datetime]) -> Iterator[sa.ColumnElement[bool]]:
    """The days of the filters, in the zone, as conditions on the facts, which lie in `known`."""
    earliest, latest = _days_of(known)
    if filters.since and filters.since > earliest:
        yield _began >= _moment(midnight(min(filters.since, latest), zone))
    if filters.until and filters.until < latest:
        yield _began < _moment(midnight(max(filters.until, earliest), zone))


def _spans(connection: sa.Connection, period: str, filters: Filters, zone: ZoneInfo) -> Iterator[_Span]:
    known = first_and_last(connection)
    if known is None:
        return
    ours = zone_named(site_zone(connection))
    for edge in _edges(period, filters, *_days_of(known)):
        mine, other = midnight(edge, ours), midnight(edge, zone)
        if mine != other:
            yield _Span(edge, min(mine, other), max(mine, other), 1 if other < mine else -1)


def _edges(period: str, filters: Filters, earliest: date, latest: date) -> Iterator[date]:
    """The days on which a period begins, is cut, or ends; without those on which nobody has called."""
    first, last = max(filters.since or earliest, earliest), min(filters.until or latest, latest)
    day = first
    while day <= last:
        if day in {filters.since, filters.until} or period_start(period, day) == day:
            yield day
        day += timedelta(days=1)


def _at_once(spans: Sequence[_Span]) -> Iterator[Sequence[_Span]]:
    """The spans in parts that one query can ask for: of a part, none overlaps another."""
    part: list[_Span] = []
    for span in spans:
        if part and (len(part) == _SPANS_AT_ONCE or span.begins < part[-1].ends):
            yield part
            part = []
        part.append(span)
    if part:
        yield part


def first_and_last(connection: sa.Connection) -> tuple[datetime, datetime] | None:
    """When the first and the last call that is counted began."""
    first, last = (
        connection.execute(sa.select(_began).order_by(order).limit(1)).scalar_one_or_none()
        for order in (_began.asc(), _began.desc())
    )
    return None if first is None or last is None else (first, last)


def _days_of(known: tuple[datetime, datetime]) -> tuple[date, date]:
    """Days of any zone, before and after all calls."""
    return (known[0] - _FURTHEST).date(), (known[1] + _FURTHEST).date()


def _moment(at: datetime) -> sa.BindParameter[datetime]:
    return sa.literal(at.astimezone(UTC), UtcDateTime)
