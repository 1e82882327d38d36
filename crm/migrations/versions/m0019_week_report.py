"""The week's report is sent to a webhook: which weeks' were, and which are on their way."""

import sqlalchemy as sa
from alembic import op

from crm.tables import JSON, UtcDateTime

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "week_report",
        sa.Column("week", sa.Text, nullable=False),
        sa.Column("document", JSON, nullable=False),
        sa.Column("noticed_at", UtcDateTime, nullable=False),
        sa.Column("sent_at", UtcDateTime),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due_at", UtcDateTime),
        sa.Column("failed_code", sa.Text),
        sa.PrimaryKeyConstraint("week", name="pk_week_report"),
    )
    op.create_index("ix_week_report_due_at", "week_report", ["due_at"])
