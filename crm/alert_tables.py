"""The table of alerts: which reason was told of for which period, so that nobody is told twice."""

import sqlalchemy as sa

from crm.tables import JSON, UtcDateTime, metadata

reason_alert = sa.Table(
    "reason_alert",
    metadata,
    # A reason's code and the period, like 2026-W14: told of once, whatever late calls do to its figures.
    sa.Column("period", sa.Text, primary_key=True),
    sa.Column("reason_code", sa.Text, primary_key=True),
    # What is told, as it was when it was noticed: figures and labels, nothing of a call.
    sa.Column("document", JSON, nullable=False),
    sa.Column("noticed_at", UtcDateTime, nullable=False),
    sa.Column("sent_at", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    # When it is sent next; whoever takes it moves this on first. NULL: sent, or given up.
    sa.Column("due_at", UtcDateTime, index=True),
    # Why the last attempt did not get through.
    sa.Column("failed_code", sa.Text),
)
