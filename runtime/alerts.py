"""Alerts: a signed webhook is told of each reason that has risen in the last complete period, once for each."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from analytics.changed_reasons import changes, mover_document
from analytics.movers import BASELINE_PERIODS
from analytics.sums import Filters
from analytics.trends import By, local_today, period_before
from calls.errors import CallwiseError
from crm import alerts
from crm.database import Database
from engines.webhook import Webhook
from runtime.settings import AlertSettings, Settings

log = structlog.get_logger()

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
        count = 0
        while True:
            with self._database.write() as connection:
                alert = alerts.take(connection, now=self._clock())
            if alert is None:
                return count
            count += self._send(alert)

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
                count += alerts.notice(connection, found.period, mover.code, document, now=now)
        return count

    def _send(self, alert: alerts.Alert) -> int:
        chosen = self._chosen
        try:
            webhook = Webhook(
                chosen.url,
                chosen.secret.get_secret_value(),
                allow_private=chosen.allow_private,
                clock=self._clock,
            )
            webhook.tell(KIND, f"alert.{alert.period}.{alert.reason_code}", dict(alert.document))
        except CallwiseError as error:
            with self._database.write() as connection:
                again = alerts.failed(connection, alert, error.code, now=self._clock())
            log.warning("alert_not_taken", period=alert.period, code=error.code, again=again)
            return 0
        with self._database.write() as connection:
            alerts.sent(connection, alert, now=self._clock())
        return 1
