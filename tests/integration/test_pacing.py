"""Calls that are paced: they wait for their turn without losing an attempt, and whoever waits for idleness waits on."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from calls.errors import Paced, TransientError
from calls.pipeline import TRANSCRIBE, UNDERSTAND
from crm import tables, waiting
from crm.pacing import DatabaseMeters
from crm.status import status
from engines.language_fake import FakeLanguage, first_words
from engines.pacing_redis import RedisMeters
from runtime.settings import read_settings
from runtime.wiring import Wiring
from tests.integration.test_steps import Centre
from tests.sound import two_channel_wav
from workers.run import work_until_idle
from workers.steps import run_step


@pytest.fixture
def centre(any_database, tmp_path):
    made = Centre(any_database, tmp_path / "scratch")
    yield made
    made.leases.close()


class Scripted:
    """A model that raises one thing after the other, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.asked = 0

    def __call__(self, conversation, taxonomy):
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return first_words(conversation, taxonomy)


def test_a_paced_call_goes_back_to_its_turn_and_no_attempt_is_counted(centre):
    call_id = centre.receive(two_channel_wav(seconds=3))
    script = Scripted(Paced("the budget is used up", retry_after_s=90))
    parts = centre.parts(language=FakeLanguage(script), max_attempts=1)
    begun = datetime.now(UTC)
    run_step(parts, TRANSCRIBE, call_id)
    [job] = centre.rows(tables.job)
    assert (job.step, job.attempt_count, job.last_code) == (UNDERSTAND.name, 0, "paced")
    assert timedelta(seconds=85) < job.due_at - begun < timedelta(seconds=150)
    with centre.database.read() as connection:
        assert status(connection, datetime.now(UTC))["waiting"] == {"paced": 1}
        assert waiting.waiting_count(connection) == 0, "nobody has to mend anything"
    with centre.database.write() as connection:
        connection.execute(sa.update(tables.job).values(due_at=datetime.now(UTC)))
    centre.work(parts)
    assert centre.call(call_id).stage == "done"


def test_pacing_forgives_no_earlier_attempt(centre):
    call_id = centre.receive(two_channel_wav(seconds=3))
    failure, paced = TransientError("no answer", code="server_error"), Paced("", retry_after_s=0)
    script = Scripted(failure, paced, paced, paced, failure)
    centre.work(centre.parts(language=FakeLanguage(script), max_attempts=2))
    call = centre.call(call_id)
    assert (call.stage, call.failed_code) == ("failed", "server_error")
    assert script.asked == 5


def test_working_until_idle_waits_for_the_turns_of_paced_calls(centre):
    call_id = centre.receive(two_channel_wav(seconds=3))
    script = Scripted(*[Paced("", retry_after_s=0.2)] * 3)
    parts = centre.parts(language=FakeLanguage(script))
    idle = work_until_idle(parts, catch_up=lambda: 0, roll=lambda: 0, timeout_s=120)
    assert (idle.unfinished_count, idle.timed_out) == (0, False)
    assert centre.call(call_id).stage == "done"


def test_workers_share_their_meters_in_redis_where_that_is_the_broker_and_else_in_the_database(tmp_path):
    home = {"home": tmp_path, "language": {"engine": "openai"}}
    embedded = Wiring(read_settings(**home))
    assert isinstance(embedded.meters, DatabaseMeters)
    assert isinstance(Wiring(read_settings(**home, broker={"url": "amqp://guest@rabbit"})).meters, DatabaseMeters)
    assert isinstance(Wiring(read_settings(**home, broker={"url": "redis://cache:6379/0"})).meters, RedisMeters)
