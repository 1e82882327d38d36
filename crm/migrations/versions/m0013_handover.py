"""Hand-over to CRMs."""

import sqlalchemy as sa
from alembic import op

from crm.tables import UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_STATES = ("waiting", "held", "sent", "failed", "left")


def upgrade() -> None:
    op.create_index(
        "ix_call_modified_at",
        "call",
        ["modified_at"],
        sqlite_where=sa.text("finished_at IS NOT NULL"),
        postgresql_where=sa.text("finished_at IS NOT NULL"),
    )
    op.create_table(
        "crm_link",
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("entity_id", sa.Uuid, nullable=False),
        sa.Column("crm_system", sa.Text, nullable=False),
        sa.Column("crm_object_id", sa.Text, nullable=False),
        sa.Column("crm_account_id", sa.Text, nullable=False, server_default=""),
        sa.Column("payload_sha256", sa.Text),
        sa.Column("linked_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("entity", "entity_id", "crm_system", name="pk_crm_link"),
        sa.CheckConstraint("entity IN ('call', 'contact', 'agent')", name="ck_crm_link_entity"),
    )
    op.create_table(
        "handover_destination",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("looked_until", UtcDateTime, nullable=False),
        sa.Column("failure_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("paused_at", UtcDateTime),
        sa.Column("not_before", UtcDateTime),
        sa.Column("last_code", sa.Text),
        sa.Column("last_detail", sa.Text),
        sa.Column("last_sent_at", UtcDateTime),
        sa.PrimaryKeyConstraint("name", name="pk_handover_destination"),
        sa.CheckConstraint("kind IN ('salesforce', 'hubspot', 'webhook')", name="ck_handover_destination_kind"),
    )
    _handover()


def _handover() -> None:
    op.create_table(
        "handover",
        sa.Column("call_id", sa.Uuid, nullable=False),
        sa.Column("destination", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("attempt_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("token", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("last_code", sa.Text),
        sa.Column("last_detail", sa.Text),
        sa.Column("asked_by", sa.Text, nullable=False, server_default=""),
        sa.Column("sent_at", UtcDateTime),
        sa.Column("sent_revision", sa.Integer),
        sa.PrimaryKeyConstraint("call_id", "destination", name="pk_handover"),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name="fk_handover_call_id_call"),
        sa.ForeignKeyConstraint(
            ["destination"], ["handover_destination.name"], name="fk_handover_destination_handover_destination"
        ),
        sa.CheckConstraint(" OR ".join(f"state = '{state}'" for state in _STATES), name="ck_handover_state"),
    )
    op.create_index("ix_handover_destination_state_due_at", "handover", ["destination", "state", "due_at"])
