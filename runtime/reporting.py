"""The weekly report by the settings: written once for each week that has ended."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics.report import monday_of_week, report_path, week_report, write_report
from analytics.trends import local_today
from crm.database import Database
from runtime.settings import Settings

# How often the workers look whether a week is to be reported.
REPORT_LOOK_S = 900.0
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
