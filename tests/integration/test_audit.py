"""Laws of the audit log, on both databases: it is only added to, and whatever else happens to it shows."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crm.access import OPERATOR, Role, Viewer
from crm.audit import Action, entries, has_hash, note, verify
from crm.database import Database
from tests.seeds import NOW

ANN = Viewer("ann", Role.AGENT, uuid4())


@pytest.fixture
def database(any_database: Database) -> Database:
    with any_database.write() as connection:
        for number in range(5):
            note(connection, ANN, Action.READ_TRANSCRIPT, call_id=uuid4(), now=NOW + timedelta(seconds=number))
        note(connection, OPERATOR, Action.ERASE, detail="1 call", now=NOW + timedelta(hours=1))
    return any_database


def rewrite(database: Database, change: str) -> None:
    """What somebody can do who owns the database: away with the guards, then the change."""
    with database.write() as connection:
        if connection.dialect.name == "sqlite":
            for word in ("update", "delete"):
                connection.execute(sa.text(f"DROP TRIGGER audit_entry_no_{word}"))
        else:
            connection.execute(sa.text("DROP TRIGGER audit_entry_append_only ON audit_entry"))
        connection.execute(sa.text(change))


@pytest.mark.parametrize("change", ["UPDATE audit_entry SET actor = 'bob'", "DELETE FROM audit_entry WHERE seq = 6"])
def test_the_database_refuses_to_change_or_delete_a_row(database, change):
    with pytest.raises(sa.exc.DBAPIError, match="only added to"), database.engine.begin() as connection:
        connection.execute(sa.text(change))
    with database.read() as connection:
        assert verify(connection).entry_count == 6


def test_the_log_cannot_be_emptied(database):
    emptying = "DELETE FROM audit_entry" if database.is_sqlite else "TRUNCATE audit_entry"
    with pytest.raises(sa.exc.DBAPIError, match="only added to"), database.engine.begin() as connection:
        connection.execute(sa.text(emptying))


def test_an_untouched_log_is_whole_and_ends_in_its_last_row(database):
    with database.read() as connection:
        verdict = verify(connection)
        assert (verdict.entry_count, verdict.broken_at) == (6, None)
        assert verdict.head == entries(connection, limit=1)[0].hash


@pytest.mark.parametrize(
    ("change", "broken_at"),
    [
        ("UPDATE audit_entry SET actor = 'bob' WHERE seq = 3", 3),
        ("UPDATE audit_entry SET detail = 'nothing' WHERE seq = 6", 6),
        ("UPDATE audit_entry SET call_id = NULL WHERE seq = 1", 1),
        ("UPDATE audit_entry SET role = NULL WHERE seq = 2", 2),
        ("DELETE FROM audit_entry WHERE seq = 4", 5),
        ("DELETE FROM audit_entry WHERE seq = 1", 2),
        ("UPDATE audit_entry SET seq = seq + 100 WHERE seq = 2", 3),
    ],
)
def test_a_row_that_is_changed_or_taken_out_shows(database, change, broken_at):
    rewrite(database, change)
    with database.read() as connection:
        assert verify(connection).broken_at == broken_at


def test_a_log_that_lost_its_end_lacks_the_hash_that_somebody_kept(database):
    with database.read() as connection:
        head = verify(connection).head
        assert has_hash(connection, head)
    rewrite(database, "DELETE FROM audit_entry WHERE seq = 6")
    with database.read() as connection:
        assert verify(connection).broken_at is None
        assert not has_hash(connection, head)


def test_what_is_rolled_back_leaves_no_row_and_no_hole(database):
    with database.engine.connect() as connection, connection.begin() as undone:
        note(connection, ANN, Action.EXPORT, now=NOW)
        undone.rollback()
    with database.write() as connection:
        assert note(connection, ANN, Action.EXPORT, now=NOW).seq == 7


def test_many_at_once_make_one_chain(database):
    def write(number: int) -> None:
        with database.write() as connection:
            note(connection, ANN, Action.HEAR_AUDIO, call_id=uuid4(), detail=str(number), now=NOW)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(60)))
    with database.read() as connection:
        assert (verify(connection).entry_count, verify(connection).broken_at) == (66, None)


def test_rows_are_found_by_call_actor_and_action_latest_first(database):
    with database.read() as connection:
        latest = entries(connection, actor="ann", limit=2)
        assert [entry.seq for entry in latest] == [5, 4]
        assert [entry.seq for entry in entries(connection, actor="ann", before=4, limit=2)] == [3, 2]
        assert [entry.seq for entry in entries(connection, call_id=latest[0].call_id)] == [5]
        assert [entry.actor for entry in entries(connection, action=Action.ERASE)] == ["operator"]
