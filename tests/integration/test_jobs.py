"""Claims, leases, attempts: the laws that keep a call from being lost or done twice, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from calls.pipeline import FILE, QUEUES, TRANSCRIBE, UNDERSTAND, Lane, Stage
from crm import jobs, retries, waiting
from crm.tables import call, job
from crm.touched_tables import touched_call
from tests.servers.process import wait_until

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


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


@pytest.mark.parametrize("any_database", ["postgres"], indirect=True)
def test_whoever_ends_a_call_and_whoever_starts_it_anew_cannot_wait_for_each_other(any_database, call_id):
    held = take(any_database, call_id)

    def give_up():
        with any_database.write() as connection:
            jobs.fail(connection, held, "refused", "", now=NOW)

    def is_waiting():
        with any_database.read() as connection:
            waits = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            return connection.execute(waits).scalar_one() > 0

    with ThreadPoolExecutor() as pool:
        with any_database.write() as connection:
            connection.execute(sa.select(call.c.id).where(call.c.id == call_id).with_for_update())
            ended = pool.submit(give_up)
            wait_until(is_waiting, what="the worker that waits for the call")
            jobs.start_anew(connection, jobs.first_job(call_id, NOW))
        with pytest.raises(jobs.ClaimLost):
            ended.result(30)
    assert stage_of(any_database, call_id) == Stage.RECEIVED


def test_a_renewed_lease_keeps_the_call(any_database, call_id):
    held = take(any_database, call_id)
    with any_database.write() as connection:
        jobs.renew(connection, [held], now=NOW + timedelta(seconds=10), lease_s=15.0)
    assert take(any_database, call_id, at=NOW + timedelta(seconds=20)) is None


def test_a_call_walks_through_every_stage_and_leaves_no_job_behind(any_database, call_id):
    held = take(any_database, call_id)
    for step in (TRANSCRIBE, UNDERSTAND, FILE):
        assert held.step == step
        with any_database.write() as connection:
            following = jobs.advance(connection, held, now=NOW, lease_s=15.0, rung_at=None, does=("language",))
        assert stage_of(any_database, call_id) == step.gives
        held = following if isinstance(following, jobs.Claim) else take(any_database, call_id, following or FILE)
    assert held is None
    with any_database.read() as connection:
        assert waiting.unfinished_count(connection) == 0
        assert connection.execute(sa.select(touched_call.c.call_id)).scalars().all() == [call_id]


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
            return [found for found, _ in waiting.due(connection, now=at, limit=10, queues=QUEUES)]

    assert due(NOW) == [call_id]
    with any_database.write() as connection:
        waiting.mark_rung(connection, [call_id], now=NOW)
    assert due(NOW + timedelta(seconds=1)) == []
    assert due(NOW + waiting.RING_AGAIN_AFTER + timedelta(seconds=1)) == [call_id]
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
        assert retries.retry(connection, now=NOW, code="not_audio") == 0
        assert retries.retry(connection, now=NOW, code="refused") == 1
        assert retries.retry(connection, now=NOW) == 0
    assert stage_of(any_database, call_id) == Stage.TRANSCRIBED
    assert take(any_database, call_id, UNDERSTAND).attempt == 1


def queued(database, lane, *, due_at=NOW):
    new = uuid4()
    with database.write() as connection:
        known = {"stage": Stage.RECEIVED, "received_at": NOW, "modified_at": NOW, "happened_at": NOW, "attributes": {}}
        named = {"id": new, "source_system": "test", "external_call_id": str(new)}
        connection.execute(sa.insert(call).values(**known, **named))
        connection.execute(sa.insert(job).values(jobs.first_job(new, due_at, NOW, lane=lane)))
    return new


def test_a_bell_for_old_work_does_the_live_work_that_waits_and_the_old_is_rung_for_again(any_database):
    old = queued(any_database, Lane.BACKFILL, due_at=NOW - timedelta(hours=1))
    with any_database.write() as connection:
        waiting.mark_rung(connection, [old], now=NOW)
    live = queued(any_database, Lane.LIVE)
    held = take(any_database, old)
    assert (held.call_id, held.attempt) == (live, 1)
    with any_database.read() as connection:
        assert waiting.due(connection, now=NOW, limit=10, queues=QUEUES) == [(old, TRANSCRIBE)]
    assert take(any_database, old).call_id == old
    assert take(any_database, live) is None


def test_live_work_comes_before_old_work_and_old_work_drop_by_drop(any_database):
    old = [queued(any_database, Lane.BACKFILL, due_at=NOW - timedelta(minutes=m)) for m in (9, 8, 7)]
    live = queued(any_database, Lane.LIVE)
    with any_database.write() as connection:
        # Nobody was told of the live one: its bell was lost.
        connection.execute(sa.update(job).where(job.c.call_id == live).values(rung_at=None))

    def due(backfill_limit):
        with any_database.read() as connection:
            found = waiting.due(connection, now=NOW, limit=10, queues=QUEUES, backfill_limit=backfill_limit)
        return [call_id for call_id, _ in found]

    assert due(2) == [live, *old[:2]]
    assert due(0) == [live]
    assert due(None) == [live, *old]


def test_old_work_drips_at_its_rate_however_often_the_sweep_comes():
    def let_in(per_minute, every_s, minutes=10):
        moments = [NOW + timedelta(seconds=every_s * n) for n in range(int(minutes * 60 / every_s))]
        return sum(waiting.drip(per_minute, moment, every_s) for moment in moments)

    for every_s in (0.25, 2.0, 5.0):
        for per_minute in (0.5, 6, 100):
            assert abs(let_in(per_minute, every_s) - 10 * per_minute) <= 1
    assert waiting.drip(0, NOW, 2.0) is None
