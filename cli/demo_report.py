"""What the demo shows of itself at its end: calls by reason, handle time, two summaries, the files."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from analytics.trends import totals
from crm.tables import call, call_analysis
from runtime.wiring import Wiring

SHOWN_SUMMARIES = 2


def print_report(wired: Wiring, outcome: dict[str, Any]) -> None:
    """Print the demo's results; what the demo engines made is marked as theirs."""
    console = Console()
    console.print(
        f"\n{outcome['recordings']} recordings in {outcome['seconds']:.0f} s: {outcome['done']} done,"
        f" {outcome['skipped']} skipped, {outcome['failed']} failed (as they should be: see `callwise status`)",
        highlight=False,
    )
    with wired.database.read() as connection:
        reasons = connection.execute(_BY_REASON).all()
        everything = totals(connection)
        summaries = connection.execute(_SUMMARIES).all()
    taxonomy = wired.taxonomy_from_file()
    table = Table("reason", "calls", "share", title="The recordings' calls by reason")
    analysed = sum(row.calls for row in reasons)
    for row in reasons:
        table.add_row(taxonomy.label(row.reason_code), str(row.calls), f"{row.calls / analysed:.0%}")
    console.print(table)
    handle_time = everything.figures["handle_time_s"]
    console.print(
        f"With the generated history: {everything.calls} calls, mean handle time {handle_time.value:.0f} s"
        f" (n = {handle_time.n}).",
        highlight=False,
    )
    for row in summaries:
        origin = f"{row.model}, a demo engine: {row.summary_kind}" if row.is_demo else row.model
        console.print(f"\n[bold]{_plain(row.headline)}[/bold]  ({origin})")
        console.print(row.summary, markup=False, highlight=False)
    console.print()
    for path in outcome["exports"]:
        console.print(str(Path(path)), markup=False, highlight=False)


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


_RECORDED = sa.and_(call_analysis.c.is_current, call.c.is_sample.is_(False))
_BY_REASON = (
    sa.select(call_analysis.c.reason_code, sa.func.count().label("calls"))
    .join_from(call_analysis, call, call.c.id == call_analysis.c.call_id)
    .where(_RECORDED, call_analysis.c.reason_code.is_not(None))
    .group_by(call_analysis.c.reason_code)
    .order_by(sa.desc("calls"), call_analysis.c.reason_code)
)
_SUMMARIES = (
    sa.select(
        call_analysis.c.headline,
        call_analysis.c.summary,
        call_analysis.c.summary_kind,
        call_analysis.c.model,
        call_analysis.c.is_demo,
    )
    .join_from(call_analysis, call, call.c.id == call_analysis.c.call_id)
    .where(_RECORDED)
    .order_by(call_analysis.c.reason_confidence.desc(), call.c.happened_at)
    .limit(SHOWN_SUMMARIES)
)
