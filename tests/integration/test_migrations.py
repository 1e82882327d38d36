"""Migrations that carry over what stands in the rows of an earlier version."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from crm import jobs
from crm.database import Database
from crm.reason_tables import review
from crm.schema import upgrade, versions
from crm.tables import call, job, transcript, utterance
from tests.seeds import NOW, TAXONOMY, seed_call, seed_taxonomy


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        opened = Database(f"sqlite:///{tmp_path / 'empty.db'}")
        yield opened
        opened.dispose()
        return
    server = request.getfixturevalue("postgres_server")
    name = server.create_database()
    opened = Database(server.url(name))
    yield opened
    opened.dispose()
    server.drop_database(name)


def test_transcripts_of_before_know_by_which_channel_their_speakers_were_named(empty_database):
    upgrade(empty_database, "0003")
    both = [(1, "agent", 0.0, 1.0, "Hello."), (0, "customer", 1.0, 2.0, "Hi.")]
    with empty_database.write() as connection:
        # Analyses have grown columns since.
        seed = partial(seed_call, connection, with_analysis=False)
        seed(said=both)
        seed(said=[(0, "agent", 0.0, 1.0, "Hello."), (1, "customer", 1.0, 2.0, "Hi.")])
        seed(said=both[1:])
        seed(said=[(0, "unknown", 0.0, 1.0, "Hello.")])
        seed(said=[])
        seed(said=both, transcript={"engine": "given/vcon"})
    upgrade(empty_database)
    assert len(set(versions(empty_database))) == 1
    with empty_database.read() as connection:
        rows = connection.execute(
            sa.select(transcript.c.engine, transcript.c.agent_channel, sa.func.count(utterance.c.seq))
            .outerjoin_from(transcript, utterance, utterance.c.transcript_id == transcript.c.id)
            .group_by(transcript.c.id, transcript.c.engine, transcript.c.agent_channel)
        )
        found = sorted((tuple(row) for row in rows), key=str)
    heard = "faster-whisper/small"
    assert found == [
        (heard, 0, 2),
        (heard, 1, 1),
        (heard, 1, 2),
        (heard, None, 0),
        (heard, None, 1),
        ("given/vcon", None, 2),
    ]


def test_sqlite_judges_what_a_new_call_refers_to_at_the_commit(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'before.db'}")
    upgrade(database, "0024")
    with database.write() as connection:
        call_id = seed_call(connection, with_analysis=False)
    other = Database(database.url.render_as_string())
    with other.read() as connection:
        assert connection.execute(sa.select(call.c.id)).scalar_one() == call_id
    upgrade(database)
    # Whoever had it open reads the new schema.
    for opened in (database, other):
        with pytest.raises(sa.exc.IntegrityError), opened.write() as connection:
            connection.execute(sa.insert(job).values(jobs.first_job(uuid4(), NOW)))
        with opened.write() as connection:
            connection.execute(sa.insert(job).values(jobs.first_job(call_id, NOW)))
            connection.execute(sa.delete(job))
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar_one() == "ok"
    other.dispose()
    database.dispose()


def test_reviews_of_before_stay_and_new_fields_are_taken(empty_database):
    upgrade(empty_database, "0010")
    with empty_database.write() as connection:
        seed_taxonomy(connection)
        call_id = seed_call(connection)
        connection.execute(sa.insert(review).values(_review(call_id, "reason", "new_order")))
    upgrade(empty_database)
    with empty_database.write() as connection:
        connection.execute(
            sa.insert(review).values(_review(call_id, "summary", "By Ada.") | {"taxonomy_version": None})
        )
    with empty_database.read() as connection:
        found = connection.execute(sa.select(review.c.field, review.c.after).order_by(review.c.field)).all()
    assert found == [("reason", "new_order"), ("summary", "By Ada.")]
    with empty_database.write() as connection, pytest.raises(sa.exc.IntegrityError):
        connection.execute(sa.insert(review).values(_review(call_id, "colour", "red")))


def _review(call_id, field, after):
    return {
        "id": uuid4(),
        "call_id": call_id,
        "revision": 1,
        "taxonomy_version": TAXONOMY.version,
        "field": field,
        "before": None,
        "after": after,
        "reviewed_by": "Ada",
        "reviewed_at": NOW,
    }
