"""On SQLite what a new call, its recording and its job refer to is looked at with each row and judged at the commit.

A statement of many rows that may fail in the middle keeps a copy of every page that it writes, so as to undo itself:
behind 200,000 calls that is a third of what a batch of intake costs. It need not where its references are judged late.
"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_LATE = " DEFERRABLE INITIALLY DEFERRED"


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    found = connection.exec_driver_sql(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name IN ('call', 'recording', 'job')"
    ).all()
    # No row changes: SQLite's own way to another constraint without making the table anew, which would take minutes.
    # https://www.sqlite.org/lang_altertable.html#making_other_kinds_of_table_schema_changes
    [[version]] = connection.exec_driver_sql("PRAGMA schema_version")
    connection.exec_driver_sql("PRAGMA writable_schema=ON")
    try:
        for name, sql in found:
            late = re.sub(r"REFERENCES \w+ \(\w+\)", rf"\g<0>{_LATE}", sql)
            connection.exec_driver_sql(
                "UPDATE sqlite_master SET sql = ? WHERE type = 'table' AND name = ?", (late, name)
            )
        connection.exec_driver_sql(f"PRAGMA schema_version={version + 1}")
    except sa.exc.OperationalError:
        # The SQLite that comes with macOS may refuse. Nothing depends on it but time.
        pass
    finally:
        connection.exec_driver_sql("PRAGMA writable_schema=OFF")
