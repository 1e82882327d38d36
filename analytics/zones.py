"""Clocks of time zones: when days begin, and how far ahead of UTC they are. Pure functions."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from calls.errors import CallwiseError

_DAY = timedelta(days=1)


class NoSuchZone(CallwiseError):
    """The name is none of an IANA time zone."""

    code = "no_such_zone"


def zone_named(name: str) -> ZoneInfo:
    """The IANA zone of that name. Raises NoSuchZone."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise NoSuchZone(f"{name!r} is no IANA time zone; write one like Europe/Berlin") from None


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When the day begins in the zone, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def offsets(zone: ZoneInfo, first: datetime, last: datetime) -> list[tuple[datetime, int]]:
    """How many seconds the zone's clocks are ahead of UTC from `first` to `last`: each with the moment until which that
    holds, the last one with a moment behind `last`.
    """
    found = []
    day = first
    while day <= last:
        following = day + _DAY
        if _ahead(zone, day) != _ahead(zone, following):
            changes_at = _change(zone, day, following)
            found.append((changes_at, _ahead(zone, day)))
        day = following
    return [*found, (day, _ahead(zone, day))]


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first second at which the clocks no longer show what they did `before`."""
    low, high = int(before.timestamp()), int(after.timestamp())
    offset = _ahead(zone, before)
    while high - low > 1:
        middle = (low + high) // 2
        if _ahead(zone, datetime.fromtimestamp(middle, UTC)) == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def _ahead(zone: ZoneInfo, moment: datetime) -> int:
    ahead = moment.astimezone(zone).utcoffset() or timedelta()
    return ahead // timedelta(seconds=1)
