"""The log of SQLite is written into the database beside those who write."""

import sqlite3
import threading
from contextlib import closing

import pytest

from crm.database import Database
from crm.sqlite_log import LONG, has_pages

PAGE = 16384


@pytest.fixture
def path(tmp_path):
    return tmp_path / "callwise.db"


@pytest.fixture
def database(path):
    database = Database(f"sqlite:///{path}")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (body BLOB)")
    yield database
    database.dispose()


def put(database, pages):
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO kept VALUES (zeroblob(?))", (pages * PAGE,))


def writing():
    return [thread for thread in threading.enumerate() if thread.name == "sqlite-log"]


def test_a_short_log_stays_and_a_long_one_is_in_the_database_before_it_is_closed(database, path):
    log = path.with_name("callwise.db-wal")
    # As long as somebody else has it open, nobody writes the log for being the last to leave.
    with closing(sqlite3.connect(path)) as other:
        other.execute("SELECT count(*) FROM kept").fetchone()
        put(database, 10)
        database.dispose()
        assert (has_pages(log, 10), has_pages(log, LONG)) == (True, False)
        assert path.stat().st_size < 10 * PAGE

        put(database, LONG)
        database.dispose()
        assert has_pages(log, LONG)
        assert path.stat().st_size > LONG * PAGE
        assert not writing()

        put(database, 1)
        assert not has_pages(log, LONG), "the log was not begun anew"
        assert has_pages(log, 1)


def test_a_reader_who_holds_the_log_stops_no_writer_and_loses_nothing(database, path):
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        put(database, LONG)
        put(database, 1)
        database.dispose()
        assert reader.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    with database.read() as connection:
        read = connection.exec_driver_sql("SELECT count(*), sum(length(body)) FROM kept").one()
    assert read == (2, (LONG + 1) * PAGE)
