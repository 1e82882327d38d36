"""Trends: the page with its charts and tables, and the same rows for programs."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from analytics.sums import Filters, Over, until_after
from analytics.trends import By, Figure, Member, TrendRow, local_today, members, row_document, time_zone, totals, trend
from crm.access import Permission
from crm.calls import WrongQuery, filter_choices
from web.api_route import ApiRoute
from web.auth import PageVisitor, needs, viewer_of
from web.charts import MAX_REASONS, line_chart, reasons_chart
from web.filters import Words
from web.own_trends import own_filters
from web.site import OurSite

router = APIRouter(route_class=ApiRoute)
# Below this many calls in either period a share is not said to go up or down.
MIN_N_FOR_CHANGE = 30
_SHOWN = {By.DAY: timedelta(days=60), By.WEEK: timedelta(weeks=26), By.MONTH: timedelta(days=730)}


@dataclass(frozen=True)
class Wish:
    """What a request for trends asks for; `given` are the fields as they were typed."""

    by: By
    filters: Filters
    given: dict[str, str]

    def query(self, **more: str) -> str:
        """The query string that repeats the wish with `more` in place of what was given."""
        return urlencode({name: value for name, value in (self.given | more).items() if value})


@dataclass(frozen=True)
class ReasonChange:
    """A reason's share in the last two complete periods; `direction` is `up`, `down`, or "" where nobody can tell."""

    label: str
    before: Figure | None
    now: Figure
    direction: str


def read_wish(
    *,
    by: Annotated[By, Query(description="Length of a period.")] = By.WEEK,
    since: Annotated[str, Query(description="First day.")] = "",
    until: Annotated[str, Query(description="Last day.")] = "",
    reason: Annotated[Words, Query(description="Code of a call reason.")] = "",
    queue: Annotated[Words, Query(description="Name of a queue.")] = "",
    agent: Annotated[Words, Query(description="Name of an agent.")] = "",
    team: Annotated[Words, Query(description="Name of a team.")] = "",
    samples: Annotated[str, Query(description="0: leave generated sample history out.")] = "",
) -> Wish:
    """The wish of a request. Raises WrongQuery."""
    first, last = _day(since), _day(until)
    filters = Filters(
        since=first,
        until=until_after(last),
        reason=reason,
        queue=queue,
        agent=agent,
        team=team,
        with_samples=samples != "0",
    )
    named = {"since": since, "until": until, "reason": reason, "queue": queue, "agent": agent, "team": team}
    given = {"by": by.value, **{k: v for k, v in named.items() if v}, **({"samples": "0"} if samples == "0" else {})}
    return Wish(by, filters, given)


def own_wish(request: Request, site: OurSite, asked: Annotated[Wish, Depends(read_wish)]) -> Wish:
    """The wish, narrowed to what whoever asks may see. Raises NotAllowed, WrongQuery."""
    with site.wiring.database.read() as connection:
        filters = own_filters(connection, viewer_of(request), asked.filters)
    whose = {"agent": filters.agent, "team": filters.team}
    return Wish(asked.by, filters, asked.given | {name: value for name, value in whose.items() if value})


Wished = Annotated[Wish, Depends(own_wish)]


@router.get("/api/v1/trends", tags=["trends"], dependencies=[Depends(needs(Permission.SEE_TRENDS))])
def trends_document(
    site: OurSite,
    wish: Wished,
    over: Annotated[Over | None, Query(description="What the calls of a period are told apart by.")] = None,
) -> dict[str, Any]:
    """Measures by period, over reasons, queues, agents or teams: `{"by", "over", "time_zone", "rows": [...]}`."""
    with site.wiring.database.read() as connection:
        found = trend(
            connection, by=wish.by, over=over, filters=wish.filters, today=local_today(connection, site.clock())
        )
    return {
        "by": found.by.value,
        "over": found.over.value if found.over else None,
        "time_zone": found.time_zone,
        "rows": [row_document(row) for row in found.rows],
    }


