"""Retention and erasure."""

import sqlalchemy as sa
from alembic import op

from crm.tables import JSON, UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # When the sound was deleted because its time was over; the row stays, so that the recording is known.
    op.add_column("recording", sa.Column("removed_at", UtcDateTime))
    op.create_table(
        "erased_call",
        sa.Column("call_id", sa.Uuid, nullable=False),
        sa.Column("erased_at", UtcDateTime, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_erased_call"),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name="fk_erased_call_call_id_call"),
        sa.CheckConstraint("cause = 'request' OR cause = 'retention' OR cause = 'purge'", name="ck_erased_call_cause"),
    )
    op.create_table(
        "erased_mark",
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("call_id", sa.Uuid, nullable=False),
        sa.Column("etag", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("mark", name="pk_erased_mark"),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name="fk_erased_mark_call_id_call"),
    )
    op.create_index("ix_erased_mark_call_id", "erased_mark", ["call_id"])
    op.create_table(
        "doomed_object",
        sa.Column("bucket", sa.Text, nullable=False),
        sa.Column("object_key", sa.Text, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("again_at", UtcDateTime),
        sa.PrimaryKeyConstraint("bucket", "object_key", name="pk_doomed_object"),
    )
    op.create_index("ix_doomed_object_due_at", "doomed_object", ["due_at"])
    op.create_table(
        "sensitive_finding",
        sa.Column("transcript_id", sa.Uuid, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
        sa.Column("turn_count", sa.Integer, nullable=False),
        sa.Column("findings", JSON, nullable=False),
        sa.PrimaryKeyConstraint("transcript_id", name="pk_sensitive_finding"),
        sa.ForeignKeyConstraint(
            ["transcript_id"], ["transcript.id"], name="fk_sensitive_finding_transcript_id_transcript"
        ),
    )
    op.create_table(
        "taught_call",
        sa.Column("taxonomy_version", sa.Text, nullable=False),
        sa.Column("call_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("taxonomy_version", "call_id", name="pk_taught_call"),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name="fk_taught_call_call_id_call"),
    )
    op.create_index("ix_taught_call_call_id", "taught_call", ["call_id"])
    op.create_table(
        "upkeep",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_upkeep"),
    )
