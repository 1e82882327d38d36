"""The tables of what webhooks are told by the clock, each thing once: a reason that has risen, the week's report."""

from typing import Any

import sqlalchemy as sa

from crm.tables import JSON, UtcDateTime, metadata


def message_columns() -> list[sa.Column[Any]]:
    """What crm.outgoing needs of a table of messages."""
    return [
        # What is told, as it was when it was noticed: figures and labels, nothing of a call.
        sa.Column("document", JSON, nullable=False),
        sa.Column("noticed_at", UtcDateTime, nullable=False),
        sa.Column("sent_at", UtcDateTime),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        # When it is sent next; whoever takes it moves this on first. NULL: sent, or given up.
        sa.Column("due_at", UtcDateTime, index=True),
        # Why the last attempt did not get through.
        sa.Column("failed_code", sa.Text),
    ]


reason_alert = sa.Table(
    "reason_alert",
    metadata,
    # A reason's code and the period, like 2026-W14: told of once, whatever late calls do to its figures.
    sa.Column("period", sa.Text, primary_key=True),
    sa.Column("reason_code", sa.Text, primary_key=True),
    *message_columns(),
)

week_report = sa.Table(
    "week_report",
    metadata,
    # Like 2026-W14.
    sa.Column("week", sa.Text, primary_key=True),
    *message_columns(),
)
