"""Alerts on their way: noticed once for a reason and a period, sent by one worker at a time until they are taken."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crm.alert_tables import reason_alert
from crm.database import insert

# Between attempts; after the last one nothing more is sent.
WAITS = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
)
# A worker that died while it sent is followed by another after this time.
_HELD = timedelta(minutes=2)


@dataclass(frozen=True)
class Alert:
    """One alert that is to be sent now."""

    period: str
    reason_code: str
    document: Mapping[str, Any]
    attempts: int


def notice(
    connection: sa.Connection, period: str, reason_code: str, document: Mapping[str, Any], *, now: datetime
) -> bool:
    """Write the alert down to be sent; False where this reason was told of for this period already."""
    row = {"period": period, "reason_code": reason_code, "document": dict(document), "noticed_at": now, "due_at": now}
    done = connection.execute(insert(connection, reason_alert).values(row).on_conflict_do_nothing())
    return done.rowcount == 1


def take(connection: sa.Connection, *, now: datetime) -> Alert | None:
    """The alert that has been due for longest, which is nobody else's for now; None where none is."""
    at = reason_alert.c
    row = connection.execute(
        sa.select(reason_alert)
        .where(at.due_at <= now)
        .order_by(at.due_at, at.period, at.reason_code)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    connection.execute(
        sa.update(reason_alert)
        .where(at.period == row.period, at.reason_code == row.reason_code)
        .values(due_at=now + _HELD, attempts=row.attempts + 1)
    )
    return Alert(row.period, row.reason_code, row.document, row.attempts + 1)


def sent(connection: sa.Connection, alert: Alert, *, now: datetime) -> None:
    """Note that the receiver has it."""
    _update(connection, alert, {"sent_at": now, "due_at": None, "failed_code": None})


def failed(connection: sa.Connection, alert: Alert, code: str, *, now: datetime) -> bool:
    """Note that it did not get through; returns whether it will be tried again."""
    is_tried_again = alert.attempts <= len(WAITS)
    due_at = now + WAITS[alert.attempts - 1] if is_tried_again else None
    _update(connection, alert, {"due_at": due_at, "failed_code": code})
    return is_tried_again


def _update(connection: sa.Connection, alert: Alert, values: Mapping[str, Any]) -> None:
    at = reason_alert.c
    connection.execute(
        sa.update(reason_alert)
        .where(at.period == alert.period, at.reason_code == alert.reason_code)
        .values(dict(values))
    )
