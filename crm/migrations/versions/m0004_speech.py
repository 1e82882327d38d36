"""Speech: whose channel is whose on each transcript, more of its timing, translations, answers kept for a retry."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from crm.tables import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIMES = (
    "conversation_s",
    "interruption_time_agent_s",
    "interruption_time_customer_s",
    "longest_monologue_agent_s",
    "longest_monologue_customer_s",
)
_COUNTS = ("interruption_agent_count", "interruption_customer_count", "word_agent_count", "word_customer_count")


def upgrade() -> None:
    translation = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
    op.add_column("transcript", sa.Column("translation", translation))
    op.create_table(
        "heard_piece",
        sa.Column("recording_id", sa.Uuid, nullable=False),
        sa.Column("piece_key", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("recording_id", "piece_key", name="pk_heard_piece"),
        sa.ForeignKeyConstraint(["recording_id"], ["recording.id"], name="fk_heard_piece_recording_id_recording"),
    )
    op.create_index("ix_heard_piece_created_at", "heard_piece", ["created_at"])
    op.add_column("transcript", sa.Column("agent_channel", sa.SmallInteger))
    for name in _TIMES:
        op.add_column("transcript", sa.Column(name, sa.Float))
    for name in _COUNTS:
        op.add_column("transcript", sa.Column(name, sa.Integer))
    # Transcripts of before: what an engine heard on two channels was named by channel. Texts may name speakers
    # themselves, and nobody can tell any more.
    channel = "(SELECT MIN(channel) FROM utterance WHERE transcript_id = transcript.id AND speaker = '{}')"
    op.execute(
        sa.text(
            f"UPDATE transcript SET agent_channel = COALESCE({channel.format('agent')},"  # noqa: S608 - no value of ours
            f" 1 - {channel.format('customer')}) WHERE engine NOT LIKE 'given/%'"
        )
    )
