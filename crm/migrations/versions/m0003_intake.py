"""Intake: tellings, awaited objects, two lanes, recordings that telephony still keeps, conversations as text."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from crm.tables import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

_CHECKS = {
    "stage": "announced received transcribed understood done skipped failed",
    "skip_reason": "no_speech voicemail too_short absent recording_failed",
}


def upgrade() -> None:
    _widen_checks()
    op.create_index(
        "ix_call_initial_call_id",
        "call",
        ["initial_call_id"],
        sqlite_where=sa.text("initial_call_id IS NOT NULL"),
        postgresql_where=sa.text("initial_call_id IS NOT NULL"),
    )
    op.drop_index("ix_call_contact_id_happened_at", "call")
    op.create_index(
        "ix_call_contact_id_happened_at",
        "call",
        ["contact_id", "happened_at"],
        sqlite_where=sa.text("contact_id IS NOT NULL"),
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    )
    op.add_column("recording", sa.Column("is_text", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("job", sa.Column("lane", sa.SmallInteger, nullable=False, server_default="0"))
    op.drop_index("ix_job_due_at", "job")
    op.create_index("ix_job_step_lane_due_at", "job", ["step", "lane", "due_at"])
    op.create_table(
        "telling",
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("rank", sa.SmallInteger, nullable=False),
        sa.Column("as_of", UtcDateTime),
        sa.Column("told_at", UtcDateTime, nullable=False),
        sa.Column("etag", sa.Text, nullable=False, server_default=""),
        sa.Column("facts", JSON, nullable=False),
        sa.PrimaryKeyConstraint("subject", "origin", name="pk_telling"),
    )
    op.create_index("ix_telling_origin", "telling", ["origin"])
    op.create_table(
        "awaited_object",
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("candidates", JSON, nullable=False),
        sa.Column("announced_at", UtcDateTime, nullable=False),
        sa.Column("look_at", UtcDateTime, nullable=False),
        sa.Column("look_count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("bucket", "object_key", name="pk_awaited_object"),
    )
    op.create_index("ix_awaited_object_look_at", "awaited_object", ["look_at"])


def _widen_checks() -> None:
    # SQLite cannot change a constraint: the table is made anew, and what refers to it keeps referring by name.
    with op.batch_alter_table("call") as table:
        for column, values in _CHECKS.items():
            listed = ", ".join(f"'{value}'" for value in values.split())
            table.drop_constraint(f"ck_call_{column}", type_="check")
            table.create_check_constraint(f"ck_call_{column}", sa.text(f"{column} IN ({listed})"))
