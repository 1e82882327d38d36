"""The tables of erasure and retention: who is gone, what may not come back, and what is left to delete in the store."""

import sqlalchemy as sa

from crm.tables import JSON, UtcDateTime, metadata

erased_call = sa.Table(
    "erased_call",
    metadata,
    # A call of which only what counts is left: when it was, whose queue and agent, what it was about, how it ended.
    sa.Column("call_id", sa.Uuid, sa.ForeignKey("call.id"), primary_key=True),
    sa.Column("erased_at", UtcDateTime, nullable=False),
    # Why: somebody asked for it, its time was over, or a purge.
    sa.Column("cause", sa.Text, nullable=False),
    sa.CheckConstraint("cause = 'request' OR cause = 'retention' OR cause = 'purge'", name="cause"),
)

erased_mark = sa.Table(
    "erased_mark",
    metadata,
    # SHA-256 of what was erased, in the words of the subjects of tellings: an object, a call of telephony, a stem.
    sa.Column("mark", sa.Text, primary_key=True),
    sa.Column("call_id", sa.Uuid, sa.ForeignKey("call.id"), nullable=False, index=True),
    # Of an object: the content that was erased; "" for what is no object.
    sa.Column("etag", sa.Text, nullable=False, server_default=""),
)

doomed_object = sa.Table(
    "doomed_object",
    metadata,
    # What still has to be deleted in the store: written with the erasure itself, removed once the store has done it.
    sa.Column("bucket", sa.Text, primary_key=True),
    sa.Column("object_key", sa.Text, primary_key=True),
    sa.Column("due_at", UtcDateTime, nullable=False, index=True),
    # A worker may be writing it at this moment: it is deleted once more then.
    sa.Column("again_at", UtcDateTime),
)

sensitive_finding = sa.Table(
    "sensitive_finding",
    metadata,
    # Where in the turns of a transcript something stands that must not leave: [[turn, start, end, kind], ...], no word.
    sa.Column("transcript_id", sa.Uuid, sa.ForeignKey("transcript.id"), primary_key=True),
    # Which rules found it; other rules look again.
    sa.Column("rules", sa.Text, nullable=False),
    sa.Column("turn_count", sa.Integer, nullable=False),
    sa.Column("findings", JSON, nullable=False),
)

taught_call = sa.Table(
    "taught_call",
    metadata,
    # Which calls taught the classifier that is in use for a taxonomy: its words are theirs.
    sa.Column("taxonomy_version", sa.Text, primary_key=True),
    sa.Column("call_id", sa.Uuid, sa.ForeignKey("call.id"), primary_key=True, index=True),
)

upkeep = sa.Table(
    "upkeep",
    metadata,
    # Work that is done every so often by whoever comes first, and when it is due.
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("due_at", UtcDateTime, nullable=False),
)
