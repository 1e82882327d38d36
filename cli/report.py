"""`report`: the figures of a week as one HTML file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from analytics.report import WrongWeek, report_document, week_report, write_report
from analytics.rollup import refresh
from analytics.trends import local_today
from cli.common import HomeOption, JsonFlag, emit, say, stop, wire
from crm.schema import require_current


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    *,
    out: Annotated[Path, typer.Option(help="The folder to write it into.")],
    week: Annotated[str, typer.Option(help="An ISO week like 2026-W12. Empty: the last one that has ended.")] = "",
    samples: Annotated[bool, typer.Option(help="Whether generated history counts.")] = True,
    home: HomeOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write the report of a week: reasons, what moved, and the measures with their intervals; to be read or printed."""
    wired = wire(home)
    require_current(wired.database)
    refresh(wired.database, wired.settings.site.named_zone)
    try:
        with wired.database.read() as connection:
            today = local_today(connection, datetime.now(UTC))
            found = week_report(connection, week=week, today=today, with_samples=samples)
    except WrongWeek as error:
        stop(f"callwise report: {error.detail}", code=2)
    path = write_report(found, out.expanduser(), title=wired.settings.site.name)
    if as_json:
        emit(report_document(found) | {"path": str(path)})
        return
    say(f"{path}: week {found.week}, {len(found.reasons)} reasons, {len(found.moved)} of them moved")
