"""Trends: the page with its charts and tables, and the same rows for programs."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from analytics.changed_reasons import changes, changes_document, taxonomy_marks
from analytics.movers import FALSE_SHARE
from analytics.selection import Filters, Over, since_from, until_after
from analytics.trends import By, heat_map, local_today, row_document, time_zone, trend
from crm.access import Permission
from crm.calls import WrongQuery, filter_choices
from web.api_route import ApiRoute
from web.auth import PageVisitor, needs, viewer_of
from web.filters import Words
from web.own_trends import own_filters
from web.point_filters import read_zone
from web.site import OurSite, Site
from web.trend_figures import page_figures

router = APIRouter(route_class=ApiRoute)
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
    zone: Annotated[Words, Query(description="IANA zone in which days are cut. Empty: the site's.")] = "",
) -> Wish:
    """The wish of a request. Raises WrongQuery."""
    first, last = _day(since), _day(until)
    filters = Filters(
        since=since_from(first),
        until=until_after(last),
        reason=reason,
        queue=queue,
        agent=agent,
        team=team,
        with_samples=samples != "0",
        zone=read_zone(zone),
    )
    named = {"since": since, "until": until, "reason": reason, "queue": queue, "agent": agent, "team": team}
    named["zone"] = zone
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
    """Measures by period, over reasons, queues, agents or teams: `{"by", "over", "time_zone", "rows": [...]}`.

    `taxonomy_marks` are the periods from which on other versions of the taxonomy classify: `{"starts_on", "versions"}`.
    """
    with site.wiring.database.read() as connection:
        today = today_of(connection, site, wish)
        found = trend(connection, by=wish.by, over=over, filters=wish.filters, today=today)
        marks = taxonomy_marks(connection, wish.by, wish.filters)
    starts = {row.starts_on for row in found.rows}
    return {
        "by": found.by.value,
        "over": found.over.value if found.over else None,
        "time_zone": found.time_zone,
        "taxonomy_marks": [
            {"starts_on": starts_on.isoformat(), "versions": versions}
            for starts_on, versions in marks
            if starts_on in starts
        ],
        "rows": [row_document(row) for row in found.rows],
    }


@router.get("/api/v1/trends/changes", tags=["trends"], dependencies=[Depends(needs(Permission.SEE_TRENDS))])
def changes_of_reasons(
    site: OurSite,
    wish: Wished,
    false_share: Annotated[
        float, Query(gt=0, lt=0.5, description="Of the reasons said to have moved, so many may be so by chance.")
    ] = FALSE_SHARE,
) -> dict[str, Any]:
    """Which reasons' shares have moved, over complete periods under one taxonomy: `jumps` in the last period,
    `drifts` over all of them, each with its interval, its n and its p-value (docs/trends.md).
    """
    with site.wiring.database.read() as connection:
        today = today_of(connection, site, wish)
        return changes_document(
            changes(connection, by=wish.by, filters=since_default(wish, today), today=today, false_share=false_share)
        )


@router.get("/api/v1/trends/hours", tags=["trends"], dependencies=[Depends(needs(Permission.SEE_TRENDS))])
def hours_of_week(site: OurSite, wish: Wished) -> dict[str, Any]:
    """Calls by weekday (1 is Monday) and hour of the day: `{"time_zone", "cells": [{"weekday", "hour", "calls"}]}`."""
    with site.wiring.database.read() as connection:
        cells = heat_map(connection, filters=wish.filters)
        zone = time_zone(connection, wish.filters.zone)
    return {
        "time_zone": zone,
        "cells": [{"weekday": cell.weekday, "hour": cell.hour, "calls": cell.calls} for cell in cells],
    }


@router.get("/trends", include_in_schema=False, dependencies=[Depends(needs(Permission.SEE_TRENDS))])
def trends_page(request: Request, site: OurSite, visitor: PageVisitor, wish: Wished) -> Response:
    """Why customers call, how long it takes, and what comes of it, over time."""
    with site.wiring.database.read() as connection:
        today = today_of(connection, site, wish)
        context = page_figures(connection, wish.by, since_default(wish, today), today)
        context |= {
            "choices": filter_choices(connection, visitor.viewer),
            "zone": time_zone(connection, wish.filters.zone),
        }
        context["site_zone"] = time_zone(connection)
    context |= {"visitor": visitor, "wish": wish, "periods": [*By], "is_filtered": len(wish.given) > 1}
    return site.templates.TemplateResponse(request, "trends.html", context)


def today_of(connection: sa.Connection, site: Site, wish: Wish) -> date:
    """The date in the zone that is asked for."""
    return local_today(connection, site.clock(), wish.filters.zone)


def since_default(wish: Wish, today: date) -> Filters:
    """The wish's filters, over the time that a page shows where nothing is asked for."""
    if wish.filters.since is not None:
        return wish.filters
    return replace(wish.filters, since=_aligned(today - _SHOWN[wish.by], wish.by))


def _aligned(day: date, by: By) -> date:
    if by is By.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by is By.MONTH else day


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise WrongQuery(f"{text!r} is no date; write 2026-03-14") from None
