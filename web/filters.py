"""The filters of the call list, as they stand in a URL."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query
from pydantic import StringConstraints

from calls.pipeline import Stage
from crm.calls import CallFilter, WrongQuery, parse_moment
from web.site import OurSite

# PostgreSQL refuses a NUL in any text.
Words = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00]*$")]
FIELDS = ("since", "until", "reason", "agent", "queue", "customer", "stage", "text")


@dataclass(frozen=True)
class UrlFilter:
    """Filters as they were typed; `given` holds those that are set, by field name."""

    wanted: CallFilter
    given: dict[str, str]

    def query(self, **more: str) -> str:
        """The query string that repeats these filters, with `more` added; "" for none."""
        both = {name: value for name, value in (self.given | more).items() if value}
        return f"?{urlencode(both)}" if both else ""


def read_filter(
    *,
    site: OurSite,
    since: Annotated[str, Query(description="From this date or time on; dates are in the site's time zone.")] = "",
    until: Annotated[str, Query(description="Up to this date (the whole day) or this time.")] = "",
    reason: Annotated[Words, Query(description="Code of a call reason.")] = "",
    agent: Annotated[Words, Query(description="Name of an agent.")] = "",
    queue: Annotated[Words, Query(description="Name of a queue.")] = "",
    customer: Annotated[Words, Query(description="Part of a customer's name or number.")] = "",
    stage: Annotated[str, Query(description="Where the call stands: " + ", ".join(Stage) + ".")] = "",
    text: Annotated[Words, Query(description="Words of the summary or the conversation.")] = "",
    samples: Annotated[str, Query(description="1: generated sample history too.")] = "",
) -> UrlFilter:
    """The filters of a request. Raises WrongQuery."""
    if stage and stage not in [*Stage]:
        raise WrongQuery(f"{stage!r} is no stage; stages are {', '.join(Stage)}")
    typed = (since, until, reason, agent, queue, customer.strip(), stage, text.strip())
    given = {name: value for name, value in zip(FIELDS, typed, strict=True) if value}
    if samples == "1":
        given["samples"] = "1"
    words = {name: value for name, value in given.items() if name not in {"since", "until", "samples"}}
    wanted = CallFilter(
        since=parse_moment(since, site.zone),
        until=parse_moment(until, site.zone, is_until=True),
        with_samples=samples == "1",
        **words,
    )
    return UrlFilter(wanted, given)


WantedCalls = Annotated[UrlFilter, Depends(read_filter)]
