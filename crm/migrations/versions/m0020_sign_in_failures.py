"""Failed sign-ins are counted for all web processes together, and over a restart."""

import sqlalchemy as sa
from alembic import op

from crm.tables import UtcDateTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sign_in_failure",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("key_hash", sa.Text, nullable=False),
        sa.Column("failed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_failure"),
    )
    op.create_index("ix_sign_in_failure_failed_at", "sign_in_failure", ["failed_at"])
    op.create_index("ix_sign_in_failure_key_hash_failed_at", "sign_in_failure", ["key_hash", "failed_at"])
