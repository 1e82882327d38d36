"""Batches that are made ready before their transaction write what they would have written in it."""

import sqlite3
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from calls.recording import CallFacts, Direction
from crm.arrivals import Arrival, ready_batch
from crm.database import Database
from crm.intake import insert_batch, insert_ready_batch
from crm.schema import upgrade
from crm.tables import call, job, recording
from tests.integration.test_intake_rows import LATER, NOW, make_stored

# What JSON, arrays and LIKE write in another way.
HARD = (
    'say "hi".wav',
    "back\\slash.wav",
    "{a,b}.wav",
    "na\u00efve \u96ea.wav",
    "line\nend.wav",
    "100%_NULL.wav",
    "'.wav",
)


def arrivals(*, agent: str | None) -> list[Arrival]:
    told = [
        CallFacts(external_call_id="c-1", started_at=NOW - timedelta(minutes=5), agent_channel=1, hold_time_s=0.1),
        CallFacts(external_call_id="c-2", direction=Direction.INBOUND, attributes={"caf\u00e9": 'a "b"'}),
        *(CallFacts(agent_name=agent) for _ in HARD[2:]),
    ]
    return [
        Arrival(make_stored(key)._replace(last_modified_at=at), facts, "pbx", "plain")
        for key, facts, at in zip(HARD, told, [NOW, None, *[NOW - timedelta(days=9)] * len(HARD[2:])], strict=True)
    ]


def written(connection: sa.Connection) -> list[set[tuple[Any, ...]]]:
    """All rows, without what is made up anew each time."""
    made = []
    for table in (call, recording, job):
        kept = [column for column in table.c if not (table is recording and column.name == "id")]
        made.append({tuple(map(str, row)) for row in connection.execute(sa.select(*kept))})
    return made


@pytest.mark.parametrize("agent", [None, "Ana"])
def test_a_batch_writes_the_rows_that_its_recordings_write_one_by_one(any_database, agent):
    batch = arrivals(agent=agent)
    ready = ready_batch(any_database.engine.dialect, batch, now=NOW, rung_at=NOW)
    # Who is named has to be looked up first.
    assert (ready.fresh is None) == (agent is not None)
    with any_database.write() as connection:
        # Who was named by the first of them is there by then.
        insert_batch(connection, [Arrival(make_stored("first.wav"), CallFacts(agent_name="Ana"), "pbx", None)], now=NOW)
        tried = connection.begin_nested()
        assert all(received.is_new for received in insert_ready_batch(connection, ready))
        together = written(connection)
        tried.rollback()
        for arrival in batch:
            insert_batch(connection, [arrival], now=NOW, rung_at=NOW)
        assert written(connection) == together
        again = [insert_batch(connection, [arrival], now=LATER)[0] for arrival in batch]
        assert not any(received.is_new for received in [*again, *insert_batch(connection, batch, now=LATER)])
        assert written(connection) == together


def test_what_all_rows_of_a_large_batch_share_is_written_to_each(any_database):
    facts = [
        CallFacts(external_call_id=f"c-{number}", started_at=NOW, agent_channel=0, is_transferred=True)
        for number in range(120)
    ]
    batch = [Arrival(make_stored(f"{told.external_call_id}.wav"), told, "o'hara", None) for told in facts]
    with any_database.write() as connection:
        tried = connection.begin_nested()
        assert all(received.is_new for received in insert_batch(connection, batch, now=LATER, rung_at=NOW))
        together = written(connection)
        tried.rollback()
        for arrival in batch:
            insert_batch(connection, [arrival], now=LATER, rung_at=NOW)
        assert written(connection) == together
    assert [len(rows) for rows in together] == [120] * 3


def test_what_another_listener_brought_in_the_meantime_is_not_inserted_again(any_database):
    batch = arrivals(agent=None)
    ready = ready_batch(any_database.engine.dialect, batch, now=LATER)
    # The very recording of one, and another one of the call of another.
    other_key = batch[0]._replace(stored=make_stored("other.wav"))
    with any_database.write() as connection:
        insert_batch(connection, [batch[3], other_key], now=NOW)
    with any_database.write() as connection:
        answers = insert_ready_batch(connection, ready)
        assert [received.is_new for received in answers] == [place != 3 for place in range(len(batch))]
        keys = set(connection.execute(sa.select(recording.c.object_key)).scalars())
        suffixed = connection.execute(sa.select(call.c.initial_call_id).where(call.c.id == answers[0].call_id)).scalar()
    assert (keys, suffixed) == ({*HARD, "other.wav"}, "c-1")
    with any_database.read() as connection:
        counts = [
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()
            for table in (call, recording, job)
        ]
    assert counts == [len(HARD) + 1] * 3


def test_a_new_database_has_pages_of_16_kb_and_one_that_is_there_keeps_its_own(tmp_path):
    for name, bytes_each in (("new.db", 16384), ("old.db", 4096)):
        path = tmp_path / name
        if name == "old.db":
            raw = sqlite3.connect(path)
            raw.execute("CREATE TABLE was_there (id INTEGER)")
            raw.close()
        database = Database(f"sqlite:///{path}")
        upgrade(database)
        with database.write() as connection:
            insert_batch(connection, [Arrival(make_stored(f"{uuid4()}.wav"), CallFacts(), "pbx", None)], now=NOW)
            assert connection.exec_driver_sql("PRAGMA page_size").scalar() == bytes_each
        database.dispose()
