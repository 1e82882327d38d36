"""Lists: an agent's calls are filtered within their index, and an index that nobody asked goes."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_OF_AGENT = "ix_call_agent_id_happened_at_id"


def upgrade() -> None:
    # Whoever asks for a stage asks in the order of the list, or for all of them: another index has that.
    op.drop_index("ix_call_stage", "call")
    op.drop_index(_OF_AGENT, "call")
    there = sa.text("agent_id IS NOT NULL")
    columns = ["agent_id", "happened_at", "id", "is_sample", "reason_code", "outcome", "mood"]
    op.create_index(_OF_AGENT, "call", columns, sqlite_where=there, postgresql_where=there)
    # Whose calls a lead sees is asked for each of the team's agents.
    op.create_index("ix_agent_team_id", "agent", ["team_id"])
