"""Alerts: a signed webhook is told of each reason that has risen in the last complete period, once for each."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from analytics.changed_reasons import changes, mover_document
from analytics.movers import BASELINE_PERIODS
from analytics.sums import Filters
from analytics.trends import By, local_today, period_before
from crm import outgoing
from crm.alert_tables import reason_alert
from crm.database import Database
from runtime.settings import Settings
from runtime.settings_outgoing import AlertSettings
from runtime.telling import Telling

KIND = "reason.risen"


class Alerts:
    """The alerts of one process, as the settings say."""

    def __init__(
        self, database: Database, settings: Settings, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._chosen: AlertSettings = settings.alerts
        self._clock = clock

    def tend(self) -> int:
        """Notice what has risen, and send what is due; returns how many alerts the receiver took."""
        if not self._chosen.is_configured:
            return 0
        self.notice()
        telling = Telling(self._database, reason_alert, self._chosen, kind=KIND, prefix="alert", clock=self._clock)
        return telling.send_due()

    def notice(self) -> int:
        """Write down which reasons have risen in the last complete period; returns how many were not known before.

        Generated history raises no alert.
        """
        chosen, now = self._chosen, self._clock()
        by = By(chosen.period)
        with self._database.read() as connection:
            today = local_today(connection, now - timedelta(hours=chosen.settle_h))
            filters = Filters(since=period_before(by, today, BASELINE_PERIODS + 1), with_samples=False)
            found = changes(connection, by=by, filters=filters, today=today, false_share=chosen.false_share)
        # A centre that was closed has no last complete period: what is older is no news.
        if found.starts_on is None or found.starts_on < period_before(by, today, 1):
            return 0
        risen = [mover for mover in found.risen if mover.now.count >= chosen.min_calls]
        if not risen:
            return 0
        count = 0
        with self._database.write() as connection:
            for mover in risen:
                document = mover_document(mover, found.labels.get(mover.code, mover.code))
                document |= {"period": found.period, "starts_on": found.starts_on.isoformat()}
                document |= {"against": list(found.against)}
                key = (found.period, mover.code)
                count += outgoing.notice(connection, reason_alert, key, document, now=now)
        return count
