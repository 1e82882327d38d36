"""Calls without a customer are found by a number or a name: one of which neither was told costs nothing there."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_NAME = "ix_call_unfiled"
_TOLD = ("from_number_e164", "to_number_e164", "customer_name")


def upgrade() -> None:
    where = sa.text(f"contact_id IS NULL AND ({' OR '.join(f'{column} IS NOT NULL' for column in _TOLD)})")
    op.drop_index(_NAME, "call")
    op.create_index(
        _NAME,
        "call",
        ["happened_at", "id", "is_sample", "agent_id", "direction", *_TOLD],
        sqlite_where=where,
        postgresql_where=where,
    )
