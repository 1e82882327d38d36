"""Alerts, themes and reports; what a day last changed by is read off an index."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema = "bi" if op.get_bind().dialect.name == "postgresql" else None
    op.drop_index("ix_fact_call_date_key", "fact_call", schema=schema)
    op.create_index("ix_fact_call_date_key", "fact_call", ["date_key", "modified_at_utc"], schema=schema)
