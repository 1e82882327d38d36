"""How many calls were understood under each version of the reasons is read from an index."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    current = sa.text("is_current")
    op.create_index(
        "ix_call_analysis_taxonomy_version",
        "call_analysis",
        ["taxonomy_version", "is_current"],
        sqlite_where=current,
        postgresql_where=current,
    )
