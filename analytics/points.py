"""The calls behind one point of a chart: a condition on calls that counts what the roll-ups counted, to the call."""

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from analytics.measures import BY_SLUG
from analytics.selection import CODES, Over, key_of
from analytics.star import UNKNOWN_CODE, dim_date, dim_reason, fact_call
from analytics.zoned import first_and_last, local_seconds, other_zone_named
from crm.tables import call

_DAY_S = timedelta(days=1) // timedelta(seconds=1)
# 1 January 1970 was a Thursday; days are counted from Monday.
_THURSDAY = 3


@dataclass(frozen=True)
class Point:
    """Which calls a point counts, beside the filters of every list; "" and None do not restrict.

    `measure` is the slug of the measure whose n they are; `reason` a code, `unknown` for calls without one; `but` are
    codes that the calls do not have; `not_known` those of queue, team and agent that are not known of the calls;
    `weekday` (1 is Monday) and `hour` (0 to 23) are of `zone`, "" for the site's.
    """

    measure: str = ""
    reason: str = ""
    but: tuple[str, ...] = ()
    not_known: tuple[Over, ...] = ()
    weekday: int | None = None
    hour: int | None = None
    zone: str = ""

    @property
    def restricts(self) -> bool:
        """Whether it leaves any call out."""
        return bool(
            self.measure
            or self.but
            or self.not_known
            or self.reason == UNKNOWN_CODE
            or self.weekday is not None
            or self.hour is not None
        )


def counted_by(slug: str) -> str:
    """The part of a fact that says whether a measure counts the call among its n."""
    measure = BY_SLUG[slug]
    return measure.denominator or measure.numerator


def counts(connection: sa.Connection, point: Point) -> sa.ColumnElement[bool]:
    """The condition on `call` that the point counts it, as the roll-ups have it. Raises NoSuchZone."""
    at = fact_call.c
    # By its time as well, as the index has it.
    is_same = sa.and_(at.happened_at_utc == call.c.happened_at, at.call_id == call.c.id)
    wanted: list[sa.ColumnElement[bool]] = [is_same, at[counted_by(point.measure or "calls")] > 0]
    if point.reason:
        wanted.append(at.reason_key.in_(_keys(dim_reason.c.code == point.reason)))
    if point.but:
        wanted.append(at.reason_key.not_in(_keys(dim_reason.c.code.in_(point.but))))
    for over in point.not_known:
        key = key_of(over)
        wanted.append(at[key.name].in_(sa.select(key).where(sa.func.lower(CODES[over]) == UNKNOWN_CODE)))
    if point.weekday is not None or point.hour is not None:
        wanted += _at_hour(connection, point)
    return sa.exists().where(*wanted)


def _at_hour(connection: sa.Connection, point: Point) -> list[sa.ColumnElement[bool]]:
    zone = other_zone_named(connection, point.zone)
    known = first_and_last(connection)
    found: list[sa.ColumnElement[bool]] = []
    if zone is None or known is None:
        days = sa.select(dim_date.c.date_key).where(dim_date.c.weekday == point.weekday)
        if point.weekday is not None:
            found.append(fact_call.c.date_key.in_(days))
        if point.hour is not None:
            found.append(fact_call.c.hour_of_day == point.hour)
        return found
    seconds = local_seconds(connection, zone, *known)
    if point.weekday is not None:
        found.append((seconds // _DAY_S + _THURSDAY) % 7 == point.weekday - 1)
    if point.hour is not None:
        found.append(seconds % _DAY_S // 3600 == point.hour)
    return found


def _keys(condition: sa.ColumnElement[bool]) -> sa.Select[tuple[int]]:
    return sa.select(dim_reason.c.reason_key).where(condition)
