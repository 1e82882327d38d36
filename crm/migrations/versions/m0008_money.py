"""Money: questions that go in batches, and a ledger that budgets can add up quickly."""

import sqlalchemy as sa
from alembic import op

from crm.tables import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("paid_request", sa.Column("is_batch", sa.Boolean, nullable=False, server_default=sa.false()))
    op.drop_index("ix_paid_request_paid_at", "paid_request")
    op.create_index("ix_paid_request_paid_at", "paid_request", ["paid_at", "purpose", "cost_microusd"])
    op.create_index(
        "ix_job_last_code_lane_due_at",
        "job",
        ["last_code", "lane", "due_at"],
        sqlite_where=sa.text("last_code IS NOT NULL"),
        postgresql_where=sa.text("last_code IS NOT NULL"),
    )
    _batches()
    _questions()


def _batches() -> None:
    op.create_table(
        "batch_prompt",
        sa.Column("prompt_key", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("prompt_key", name="pk_batch_prompt"),
    )
    op.create_table(
        "language_batch",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("question_count", sa.Integer, nullable=False),
        sa.Column("reserved_microusd", sa.BigInteger),
        sa.Column("held_until", UtcDateTime),
        sa.Column("input_file_id", sa.Text),
        sa.Column("remote_id", sa.Text),
        sa.Column("remote_status", sa.Text),
        sa.Column("output_file_id", sa.Text),
        sa.Column("error_file_id", sa.Text),
        sa.Column("failed_code", sa.Text),
        sa.Column("ended_at", UtcDateTime),
        sa.PrimaryKeyConstraint("id", name="pk_language_batch"),
        sa.CheckConstraint("state IN ('sending', 'open', 'ended')", name="ck_language_batch_state"),
    )
    op.create_index("ix_language_batch_created_at", "language_batch", ["created_at"])
    op.create_index(
        "ix_language_batch_unended",
        "language_batch",
        ["state"],
        sqlite_where=sa.text("state <> 'ended'"),
        postgresql_where=sa.text("state <> 'ended'"),
    )


def _questions() -> None:
    op.create_table(
        "batch_question",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("question_key", sa.Text, nullable=False),
        sa.Column("call_id", sa.Uuid, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("prompt_key", sa.Text, nullable=False),
        sa.Column("messages", sa.Text),
        sa.Column("max_output_tokens", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("send_at", UtcDateTime, nullable=False),
        sa.Column("miss_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("batch_id", sa.Uuid),
        sa.Column("answer", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_batch_question"),
        sa.UniqueConstraint("question_key", name="uq_batch_question_question_key"),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name="fk_batch_question_call_id_call"),
        sa.ForeignKeyConstraint(
            ["prompt_key"], ["batch_prompt.prompt_key"], name="fk_batch_question_prompt_key_batch_prompt"
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["language_batch.id"], name="fk_batch_question_batch_id_language_batch"),
    )
    for name in ("call_id", "prompt_key", "batch_id"):
        op.create_index(f"ix_batch_question_{name}", "batch_question", [name])
    op.create_index(
        "ix_batch_question_unsent",
        "batch_question",
        ["deployment", "send_at"],
        sqlite_where=sa.text("batch_id IS NULL AND answer IS NULL"),
        postgresql_where=sa.text("batch_id IS NULL AND answer IS NULL"),
    )
