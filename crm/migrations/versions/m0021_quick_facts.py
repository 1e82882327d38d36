"""What a call costs PostgreSQL: no foreign key of a fact is checked (docs/decisions/0037), and sums change in place."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # SQLite could only copy ten million facts into a table without the keys, for a twentieth of what a call costs.
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in ("fact_call", "fact_call_reason"):
        for key in sa.inspect(op.get_bind()).get_foreign_keys(table, schema="bi"):
            op.drop_constraint(str(key["name"]), table, schema="bi", type_="foreignkey")
    # A batch of calls changes most rows of a page: with room for their new versions beside them, no index is written.
    op.execute("ALTER TABLE bi.agg_period SET (fillfactor = 50)")
