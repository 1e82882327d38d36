"""The tables of questions to a language model that go in batches, at half the price and within a day."""

import sqlalchemy as sa

from crm.tables import UtcDateTime, metadata

batch_prompt = sa.Table(
    "batch_prompt",
    metadata,
    # A hash of `body`: what all questions of one engine and taxonomy have in common is kept once.
    sa.Column("prompt_key", sa.Text, primary_key=True),
    # The request of the API as JSON, but for what stands on the question.
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
)

language_batch = sa.Table(
    "language_batch",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("deployment", sa.Text, nullable=False),
    # sending (nobody knows yet whether the server has it), open (it has), ended (everything that came is kept).
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False, index=True),
    sa.Column("question_count", sa.Integer, nullable=False),
    # Counts against the day's budget until the answers are paid for; NULL where no price is known.
    sa.Column("reserved_microusd", sa.BigInteger),
    # Who looks after it now does so until then: no two workers send one batch.
    sa.Column("held_until", UtcDateTime),
    sa.Column("input_file_id", sa.Text),
    sa.Column("remote_id", sa.Text),
    sa.Column("remote_status", sa.Text),
    sa.Column("output_file_id", sa.Text),
    sa.Column("error_file_id", sa.Text),
    sa.Column("failed_code", sa.Text),
    sa.Column("ended_at", UtcDateTime),
    sa.CheckConstraint("state IN ('sending', 'open', 'ended')", name="state"),
    sa.Index(
        "ix_language_batch_unended",
        "state",
        sqlite_where=sa.text("state <> 'ended'"),
        postgresql_where=sa.text("state <> 'ended'"),
    ),
)

batch_question = sa.Table(
    "batch_question",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    # What is asked, of which engine: one question stands here once, however often the call's step runs.
    sa.Column("question_key", sa.Text, nullable=False, unique=True),
    sa.Column("call_id", sa.Uuid, sa.ForeignKey("call.id"), nullable=False, index=True),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("prompt_key", sa.Text, sa.ForeignKey("batch_prompt.prompt_key"), nullable=False, index=True),
    # JSON, redacted; NULL once nobody needs it any more: the row alone waits for its price.
    sa.Column("messages", sa.Text),
    sa.Column("max_output_tokens", sa.Integer, nullable=False),
    sa.Column("size_bytes", sa.Integer, nullable=False),
    sa.Column("asked_at", UtcDateTime, nullable=False),
    sa.Column("send_at", UtcDateTime, nullable=False),
    # How often a batch came back without an answer to it.
    sa.Column("miss_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("batch_id", sa.Uuid, sa.ForeignKey("language_batch.id"), index=True),
    # JSON: what the server said; NULL until it did.
    sa.Column("answer", sa.Text),
    sa.Index(
        "ix_batch_question_unsent",
        "deployment",
        "send_at",
        sqlite_where=sa.text("batch_id IS NULL AND answer IS NULL"),
        postgresql_where=sa.text("batch_id IS NULL AND answer IS NULL"),
    ),
)
