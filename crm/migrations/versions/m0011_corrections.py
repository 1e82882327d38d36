"""Corrections of more than the reason; calls whose names nobody could read, in the order of lists; kept answers."""

import sqlalchemy as sa
from alembic import op

from crm.tables import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_FIELDS = ("reason", "outcome", "headline", "summary", "next_steps", "speakers", "customer", "approval")


def upgrade() -> None:
    # SQLite cannot change a constraint: the table is made anew, and what refers to it keeps referring by name.
    with op.batch_alter_table("review") as table:
        table.drop_constraint("ck_review_field", type_="check")
        table.create_check_constraint("ck_review_field", sa.text(" OR ".join(f"field = '{name}'" for name in _FIELDS)))
        # Who is who in a call may be said before there are any reasons.
        table.alter_column("taxonomy_version", existing_type=sa.Text(), nullable=True)
    op.create_index("ix_review_field_reviewed_at", "review", ["field", "reviewed_at"])
    op.create_index(
        "ix_call_unread_name",
        "call",
        ["happened_at", "id"],
        sqlite_where=sa.text("profile IS NULL AND is_sample IS 0"),
        postgresql_where=sa.text("profile IS NULL AND is_sample IS false"),
    )
    op.create_table(
        "kept_answer",
        sa.Column("caller", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("request_hash", sa.Text, nullable=False),
        sa.Column("claimed_at", UtcDateTime, nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("body", sa.Text),
        sa.PrimaryKeyConstraint("caller", "key", name="pk_kept_answer"),
    )
    op.create_index("ix_kept_answer_claimed_at", "kept_answer", ["claimed_at"])
