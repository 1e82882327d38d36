"""On PostgreSQL the calls of no customer are looked up by parts of the name that came with them."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    # As for the names of customers: where the extension may be made.
    if connection.execute(sa.text("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'")).first() is None:
        return
    op.execute(
        "CREATE INDEX ix_call_unfiled_name_trigrams ON call USING gin (lower(customer_name) gin_trgm_ops)"
        " WHERE contact_id IS NULL AND customer_name IS NOT NULL"
    )
