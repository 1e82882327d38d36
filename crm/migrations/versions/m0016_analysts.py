"""When something of a day changed last is read off the index of the days."""

import sqlalchemy as sa
from alembic import op

from crm.tables import JSON, UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema = "bi" if op.get_bind().dialect.name == "postgresql" else None
    op.drop_index("ix_fact_call_date_key", "fact_call", schema=schema)
    op.create_index("ix_fact_call_date_key", "fact_call", ["date_key", "modified_at_utc"], schema=schema)
    op.create_table(
        "reason_alert",
        sa.Column("period", sa.Text, nullable=False),
        sa.Column("reason_code", sa.Text, nullable=False),
        sa.Column("document", JSON, nullable=False),
        sa.Column("noticed_at", UtcDateTime, nullable=False),
        sa.Column("sent_at", UtcDateTime),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("due_at", UtcDateTime),
        sa.Column("failed_code", sa.Text),
        sa.PrimaryKeyConstraint("period", "reason_code", name="pk_reason_alert"),
    )
    op.create_index("ix_reason_alert_due_at", "reason_alert", ["due_at"])
