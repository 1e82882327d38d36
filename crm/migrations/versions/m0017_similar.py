"""One vector a call, by which calls are compared."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "call_vector",
        sa.Column("call_id", sa.Uuid, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("analysis_revision", sa.Integer, nullable=False),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("call_id", name="pk_call_vector"),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name="fk_call_vector_call_id_call", ondelete="CASCADE"),
    )
