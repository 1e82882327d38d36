"""Reasons: mappings between versions, re-classification runs, corrections by people."""

import sqlalchemy as sa
from alembic import op

from crm.tables import JSON, UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reason", sa.Column("replaces", JSON, nullable=False, server_default=sa.text("'[]'")))
    op.add_column("taxonomy", sa.Column("taken_from_file_at", UtcDateTime))
    _reviews()
    op.create_table(
        "reason_successor",
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("successor_code", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_reason_successor"),
    )
    op.create_index("ix_reason_successor_successor_code", "reason_successor", ["successor_code"])
    _reclassifications()


def _reviews() -> None:
    op.create_table(
        "review",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("call_id", sa.Uuid, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("taxonomy_version", sa.Text, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text, nullable=False),
        sa.Column("reviewed_by", sa.Text, nullable=False),
        sa.Column("reviewed_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_review"),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name="fk_review_call_id_call"),
        sa.ForeignKeyConstraint(["taxonomy_version"], ["taxonomy.version"], name="fk_review_taxonomy_version_taxonomy"),
        sa.CheckConstraint("field IN ('reason')", name="ck_review_field"),
    )
    op.create_index("ix_review_call_id", "review", ["call_id"])
    op.create_index("ix_review_reviewed_at", "review", ["reviewed_at"])


def _reclassifications() -> None:
    op.create_table(
        "reclassification",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("taxonomy_version", sa.Text, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("stopped_at", UtcDateTime),
        sa.Column("since", UtcDateTime),
        sa.Column("until", UtcDateTime),
        sa.Column("only_reason", sa.Text, nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_reclassification"),
        sa.ForeignKeyConstraint(
            ["taxonomy_version"], ["taxonomy.version"], name="fk_reclassification_taxonomy_version_taxonomy"
        ),
    )
    op.create_index("ix_reclassification_started_at", "reclassification", ["started_at"])
    op.create_table(
        "reclassified_call",
        sa.Column("reclassification_id", sa.Uuid, nullable=False),
        sa.Column("call_id", sa.Uuid, nullable=False),
        sa.Column("before_revision", sa.Integer, nullable=False),
        sa.Column("ended_code", sa.Text),
        sa.PrimaryKeyConstraint("reclassification_id", "call_id", name="pk_reclassified_call"),
        sa.ForeignKeyConstraint(
            ["reclassification_id"],
            ["reclassification.id"],
            name="fk_reclassified_call_reclassification_id_reclassification",
        ),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name="fk_reclassified_call_call_id_call"),
    )
    op.create_index("ix_reclassified_call_call_id", "reclassified_call", ["call_id"])
