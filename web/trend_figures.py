"""What the trends page shows: figures, charts, and for every point the list of the calls behind it."""

from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from analytics.changed_reasons import changes_of, taxonomy_marks
from analytics.star import UNKNOWN_CODE
from analytics.sums import Filters, Over
from analytics.trends import By, TrendRow, heat_map, members, totals, trend
from web.charts import MAX_REASONS, WEEKDAYS, heat_chart, line_chart, marked, reasons_chart

_DAY = timedelta(days=1)


def page_figures(connection: sa.Connection, by: By, filters: Filters, today: date) -> dict[str, Any]:
    """Everything that the page shows of these calls, by the names of its template."""
    over_reasons = trend(connection, by=by, over=Over.REASON, filters=filters, today=today).rows
    overall = trend(connection, by=by, filters=filters, today=today).rows
    reasons = members(connection, over=Over.REASON, filters=filters)
    marks = [
        (starts_on, versions)
        for starts_on, versions in taxonomy_marks(connection, by, filters)
        if starts_on in {row.starts_on for row in overall}
    ]
    top = [member.label for member in reasons[:MAX_REASONS]]

    def link(row: TrendRow) -> str:
        # No filter of the list names the calls without a reason.
        return "" if row.code == UNKNOWN_CODE else calls_of_row(row, filters)

    lines = {
        "handle_time": line_chart(overall, by, "handle_time_s", "Minutes per call", scale=1 / 60, link=link),
        "sentiment": line_chart(overall, by, "sentiment", "Customer's mood, -5 to +5", link=link),
        "conversion": line_chart(
            overall, by, "conversion_rate", "Sales calls that end in a sale", number_format=".0%", link=link
        ),
        "repeats": line_chart(overall, by, "repeat_rate", "Calls followed by another", number_format=".0%", link=link),
        "cost": line_chart(overall, by, "cost_per_call_usd", "Dollars per call", number_format=".4f", link=link),
    }
    stacks = {
        name: reasons_chart(over_reasons, by, top, as_share=as_share, link=link)
        for name, as_share in (("reasons", False), ("shares", True))
    }
    cells = heat_map(connection, filters=filters)
    return {
        "totals": totals(connection, filters=filters),
        "overall": overall,
        "reasons": reasons,
        "links": {member.code: calls_query(filters, reason=member.code) for member in reasons},
        # Shares need the other reasons beside them.
        "changes": None if filters.reason else changes_of(over_reasons, marks),
        "link_of": link,
        "marks": marks,
        "hours": heat_table([(cell.weekday, cell.hour, cell.calls) for cell in cells]),
        "has_incomplete": any(not row.is_complete for row in overall),
        "since": filters.since,
        "charts": {
            **{name: marked(spec, by, marks) for name, spec in (stacks | lines).items()},
            "hours": heat_chart(cells),
        },
    }


def heat_table(cells: list[tuple[int, int, int]]) -> dict[str, Any]:
    """The hours that have calls, in order, and for each weekday its calls at these."""
    hours = sorted({hour for _, hour, _ in cells})
    calls = {(weekday, hour): count for weekday, hour, count in cells}
    return {
        "hours": hours,
        "days": [(name, [calls.get((weekday, hour), 0) for hour in hours]) for weekday, name in enumerate(WEEKDAYS, 1)],
    }


def calls_of_row(row: TrendRow, filters: Filters) -> str:
    """Where the list of the calls of one point is."""
    since = max(row.starts_on, filters.since or row.starts_on)
    until = min(row.ends_on, filters.until or row.ends_on)
    query = calls_query(filters, since=since.isoformat(), until=(until - _DAY).isoformat(), reason=row.code)
    return f"/calls?{query}"


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
        **more,
    }
    asked["reason"] = asked.get("reason") or filters.reason
    return urlencode({name: value for name, value in asked.items() if value})
