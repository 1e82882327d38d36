"""Laws of the sweep and of signs of life: no pile hides other work, and no error silences the thread that renews."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import sqlalchemy as sa
from celery import Celery
from celery.worker import state

from bench.chaos.proxy import Proxy
from calls.pipeline import PIPELINE, QUEUES, TRANSCRIBE, UNDERSTAND
from crm import jobs
from crm.tables import call, job, process_beat
from runtime.settings import Settings
from tests.servers.process import wait_until
from workers.app import app as clock
from workers.app import transport_options
from workers.leases import RENEWED_EVERY, Leases
from workers.run import SignsOfLife
from workers.sweep import QUEUE_LIMIT, StuckPool, sweep

NOW = datetime.now(UTC)


@pytest.fixture
def app():
    with Celery(broker="memory://") as made:
        made.conf.task_create_missing_queues = True
        yield made
        # The in-memory broker is one for the whole process: the next test shall find it empty.
        with made.connection_for_write() as broker:
            for step in PIPELINE:
                broker.default_channel.queue_purge(step.queue)


def standing(database, step, count, *, since_s):
    ids = [uuid4() for _ in range(count)]
    due_at = NOW - timedelta(seconds=since_s)
    known = {"stage": step.needs, "received_at": NOW, "modified_at": NOW, "happened_at": NOW, "attributes": {}}
    with database.write() as connection:
        connection.execute(
            sa.insert(call), [known | {"id": i, "source_system": "test", "external_call_id": str(i)} for i in ids]
        )
        connection.execute(sa.insert(job), [jobs.first_job(i, due_at) | {"step": step.name} for i in ids])
    return ids


def rung(database):
    with database.read() as connection:
        return set(connection.execute(sa.select(job.c.call_id).where(job.c.rung_at.is_not(None))).scalars())


def test_a_pile_of_older_work_does_not_hide_what_stands_still_in_another_queue(database, app):
    standing(database, TRANSCRIBE, QUEUE_LIMIT + 1, since_s=600)
    assert sweep(database, app, [TRANSCRIBE.queue]) == QUEUE_LIMIT
    with app.connection_for_write() as broker:
        broker.default_channel.basic_get(TRANSCRIBE.queue, no_ack=True)
    standing(database, TRANSCRIBE, QUEUE_LIMIT, since_s=300)
    (waiting,) = standing(database, UNDERSTAND, 1, since_s=0)
    assert sweep(database, app) == 2
    assert waiting in rung(database)


def test_a_full_queue_is_left_alone_and_the_oldest_work_comes_first(database, app):
    oldest = standing(database, TRANSCRIBE, QUEUE_LIMIT, since_s=600)
    standing(database, TRANSCRIBE, 5, since_s=60)
    assert sweep(database, app) == QUEUE_LIMIT
    assert rung(database) == set(oldest)
    assert sweep(database, app) == 0


def test_a_sweep_finds_its_broker_again_after_the_connection_that_it_keeps_was_cut(database, rabbitmq_url):
    broker = urlsplit(rabbitmq_url)
    proxy = Proxy(broker.port)
    with Celery(broker=rabbitmq_url.replace(f":{broker.port}", f":{proxy.port}")) as app:
        app.conf.task_create_missing_queues = True
        standing(database, TRANSCRIBE, 1, since_s=0)
        assert sweep(database, app) == 1
        assert proxy.cut() == 1
        (waiting,) = standing(database, UNDERSTAND, 1, since_s=0)
        assert sweep(database, app) == 1
        assert waiting in rung(database)
    proxy.close()


def test_a_dead_workers_open_request_to_sqs_ends_before_the_leases_of_its_calls():
    for lease_s in (1.5, 2.0, 10.0, 12.0, 600.0):
        asked = Settings(broker={"url": "sqs://"}, work={"lease_s": lease_s})
        assert 1 <= transport_options(asked)["wait_time_seconds"] <= lease_s * (1 - RENEWED_EVERY)


class BreaksOnce:
    """A database whose first write meets an error that nobody foresaw."""

    def __init__(self, database):
        self._database = database
        self.broke = Event()

    @contextmanager
    def write(self):
        if not self.broke.is_set():
            self.broke.set()
            raise RuntimeError("nobody foresaw this")
        with self._database.write() as connection:
            yield connection


def test_a_lease_is_renewed_again_after_an_error_that_nobody_foresaw(database):
    (call_id,) = standing(database, TRANSCRIBE, 1, since_s=0)
    with database.write() as connection:
        claim = jobs.claim(connection, call_id, TRANSCRIBE, now=NOW, lease_s=0.0)
    assert claim is not None
    breaking = BreaksOnce(database)
    leases = Leases(breaking, lease_s=0.3)

    def due_at():
        with database.read() as connection:
            return connection.execute(sa.select(job.c.due_at)).scalar_one()

    claimed_until = due_at()
    with leases.keep(claim):
        wait_until(lambda: due_at() > claimed_until, what="a renewed lease")
    leases.close()
    assert breaking.broke.is_set()


def test_a_process_that_is_stopped_before_it_began_writes_no_sign_of_life(database):
    SignsOfLife(database, "worker").stop()
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(process_beat)).scalar_one() == 0


def test_the_strokes_of_the_clock_wait_behind_no_call_and_go_stale():
    strokes = {name: entry["options"] for name, entry in clock.conf.beat_schedule.items()}
    short = {name for name, stroke in strokes.items() if stroke["queue"] not in QUEUES}
    assert short == {"sweep", "batches", "roll-up"}
    # What may take minutes is a worker's, and must not hold up the clock's own.
    assert strokes.keys() - short == {"privacy", "findings"}
    assert all(stroke["expires"] > 0 for stroke in strokes.values())


class Message:
    """What Celery keeps of a message that its worker has taken."""

    id = "1"
    name = "work.export"


def test_a_pool_is_stuck_when_nobody_takes_a_message_and_not_while_one_works_for_long(database):
    message, pool = Message(), StuckPool(database, after_s=0.0)
    assert not pool.is_stuck()
    state.task_reserved(message)
    try:
        assert pool.is_stuck()
        state.task_accepted(message)
        assert not pool.is_stuck()
    finally:
        state.task_ready(message)
    assert not pool.is_stuck()
