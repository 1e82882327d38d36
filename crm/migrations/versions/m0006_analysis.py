"""Analysis: what a call's structured answer holds beyond the first version."""

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass
