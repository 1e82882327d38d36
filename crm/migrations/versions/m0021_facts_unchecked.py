"""PostgreSQL checks no foreign key of a fact: half of what writing one took it (docs/decisions/0037)."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite could only copy ten million facts into a table without them, for a twentieth of what a call costs.
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in ("fact_call", "fact_call_reason"):
        for key in sa.inspect(op.get_bind()).get_foreign_keys(table, schema="bi"):
            op.drop_constraint(str(key["name"]), table, schema="bi", type_="foreignkey")