@router.get("/trends", include_in_schema=False, dependencies=[Depends(needs(Permission.SEE_TRENDS))])
def trends_page(request: Request, site: OurSite, visitor: PageVisitor, wish: Wished) -> Response:
    """Why customers call, how long it takes, and what comes of it, over time."""
    with site.wiring.database.read() as connection:
        context = _figures(connection, wish, local_today(connection, site.clock()))
        context |= {"choices": filter_choices(connection, visitor.viewer), "zone": time_zone(connection)}
    context |= {"visitor": visitor, "wish": wish, "periods": [*By], "is_filtered": len(wish.given) > 1}
    return site.templates.TemplateResponse(request, "trends.html", context)


def _figures(connection: sa.Connection, wish: Wish, today: date) -> dict[str, Any]:
    filters = wish.filters
    if filters.since is None:
        filters = Filters(**(filters.__dict__ | {"since": _aligned(today - _SHOWN[wish.by], wish.by)}))
    over_reasons = trend(connection, by=wish.by, over=Over.REASON, filters=filters, today=today).rows
    overall = trend(connection, by=wish.by, filters=filters, today=today).rows
    reasons = members(connection, over=Over.REASON, filters=filters)
    top = [member.label for member in reasons[:MAX_REASONS]]
    return {
        "totals": totals(connection, filters=filters),
        "overall": overall,
        "reasons": reasons,
        "links": {member.code: _calls_of(member, filters) for member in reasons},
        "changes": reason_changes(over_reasons),
        "has_incomplete": any(not row.is_complete for row in overall),
        "since": filters.since,
        "charts": {
            "reasons": reasons_chart(over_reasons, wish.by, top, as_share=False),
            "shares": reasons_chart(over_reasons, wish.by, top, as_share=True),
            "handle_time": line_chart(overall, wish.by, "handle_time_s", "Minutes per call", scale=1 / 60),
            "conversion": line_chart(
                overall, wish.by, "conversion_rate", "Sales calls that end in a sale", number_format=".0%"
            ),
        },
    }


def reason_changes(rows: tuple[TrendRow, ...]) -> list[ReasonChange]:
    """Each reason of the last complete period beside the complete period before it, largest share first."""
    complete = sorted({row.starts_on for row in rows if row.is_complete})[-2:]
    if not complete:
        return []
    by_period = [{row.label: row.figures.get("reason_share") for row in rows if row.starts_on == on} for on in complete]
    latest, before = by_period[-1], by_period[0] if len(by_period) == 2 else {}
    found = [
        ReasonChange(label, before.get(label), figure, _direction(before.get(label), figure))
        for label, figure in latest.items()
        if figure is not None and figure.value
    ]
    return sorted(found, key=lambda change: -(change.now.value or 0))


def _direction(before: Figure | None, now: Figure) -> str:
    if before is None or min(before.n, now.n) < MIN_N_FOR_CHANGE:
        return ""
    bounds = (before.low, before.high, now.low, now.high)
    if any(bound is None for bound in bounds):
        return ""
    if (now.low or 0) > (before.high or 0):
        return "up"
    return "down" if (now.high or 0) < (before.low or 0) else ""


def _calls_of(member: Member, filters: Filters) -> str:
    """The query string of the list of a reason's calls."""
    last = filters.until - timedelta(days=1) if filters.until else None
    asked = {
        "reason": member.code,
        "since": filters.since.isoformat() if filters.since else "",
        "until": last.isoformat() if last else "",
        "queue": filters.queue,
        "agent": filters.agent,
        "samples": "1" if filters.with_samples else "",
    }
    return urlencode({name: value for name, value in asked.items() if value})


def _aligned(day: date, by: By) -> date:
    if by is By.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by is By.MONTH else day


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise WrongQuery(f"{text!r} is no date; write 2026-03-14") from None
