"""When something of a day changed last is read off the index of the days."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema = "bi" if op.get_bind().dialect.name == "postgresql" else None
    op.drop_index("ix_fact_call_date_key", "fact_call", schema=schema)
    op.create_index("ix_fact_call_date_key", "fact_call", ["date_key", "modified_at_utc"], schema=schema)
