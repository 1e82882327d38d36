"""What was deleted is not in the database's files any more: SQLite's log and its index of words keep it else.

SQLite overwrites what it deletes (`secure_delete`, see crm.database); what is left are the log, which holds pages as
they were, and the index of words, whose deleted entries go when its parts are merged. PostgreSQL has its own VACUUM.
"""

from datetime import datetime

import sqlalchemy as sa
import structlog

from crm.database import Database, insert
from crm.privacy_tables import upkeep

log = structlog.get_logger()

_NAME = "scrub"
# Tables of FTS5, which keep deleted words until they are merged.
_WORDS = ("call_words", "contact_words")


def want_scrub(connection: sa.Connection, *, now: datetime) -> None:
    """Note that something was deleted; whoever comes next does the rest."""
    connection.execute(insert(connection, upkeep).values(name=_NAME, due_at=now).on_conflict_do_nothing())


def is_scrub_wanted(connection: sa.Connection) -> bool:
    """Whether something was deleted since the last scrub."""
    return connection.execute(sa.select(sa.exists().where(upkeep.c.name == _NAME))).scalar_one()


def scrub(database: Database) -> bool:
    """Take deleted words out of the files; returns whether all are out. Others that read at this moment keep the log:
    then it is done again the next time.
    """
    if database.is_sqlite and not _is_scrubbed(database):
        return False
    with database.write() as connection:
        connection.execute(sa.delete(upkeep).where(upkeep.c.name == _NAME))
    return True


def _is_scrubbed(database: Database) -> bool:
    with database.write() as connection:
        found = sa.inspect(connection).get_table_names()
        for table in _WORDS:
            if table in found:
                connection.exec_driver_sql(f"INSERT INTO {table}({table}) VALUES ('optimize')")  # noqa: S608 - our own
    is_busy = database.empty_log()
    if is_busy:
        log.info("scrub_waits_for_readers")
    return not is_busy
