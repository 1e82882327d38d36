"""What was deleted is not in the database's files any more: SQLite's log and its index of words keep it else.

SQLite overwrites what it deletes (`secure_delete`, see crm.database); what is left are the log, which holds pages as
they were, and the index of words, whose deleted entries go when its parts are merged into one. Of a million calls that
is minutes of work: it is done in steps, between which others write. PostgreSQL has its own VACUUM.
"""

from datetime import datetime, timedelta
from time import monotonic

import sqlalchemy as sa
import structlog

from crm.database import Database, insert
from crm.privacy_tables import upkeep

log = structlog.get_logger()

_NAME = "scrub"
# Tables of FTS5, which keep deleted words until they are merged.
_WORDS = ("call_words", "contact_words")
# So many pages (4 KB) of words are merged at once: others wait no longer than for these.
PAGES_AT_ONCE = 1000
# So long one scrub goes on; then it is somebody else's turn, and the next scrub goes on where it ended.
ROUND_S = 2.0
# New words begin the merging anew. Who writes all the time has it done in one go after so long, and waits for it once.
PATIENCE = timedelta(days=1)


def want_scrub(connection: sa.Connection, *, now: datetime) -> None:
    """Note that something was deleted; whoever comes next does the rest."""
    connection.execute(insert(connection, upkeep).values(name=_NAME, due_at=now).on_conflict_do_nothing())


def is_scrub_wanted(connection: sa.Connection) -> bool:
    """Whether something was deleted since the last scrub."""
    return connection.execute(sa.select(sa.exists().where(upkeep.c.name == _NAME))).scalar_one()


def scrub(database: Database, *, now: datetime, pages: int = PAGES_AT_ONCE, within_s: float = ROUND_S) -> bool:
    """Take deleted words out of the files; returns whether all are out.

    It ends after `within_s`, and others that read at this moment keep the log: then it is to be called again.
    """
    if not database.is_sqlite:
        with database.write() as connection:
            _note_done(connection)
        return True
    until = monotonic() + within_s
    while not _merge(database, now, pages):
        if monotonic() >= until:
            log.info("scrub_goes_on")
            return False
    if database.empty_log():
        log.info("scrub_waits_for_readers")
        with database.write() as connection:
            want_scrub(connection, now=now)
        return False
    return True


def _merge(database: Database, now: datetime, pages: int) -> bool:
    """One step; True where nothing was left to merge. Whoever deletes after that says so anew."""
    with database.write() as connection:
        wanted = connection.execute(sa.select(upkeep.c.due_at).where(upkeep.c.name == _NAME)).scalar_one_or_none()
        is_late = wanted is not None and wanted + PATIENCE < now
        found = sa.inspect(connection).get_table_names()
        is_done = all(_merge_words(connection, table, pages, is_late) for table in _WORDS if table in found)
        if is_done:
            _note_done(connection)
    return is_done


def _merge_words(connection: sa.Connection, table: str, pages: int, is_late: bool) -> bool:
    if is_late:
        connection.exec_driver_sql(f"INSERT INTO {table}({table}) VALUES ('optimize')")  # noqa: S608 - our own
        return True
    before = _changes(connection)
    # A negative number stands for all parts, as in optimize.
    connection.exec_driver_sql(f"INSERT INTO {table}({table}, rank) VALUES ('merge', ?)", (-pages,))  # noqa: S608
    # The statement itself counts as one (https://www.sqlite.org/fts5.html#the_merge_command).
    return _changes(connection) - before < 2


def _changes(connection: sa.Connection) -> int:
    changed: int = getattr(connection.connection.dbapi_connection, "total_changes", 0)
    return changed


def _note_done(connection: sa.Connection) -> None:
    connection.execute(sa.delete(upkeep).where(upkeep.c.name == _NAME))
