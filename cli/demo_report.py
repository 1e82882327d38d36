"""What the demo shows of itself at its end: calls by reason, handle time, two summaries, the files."""

from functools import partial
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from analytics.exports import MANIFEST, WORKBOOK
from analytics.sums import Filters, Over
from analytics.trends import Figure, members, totals
from crm.tables import call, call_analysis
from runtime.wiring import Wiring

SHOWN_SUMMARIES = 2
RECORDED = Filters(with_samples=False)


def print_report(wired: Wiring, outcome: dict[str, Any]) -> None:
    """Print the demo's results; what the demo engines made is marked as theirs."""
    console = Console()
    line = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    with wired.database.read() as connection:
        reasons = members(connection, over=Over.REASON, filters=RECORDED)
        recorded, everything = totals(connection, filters=RECORDED), totals(connection)
        summaries = connection.execute(_SUMMARIES).all()
    line(
        f"\n{outcome['recordings']} recordings in {outcome['seconds']:.0f} s: {outcome['done']} done,"
        f" {outcome['skipped']} skipped, {outcome['failed']} failed; the odd ones among them are meant to be."
    )
    table = Table("reason", "calls", "handle time", title="The recordings' calls by reason")
    for member in reasons:
        table.add_row(member.label, str(member.calls), _minutes(member.figures["handle_time_s"]))
    table.add_section()
    table.add_row("all", str(recorded.calls), _minutes(recorded.figures["handle_time_s"]))
    console.print(table)
    line(
        f"With the generated history of half a year: {everything.calls} calls, mean handle time"
        f" {_minutes(everything.figures['handle_time_s'])}."
    )
    for row in summaries:
        origin = f"{row.summary_kind} by {row.model}, a demo engine" if row.is_demo else row.model
        line(f"\n{row.headline}   [{origin}]")
        line(row.summary)
    folder = wired.settings.exports_place
    line(f"\nFor BI tools, below {folder}:")
    line(f"  csv/ with datapackage.json, parquet/ by month, {WORKBOOK}, {MANIFEST}: {len(outcome['exports'])} files")


def _minutes(figure: Figure) -> str:
    if figure.value is None:
        return "-"
    minutes, seconds = divmod(round(figure.value), 60)
    return f"{minutes}:{seconds:02d}"


_SUMMARIES = (
    sa.select(
        call_analysis.c.headline,
        call_analysis.c.summary,
        call_analysis.c.summary_kind,
        call_analysis.c.model,
        call_analysis.c.is_demo,
    )
    .join_from(call_analysis, call, call.c.id == call_analysis.c.call_id)
    .where(call_analysis.c.is_current, call.c.is_sample.is_(False))
    .order_by(call_analysis.c.reason_confidence.desc(), call.c.happened_at)
    .limit(SHOWN_SUMMARIES)
)
