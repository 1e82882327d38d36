"""The weekly report by the settings: written once for each week that has ended."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics.report import (
    monday_of_week,
    render_report,
    report_document,
    report_path,
    week_of,
    week_report,
    write_report,
)
from analytics.trends import local_today
from crm import outgoing
from crm.alert_tables import week_report as week_report_table
from crm.database import Database
from runtime.settings import Settings
from runtime.telling import Telling

KIND = "report.week"

# A week's last calls are still being heard and understood when it has ended.
SETTLES_IN = timedelta(days=1)


def report_as_set(
    database: Database, settings: Settings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> Path | None:
    """Write the report of the last week that had ended SETTLES_IN ago.

    None where it is there already, the week has no calls, or no folder is set.
    """
    if not settings.reports.folder:
        return None
    folder = Path(settings.reports.folder).expanduser()
    folder = folder if folder.is_absolute() else settings.home_path / folder
    with database.read() as connection:
        today = local_today(connection, clock()) - SETTLES_IN
        if report_path(folder, monday_of_week("", today)).exists():
            return None
        found = week_report(connection, today=today)
    if not found.reasons:
        return None
    return write_report(found, folder, title=settings.site.name)


def send_report_as_set(
    database: Database, settings: Settings, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> int:
    """Send the report of the last week that had ended SETTLES_IN ago, and what was not taken before; returns how many
    the receiver took.

    Each week's is made once: sent again, it has the same id and says the same.
    """
    if not settings.reports.url:
        return 0
    with database.read() as connection:
        today = local_today(connection, clock()) - SETTLES_IN
        key = (week_of(monday_of_week("", today)),)
        is_new = not outgoing.is_noticed(connection, week_report_table, key)
        found = week_report(connection, today=today) if is_new else None
    if found is not None and found.reasons:
        document = report_document(found) | {"html": render_report(found, title=settings.site.name)}
        with database.write() as connection:
            outgoing.notice(connection, week_report_table, key, document, now=clock())
    telling = Telling(database, week_report_table, settings.reports, kind=KIND, prefix="report", clock=clock)
    return telling.send_due()
