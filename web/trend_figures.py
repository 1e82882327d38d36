"""What the trends page shows: figures, charts, and for every point the list of the calls behind it."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from analytics.changed_reasons import OVER_REASONS, changes_of, taxonomy_marks
from analytics.sums import Filters, Over
from analytics.trends import By, HeatCell, TrendRow, heat_map, members, totals, trend
from web.charts import MAX_REASONS, WEEKDAYS, heat_chart, line_chart, marked, reasons_chart

# What the page shows of each reason over the whole time.
OF_REASONS = ("reason_share", "handle_time_s", "sentiment", "repeat_rate")
_DAY = timedelta(days=1)


def page_figures(connection: sa.Connection, by: By, filters: Filters, today: date) -> dict[str, Any]:
    """Everything that the page shows of these calls, by the names of its template."""
    over_reasons = trend(connection, by=by, over=Over.REASON, filters=filters, today=today, measures=OVER_REASONS).rows
    overall = trend(connection, by=by, filters=filters, today=today).rows
    reasons = members(connection, over=Over.REASON, filters=filters, measures=OF_REASONS)
    marks = [
        (starts_on, versions)
        for starts_on, versions in taxonomy_marks(connection, by, filters)
        if starts_on in {row.starts_on for row in overall}
    ]
    top = [member.label for member in reasons[:MAX_REASONS]]
    named = ",".join(member.code for member in reasons if member.label in top)

    def link_of(row: TrendRow, slug: str) -> str:
        return calls_of_row(row, filters, counted=slug)

    def line(slug: str, title: str, **drawn: Any) -> dict[str, Any]:
        return line_chart(overall, by, slug, title, link=lambda row: link_of(row, slug), **drawn)

    def stack(slug: str, *, as_share: bool) -> dict[str, Any]:
        return reasons_chart(
            over_reasons,
            by,
            top,
            as_share=as_share,
            link=lambda row: link_of(row, slug),
            others_link=lambda row: calls_of_row(row, filters, counted=slug, reason="", but=named),
        )

    def cell_link(cell: HeatCell) -> str:
        query = calls_query(filters, counted="calls", weekday=str(cell.weekday), hour=str(cell.hour))
        return f"/calls?{query}"

    lines = {
        "handle_time": line("handle_time_s", "Minutes per call", scale=1 / 60),
        "sentiment": line("sentiment", "Customer's mood, -5 to +5"),
        "conversion": line("conversion_rate", "Sales calls that end in a sale", number_format=".0%"),
        "repeats": line("repeat_rate", "Calls followed by another", number_format=".0%"),
        "cost": line("cost_per_call_usd", "Dollars per call", number_format=".4f"),
    }
    stacks = {"reasons": stack("calls", as_share=False), "shares": stack("classified", as_share=True)}
    cells = heat_map(connection, filters=filters)
    return {
        "totals": totals(connection, filters=filters),
        "overall": overall,
        "reasons": reasons,
        "links": {member.code: calls_query(filters, reason=member.code, counted="calls") for member in reasons},
        # Shares need the other reasons beside them.
        "changes": None if filters.reason else changes_of(over_reasons, marks),
        "link_of": link_of,
        "marks": marks,
        "hours": heat_table(cells, cell_link),
        "has_incomplete": any(not row.is_complete for row in overall),
        "since": filters.since,
        "charts": {
            **{name: marked(spec, by, marks) for name, spec in (stacks | lines).items()},
            "hours": heat_chart(cells, link=cell_link),
        },
    }


def heat_table(cells: Sequence[HeatCell], link: Callable[[HeatCell], str]) -> dict[str, Any]:
    """The weekdays' names, and for each hour with calls its calls on these, with where they are listed."""
    told = {(cell.weekday, cell.hour): (cell.calls, link(cell)) for cell in cells}
    hours = sorted({cell.hour for cell in cells})
    return {
        "days": WEEKDAYS,
        "hours": [(hour, [told.get((weekday, hour), (0, "")) for weekday in range(1, 8)]) for hour in hours],
    }


def calls_of_row(row: TrendRow, filters: Filters, **more: str) -> str:
    """Where the list of the calls of one point is."""
    since = max(row.starts_on, filters.since or row.starts_on)
    until = min(row.ends_on, filters.until or row.ends_on)
    asked = {"since": since.isoformat(), "until": (until - _DAY).isoformat(), "reason": row.code, **more}
    return f"/calls?{calls_query(filters, **asked)}"


def calls_query(filters: Filters, **more: str) -> str:
    """The query string of the list of calls under the filters, with `more` in their place."""
    last = filters.until - _DAY if filters.until else None
    asked = {
        "since": filters.since.isoformat() if filters.since else "",
        "until": last.isoformat() if last else "",
        "queue": filters.queue,
        "agent": filters.agent,
        "team": filters.team,
        "samples": "1" if filters.with_samples else "",
        "zone": filters.zone,
        **more,
    }
    asked["reason"] = asked.get("reason") or filters.reason
    return urlencode({name: value for name, value in asked.items() if value})
