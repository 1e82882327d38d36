"""Claims, leases, attempts: the laws that keep a call from being lost or done twice, on both databases."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from calls.pipeline import PIPELINE, QUEUES, Stage
from crm import jobs
from crm.tables import call, job, touched_day

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
TRANSCRIBE, UNDERSTAND, FILE = PIPELINE


@pytest.fixture
def call_id(any_database):
    new = uuid4()
    with any_database.write() as connection:
        connection.execute(
            sa.insert(call).values(
                id=new,
                source_system="test",
                external_call_id=str(new),
                stage=Stage.RECEIVED,
                received_at=NOW,
                modified_at=NOW,
                happened_at=NOW,
                attributes={},
            )
        )
        connection.execute(sa.insert(job).values(jobs.first_job(new, NOW)))
    return new


def take(database, call_id, step=TRANSCRIBE, *, at=NOW, lease_s=15.0):
    with database.write() as connection:
        return jobs.claim(connection, call_id, step, now=at, lease_s=lease_s)


def stage_of(database, call_id):
    with database.read() as connection:
        return connection.execute(sa.select(call.c.stage).where(call.c.id == call_id)).scalar_one()


def test_a_claimed_call_cannot_be_claimed_again_until_its_lease_ends(any_database, call_id):
    first = take(any_database, call_id)
    assert first.attempt == 1
    assert take(any_database, call_id, at=NOW + timedelta(seconds=14)) is None
    second = take(any_database, call_id, at=NOW + timedelta(seconds=15))
    assert second.attempt == 2
    assert second.token > first.token


def test_a_worker_that_was_thought_dead_cannot_write_its_result(any_database, call_id):
    slow = take(any_database, call_id)
    take(any_database, call_id, at=NOW + timedelta(seconds=20))
    with pytest.raises(jobs.ClaimLost), any_database.write() as connection:
        jobs.advance(connection, slow, now=NOW, lease_s=15.0, rung_at=None)
    assert stage_of(any_database, call_id) == Stage.RECEIVED


def test_a_renewed_lease_keeps_the_call(any_database, call_id):
    held = take(any_database, call_id)
    with any_database.write() as connection:
        jobs.renew(connection, [held], now=NOW + timedelta(seconds=10), lease_s=15.0)
    assert take(any_database, call_id, at=NOW + timedelta(seconds=20)) is None


def test_a_call_walks_through_every_stage_and_leaves_no_job_behind(any_database, call_id):
    held = take(any_database, call_id)
    for step in PIPELINE:
        assert held.step == step
        with any_database.write() as connection:
            following = jobs.advance(connection, held, now=NOW, lease_s=15.0, rung_at=None, does=("language",))
        assert stage_of(any_database, call_id) == step.gives
        held = following if isinstance(following, jobs.Claim) else take(any_database, call_id, following or FILE)
    assert held is None
    with any_database.read() as connection:
        assert jobs.unfinished_count(connection) == 0
        assert connection.execute(sa.select(touched_day.c.utc_day)).scalars().all() == [NOW.date()]


def test_the_next_step_is_claimed_at_once_only_by_a_worker_that_does_it(any_database, call_id):
    held = take(any_database, call_id)
    with any_database.write() as connection:
        following = jobs.advance(connection, held, now=NOW, lease_s=15.0, rung_at=None, does=("speech",))
    assert following == UNDERSTAND
    held = take(any_database, call_id, UNDERSTAND)
    with any_database.write() as connection:
        following = jobs.advance(connection, held, now=NOW, lease_s=15.0, rung_at=None, does=QUEUES)
    assert (following.step, following.attempt) == (FILE, 1)
    assert take(any_database, call_id, FILE) is None
    assert take(any_database, call_id, FILE, at=NOW + timedelta(seconds=15)).attempt == 2


def test_a_step_is_not_claimed_before_the_one_it_needs(any_database, call_id):
    assert take(any_database, call_id, UNDERSTAND) is None


def test_work_is_rung_for_when_nobody_was_told_since_it_became_due(any_database, call_id):
    def due(at):
        with any_database.read() as connection:
            return [found for found, _ in jobs.due(connection, now=at, limit=10, queues=QUEUES)]

    assert due(NOW) == [call_id]
    with any_database.write() as connection:
        jobs.mark_rung(connection, [call_id], now=NOW)
    assert due(NOW + timedelta(seconds=1)) == []
    assert due(NOW + jobs.RING_AGAIN_AFTER + timedelta(seconds=1)) == [call_id]
    take(any_database, call_id, at=NOW + timedelta(seconds=2), lease_s=15.0)
    assert due(NOW + timedelta(seconds=16)) == []
    assert due(NOW + timedelta(seconds=18)) == [call_id]


def test_an_attempt_that_waits_for_a_person_is_not_counted(any_database, call_id):
    held = take(any_database, call_id)
    with any_database.write() as connection:
        jobs.put_back(connection, held, "engine_misconfigured", "no key", due_at=NOW, counts=False)
    assert take(any_database, call_id).attempt == 1


def test_retry_starts_at_the_step_that_failed_and_a_second_retry_finds_nothing(any_database, call_id):
    with any_database.write() as connection:
        jobs.advance(
            connection,
            jobs.claim(connection, call_id, TRANSCRIBE, now=NOW, lease_s=1),
            now=NOW,
            lease_s=15.0,
            rung_at=None,
        )
        held = jobs.claim(connection, call_id, UNDERSTAND, now=NOW, lease_s=1)
        jobs.fail(connection, held, "refused", "", now=NOW)
    assert stage_of(any_database, call_id) == Stage.FAILED
    with any_database.write() as connection:
        assert jobs.retry(connection, now=NOW, code="not_audio") == 0
        assert jobs.retry(connection, now=NOW, code="refused") == 1
        assert jobs.retry(connection, now=NOW) == 0
    assert stage_of(any_database, call_id) == Stage.TRANSCRIBED
    assert take(any_database, call_id, UNDERSTAND).attempt == 1
