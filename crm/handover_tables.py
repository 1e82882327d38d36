"""The tables of the hand-over to CRMs: what our rows are called there, what is to be sent, and to where."""

import sqlalchemy as sa

from calls.handover import State
from crm.tables import UtcDateTime, call, metadata

# What changed since somebody looked last, of the calls that have ended.
sa.Index(
    "ix_call_modified_at",
    call.c.modified_at,
    sqlite_where=sa.text("finished_at IS NOT NULL"),
    postgresql_where=sa.text("finished_at IS NOT NULL"),
)

crm_link = sa.Table(
    "crm_link",
    metadata,
    # "call", "contact" or "agent", the id of that row, and the destination in which it is known.
    sa.Column("entity", sa.Text, primary_key=True),
    sa.Column("entity_id", sa.Uuid, primary_key=True),
    sa.Column("crm_system", sa.Text, primary_key=True),
    # Its id there; a webhook's receiver tells none.
    sa.Column("crm_object_id", sa.Text, nullable=False),
    # Of a contact: the account that it belongs to there.
    sa.Column("crm_account_id", sa.Text, nullable=False, server_default=""),
    # Of a call: the hash of what was sent last.
    sa.Column("payload_sha256", sa.Text),
    sa.Column("linked_at", UtcDateTime, nullable=False),
    sa.CheckConstraint("entity IN ('call', 'contact', 'agent')", name="entity"),
)

handover_destination = sa.Table(
    "handover_destination",
    metadata,
    # As the settings call it; "salesforce" and "hubspot" are themselves.
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    # Calls that changed before are not handed over by themselves.
    sa.Column("since", UtcDateTime, nullable=False),
    # Every call that changed until then has been looked at.
    sa.Column("looked_until", UtcDateTime, nullable=False),
    # Failures since the last success.
    sa.Column("failure_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("paused_at", UtcDateTime),
    # Nothing is sent before: the other side asked for it.
    sa.Column("not_before", UtcDateTime),
    sa.Column("last_code", sa.Text),
    sa.Column("last_detail", sa.Text),
    sa.Column("last_sent_at", UtcDateTime),
    sa.CheckConstraint("kind IN ('salesforce', 'hubspot', 'webhook')", name="kind"),
)

handover = sa.Table(
    "handover",
    metadata,
    sa.Column("call_id", sa.Uuid, sa.ForeignKey("call.id"), primary_key=True),
    sa.Column("destination", sa.Text, sa.ForeignKey("handover_destination.name"), primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    # call.modified_at of what was decided about.
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("due_at", UtcDateTime, nullable=False),
    sa.Column("attempt_count", sa.Integer, nullable=False, server_default="0"),
    # As on `job`: a result is written only under the token of its claim.
    sa.Column("token", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("last_code", sa.Text),
    sa.Column("last_detail", sa.Text),
    # The person who asked for it; "" where nobody had to.
    sa.Column("asked_by", sa.Text, nullable=False, server_default=""),
    sa.Column("sent_at", UtcDateTime),
    # The revision of the analysis that was sent last.
    sa.Column("sent_revision", sa.Integer),
    sa.CheckConstraint(" OR ".join(f"state = '{state}'" for state in State), name="state"),
    sa.Index("ix_handover_destination_state_due_at", "destination", "state", "due_at"),
)
