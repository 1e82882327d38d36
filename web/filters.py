"""The filters of the call list, as they stand in a URL."""

from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Depends, Query
from pydantic import StringConstraints

from analytics.points import Point, counts
from analytics.selection import Over
from analytics.star import UNKNOWN_CODE
from calls.analysis import Outcome
from calls.pipeline import Stage
from calls.recording import Direction
from crm.call_filters import MOODS, CallFilter, WrongQuery
from crm.calls import parse_moment
from web.point_filters import WantedPoint, given_of
from web.site import OurSite

# PostgreSQL refuses a NUL in any text.
Words = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
# The key of a page.
After = Annotated[str, Query(description="`next` of the page before.", max_length=100)]
# Those that take one of some words, with these.
CHOICES = {"stage": tuple(Stage), "direction": tuple(Direction), "outcome": tuple(Outcome), "sentiment": MOODS}


@dataclass(frozen=True)
class UrlFilter:
    """Filters as they were typed; `given` holds those that are set, by field name. `point` is the part of a chart that
    they come from.
    """

    wanted: CallFilter
    given: dict[str, str]
    point: Point

    def query(self, **more: str) -> str:
        """The query string that repeats these filters, with `more` added; "" for none."""
        both = {name: value for name, value in (self.given | more).items() if value}
        return f"?{urlencode(both)}" if both else ""

    def without(self, *names: str) -> str:
        """The query string that repeats these filters but for those; "" for none."""
        left = {name: value for name, value in self.given.items() if name not in names}
        return f"?{urlencode(left)}" if left else ""


def read_filter(
    *,
    site: OurSite,
    point: WantedPoint,
    since: Annotated[str, Query(description="From this date or time on; dates are in the site's time zone.")] = "",
    until: Annotated[str, Query(description="Up to this date (the whole day) or this time.")] = "",
    reason: Annotated[Words, Query(description="Code of a call reason.")] = "",
    agent: Annotated[Words, Query(description="Name of an agent.")] = "",
    team: Annotated[Words, Query(description="Name of a team.")] = "",
    queue: Annotated[Words, Query(description="Name of a queue.")] = "",
    customer: Annotated[Words, Query(description="Part of a customer's name or number.")] = "",
    direction: Annotated[str, Query(description="Who called whom: " + ", ".join(Direction) + ".")] = "",
    outcome: Annotated[str, Query(description="How the call ended: " + ", ".join(Outcome) + ".")] = "",
    sentiment: Annotated[str, Query(description="The customer's mood: " + ", ".join(MOODS) + ".")] = "",
    stage: Annotated[str, Query(description="Where the call stands: " + ", ".join(Stage) + ".")] = "",
    needs_review: Annotated[str, Query(description="1: only those that a person should look at.")] = "",
    text: Annotated[Words, Query(description='Words and "phrases" of the summary or the conversation.')] = "",
    samples: Annotated[str, Query(description="1: generated sample history too.")] = "",
) -> UrlFilter:
    """The filters of a request. Raises WrongQuery."""
    words = {"reason": reason.lower(), "agent": agent, "team": team, "queue": queue, "customer": customer.strip()}
    words |= {"direction": direction, "outcome": outcome, "sentiment": sentiment, "stage": stage, "text": text.strip()}
    for name, known in CHOICES.items():
        if words[name] and words[name] not in known:
            raise WrongQuery(f"{words[name]!r} is no {name}; there are {', '.join(known)}")
    marks = {"needs_review": needs_review, "samples": samples}
    given = {"since": since, "until": until, **words, **{name: "1" for name, mark in marks.items() if mark == "1"}}
    zone = ZoneInfo(point.zone) if point.zone else site.zone
    not_known = tuple(over for over in (Over.QUEUE, Over.TEAM, Over.AGENT) if words[over].lower() == UNKNOWN_CODE)
    point = replace(point, reason=words["reason"], not_known=not_known)
    only = None
    if point.restricts:
        with site.wiring.database.read() as connection:
            only = counts(connection, point)
        # No call has the code or the name of what is not known.
        nobodys = {*not_known, *([Over.REASON] if point.reason == UNKNOWN_CODE else [])}
        words = {name: "" if name in nobodys else word for name, word in words.items()}
    wanted = CallFilter(
        since=parse_moment(since, zone),
        until=parse_moment(until, zone, is_until=True),
        needs_review=needs_review == "1",
        with_samples=samples == "1",
        only=only,
        **words,
    )
    return UrlFilter(wanted, {name: value for name, value in (given | given_of(point)).items() if value}, point)


WantedCalls = Annotated[UrlFilter, Depends(read_filter)]
