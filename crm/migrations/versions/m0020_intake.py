"""A call that comes in is entered in one index less: no query asks for the calls of a stage by when they came."""

from alembic import op

revision = "0020"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What asks for a stage is answered by ix_call_stage_happened_at_id.
    op.drop_index("ix_call_stage", "call")
