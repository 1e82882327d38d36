"""The filters with which a point of a chart leads to its calls, as they stand in a URL."""

from typing import Annotated

from fastapi import Depends, Query
from pydantic import StringConstraints

from analytics.measures import BY_SLUG
from analytics.points import Point
from analytics.zones import NoSuchZone, zone_named
from crm.call_filters import WrongQuery

WEEKDAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
# The fields of a URL that make a point.
FIELDS = ("counted", "but", "weekday", "hour", "zone")
_Words = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00]*$")]


def read_point(
    *,
    counted: Annotated[
        _Words, Query(description="Slug of a measure: the calls of its n, as the roll-ups have it.")
    ] = "",
    but: Annotated[_Words, Query(description="Codes of reasons, with commas: calls of none of these.")] = "",
    weekday: Annotated[_Words, Query(description="1 (Monday) to 7: calls that the roll-ups have on that day.")] = "",
    hour: Annotated[_Words, Query(description="0 to 23: calls that began in that hour.")] = "",
    zone: Annotated[_Words, Query(description="IANA zone of days, weekdays and hours. Empty: the site's.")] = "",
) -> Point:
    """The point of a request. Raises WrongQuery."""
    if counted and counted not in BY_SLUG:
        raise WrongQuery(f"{counted!r} is no measure; docs/measures.md has them")
    return Point(
        measure=counted,
        but=tuple(code for code in but.split(",") if code),
        weekday=_number("weekday", weekday, 1, 7),
        hour=_number("hour", hour, 0, 23),
        zone=read_zone(zone),
    )


WantedPoint = Annotated[Point, Depends(read_point)]


def read_zone(name: str) -> str:
    """The name of a zone as it came. Raises WrongQuery."""
    try:
        if name:
            zone_named(name)
    except NoSuchZone as error:
        raise WrongQuery(error.detail) from None
    return name


def given_of(point: Point) -> dict[str, str]:
    """The fields of the URL that make the point."""
    words = {
        "counted": point.measure,
        "but": ",".join(point.but),
        "weekday": "" if point.weekday is None else str(point.weekday),
        "hour": "" if point.hour is None else str(point.hour),
        "zone": point.zone,
    }
    return {name: value for name, value in words.items() if value}


def words_of(point: Point) -> dict[str, str]:
    """What people read of these fields."""
    return {
        "counted": f"counted in: {BY_SLUG[point.measure].name}" if point.measure else "",
        "but": f"none of {len(point.but)} reason{'' if len(point.but) == 1 else 's'}",
        "weekday": f"on {WEEKDAYS[(point.weekday or 1) - 1]}",
        "hour": f"from {point.hour or 0:02}:00 to {(point.hour or 0) + 1:02}:00",
        "zone": f"days of {point.zone}",
    }


def _number(name: str, text: str, least: int, most: int) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 2 and least <= int(text) <= most):
        raise WrongQuery(f"{text!r} is no {name}; write {least} to {most}")
    return int(text)
