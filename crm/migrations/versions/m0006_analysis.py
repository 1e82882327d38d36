"""Analysis: which of several engines answered, and why the one before it was not enough."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("call_analysis", sa.Column("tier", sa.SmallInteger))
    op.add_column("call_analysis", sa.Column("escalated_for", sa.Text))
    op.create_index(
        "ix_call_analysis_tier",
        "call_analysis",
        ["tier", "escalated_for"],
        sqlite_where=sa.text("is_current AND tier IS NOT NULL"),
        postgresql_where=sa.text("is_current AND tier IS NOT NULL"),
    )
