"""The tables of what people do to the owner's reasons: corrections of single calls, and classifying the past anew."""

import sqlalchemy as sa

from calls.corrections import Field
from crm.tables import UtcDateTime, metadata

review = sa.Table(
    "review",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("call_id", sa.Uuid, sa.ForeignKey("call.id"), nullable=False, index=True),
    # The analysis that was looked at, 0 where there was none, and the taxonomy in whose codes `after` is written.
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("taxonomy_version", sa.Text, sa.ForeignKey("taxonomy.version")),
    # Texts as they stand in the analysis, next steps as its JSON; a channel; the id of a contact, "" for nobody.
    sa.Column("field", sa.Text, nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("reviewed_by", sa.Text, nullable=False),
    sa.Column("reviewed_at", UtcDateTime, nullable=False, index=True),
    sa.CheckConstraint(" OR ".join(f"field = '{field}'" for field in Field), name="field"),
    # Learning reads what was said of reasons, in order.
    sa.Index("ix_review_field_reviewed_at", "field", "reviewed_at"),
)

reason_successor = sa.Table(
    "reason_successor",
    metadata,
    # A code of an earlier version that the current one has not, and the current one that goes on in its place.
    sa.Column("code", sa.Text, primary_key=True),
    sa.Column("successor_code", sa.Text, nullable=False, index=True),
)

reclassification = sa.Table(
    "reclassification",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("taxonomy_version", sa.Text, sa.ForeignKey("taxonomy.version"), nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False, index=True),
    sa.Column("stopped_at", UtcDateTime),
    # What was asked for: a period by call.happened_at, and one reason; NULL and "" do not restrict.
    sa.Column("since", UtcDateTime),
    sa.Column("until", UtcDateTime),
    sa.Column("only_reason", sa.Text, nullable=False, server_default=""),
)

reclassified_call = sa.Table(
    "reclassified_call",
    metadata,
    sa.Column("reclassification_id", sa.Uuid, sa.ForeignKey("reclassification.id"), primary_key=True),
    sa.Column("call_id", sa.Uuid, sa.ForeignKey("call.id"), primary_key=True, index=True),
    # The analysis that the call had; what came of it is the first later one under the taxonomy of the run.
    sa.Column("before_revision", sa.Integer, nullable=False),
    # Why it ended without another analysis: the code of a failure, or `kept_by_person`.
    sa.Column("ended_code", sa.Text),
)
