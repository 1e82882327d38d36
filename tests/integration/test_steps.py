"""The steps: how every kind of success and failure ends, on both databases."""

import errno
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from calls.errors import EngineMisconfigured, ObjectGone, TransientError, UnusableAnswer
from calls.money import Charge
from calls.pipeline import FILE, QUEUES, TRANSCRIBE, UNDERSTAND
from calls.recording import PEAKS, CallFacts, Direction, own_key
from calls.transcript import Utterance
from crm import retries, tables, waiting
from crm.facts import set_facts
from crm.intake import insert_received
from crm.taxonomies import store_taxonomy
from engines.audio import AudioLimits, decode
from engines.audio_decoder import Decoder
from engines.language_fake import FakeLanguage, first_words
from engines.objects_memory import MemoryStore
from engines.speech import SpeechHints
from engines.speech_fake import FakeSpeech
from tests.seeds import TAXONOMY
from tests.sound import two_channel_wav
from workers.leases import Leases
from workers.parts import Parts
from workers.run import work_until_idle
from workers.steps import LEFTOVER_S, clear_leftovers, run_step

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
SAID = {
    1: [Utterance(1, 0.1, 1.0, "how can I help you", avg_confidence=0.9)],
    0: [Utterance(0, 1.1, 2.0, "where is my order", avg_confidence=0.8)],
}
CHARGE = Charge("openai", "gpt-5.4-mini", "understand", "req-1", 1000, 200, 100, 0.0, 1234)


class Centre:
    """One recording in a store, received, and the parts to work on it."""

    def __init__(self, database, scratch):
        self.database = database
        self.objects = MemoryStore("recordings")
        self.leases = Leases(database, 15.0)
        self.scratch = scratch
        with database.write() as connection:
            store_taxonomy(connection, TAXONOMY, NOW)

    def receive(self, body, key="call.wav", **facts):
        stored = self.objects.put(key, body)
        facts.setdefault("from_number_e164", "+12065550142")
        facts.setdefault("direction", Direction.INBOUND)
        with self.database.write() as connection:
            return insert_received(
                connection, stored, CallFacts(**facts), source_system="test", profile="plain", now=datetime.now(UTC)
            ).call_id

    def parts(self, speech=None, language=None, **changes):
        heard, understood = speech or FakeSpeech(SAID), language or FakeLanguage()
        return Parts(
            database=self.database,
            objects=self.objects,
            speech=lambda: heard,
            language=lambda: understood,
            default_taxonomy=lambda: TAXONOMY,
            leases=self.leases,
            ring=None,
            queues=QUEUES,
            hints=SpeechHints(),
            scratch=self.scratch,
            **({"backoff_s": 0.0} | changes),
        )

    def work(self, parts, rounds=12):
        """Do what is due, again and again, as workers would, until nothing is."""
        for _ in range(rounds):
            with self.database.read() as connection:
                due = waiting.due(connection, now=datetime.now(UTC), limit=10, queues=QUEUES)
            if not due:
                return
            for call_id, step in due:
                run_step(parts, step, call_id)

    def call(self, call_id):
        with self.database.read() as connection:
            return connection.execute(sa.select(tables.call).where(tables.call.c.id == call_id)).one()

    def rows(self, table):
        with self.database.read() as connection:
            return connection.execute(sa.select(table)).all()


@pytest.fixture
def centre(any_database, tmp_path):
    made = Centre(any_database, tmp_path / "scratch")
    yield made
    made.leases.close()


@pytest.fixture
def recording():
    return two_channel_wav(seconds=3)


def failing(error):
    def script(*_):
        raise error

    return script


def test_a_recording_becomes_a_call_with_transcript_analysis_and_customer(centre, recording):
    call_id = centre.receive(recording)
    centre.work(centre.parts())
    call = centre.call(call_id)
    assert call.stage == "done"
    assert call.duration_s == pytest.approx(3.0, abs=0.1)
    [transcript] = centre.rows(tables.transcript)
    assert (transcript.engine, transcript.is_demo, transcript.turn_count) == ("fake/script", True, 2)
    assert [row.speaker for row in centre.rows(tables.utterance)] == ["agent", "customer"]
    [analysis] = centre.rows(tables.call_analysis)
    assert (analysis.reason_code, analysis.taxonomy_version) == (TAXONOMY.reasons[0].code, TAXONOMY.version)
    [contact] = centre.rows(tables.contact)
    assert (contact.phone_e164, contact.id) == ("+12065550142", call.contact_id)
    [described] = centre.rows(tables.recording)
    assert centre.objects.head(described.playback_key).ref.size_bytes > 0
    assert centre.objects.head(own_key(PEAKS, described.id)).ref.size_bytes > 0
    assert list(centre.scratch.iterdir()) == []


def test_no_transaction_is_open_while_an_engine_works(centre, recording):
    open_connections = []

    def watching(*_):
        open_connections.append(centre.database.engine.pool.checkedout())
        return [said for channel in SAID.values() for said in channel]

    centre.receive(recording)
    centre.work(centre.parts(speech=FakeSpeech(watching)))
    assert open_connections == [0]


def test_what_can_pass_by_itself_is_tried_again_and_then_parked_with_its_code(centre, recording):
    tries = []

    def away(*_):
        tries.append(1)
        raise TransientError("no answer", code="rate_limited")

    call_id = centre.receive(recording)
    centre.work(centre.parts(language=FakeLanguage(away), max_attempts=3))
    call = centre.call(call_id)
    assert (call.stage, call.failed_step, call.failed_code) == ("failed", "call.understand", "rate_limited")
    assert len(tries) == 3


def test_a_back_off_is_no_shorter_than_the_other_side_asked_for(centre, recording):
    call_id = centre.receive(recording)
    busy = TransientError("busy", code="rate_limited", retry_after_s=60.0)
    centre.work(centre.parts(speech=FakeSpeech(failing(busy))), rounds=2)
    [job] = centre.rows(tables.job)
    assert job.due_at > datetime.now(UTC) + timedelta(seconds=50)
    assert centre.call(call_id).stage == "received"


@pytest.mark.parametrize("code", ["refused", "truncated", "invalid_answer"])
def test_an_unusable_answer_is_a_code_and_never_a_summary(centre, recording, code):
    call_id = centre.receive(recording)
    centre.work(centre.parts(language=FakeLanguage(failing(UnusableAnswer("no", code=code)), charge=CHARGE)))
    call = centre.call(call_id)
    assert (call.stage, call.failed_code) == ("failed", code)
    assert centre.rows(tables.call_analysis) == []
    [paid] = centre.rows(tables.paid_request)
    assert (paid.call_id, paid.cost_microusd, paid.cached_tokens) == (call_id, 1234, 200)


def test_a_wrong_key_costs_the_call_no_attempt_and_it_goes_through_once_the_key_is_right(centre, recording):
    call_id = centre.receive(recording)
    wrong = EngineMisconfigured("set CALLWISE_LANGUAGE__API_KEY")
    centre.work(centre.parts(language=FakeLanguage(failing(wrong)), max_attempts=1), rounds=3)
    [job] = centre.rows(tables.job)
    assert (job.attempt_count, job.last_code) == (0, "engine_misconfigured")
    with centre.database.write() as connection:
        connection.execute(sa.update(tables.job).values(due_at=datetime.now(UTC)))
    centre.work(centre.parts())
    assert centre.call(call_id).stage == "done"


def test_a_full_disk_costs_no_attempt_and_leaves_nothing_half_written(centre, recording):
    call_id = centre.receive(recording)

    def no_room(_path):
        raise OSError(errno.ENOSPC, "No space left on device")

    centre.work(centre.parts(decode=no_room, max_attempts=1), rounds=3)
    [job] = centre.rows(tables.job)
    assert (job.attempt_count, job.last_code) == (0, "disk_full")
    assert list(centre.scratch.iterdir()) == []
    assert centre.call(call_id).stage == "received"


def test_working_until_idle_ends_when_all_that_is_left_waits_for_a_person(centre, recording):
    centre.receive(recording)
    no_model = EngineMisconfigured("get the model", code="missing_model")
    parts = centre.parts(speech=FakeSpeech(failing(no_model)))
    idle = work_until_idle(parts, catch_up=lambda: 0, roll=lambda: 0, timeout_s=60)
    assert (idle.unfinished_count, idle.timed_out) == (1, False)


def test_an_error_that_nobody_knows_ends_in_a_state_that_a_person_sees(centre, recording):
    call_id = centre.receive(recording)
    centre.work(centre.parts(speech=FakeSpeech(failing(ZeroDivisionError())), max_attempts=2))
    call = centre.call(call_id)
    assert (call.stage, call.failed_code, call.failed_detail) == ("failed", "unexpected_error", "ZeroDivisionError")


def test_what_is_no_audio_is_failed_at_once_and_harms_no_other_call(centre, recording):
    bad = centre.receive(b"this is a letter, not a recording\n" * 100, key="letter.wav")
    empty = centre.receive(b"", key="empty.wav")
    good = centre.receive(recording, key="good.wav")
    centre.work(centre.parts())
    assert (centre.call(bad).stage, centre.call(bad).failed_code) == ("failed", "not_audio")
    assert (centre.call(empty).stage, centre.call(empty).failed_code) == ("failed", "empty")
    assert centre.call(good).stage == "done"


@pytest.mark.parametrize(("deed", "code"), [("crash", "decoder_died"), ("hang", "decoder_timed_out")])
def test_a_decoder_that_dies_or_hangs_fails_its_call_and_the_worker_goes_on(centre, recording, deed, code):
    unhealthy = Decoder(Path(__file__).parents[1] / "unhealthy_decoder.py")
    limits = AudioLimits(max_wall_s=3, max_stall_s=1)
    bad = centre.receive(b"RIFF\x24\x00\x00\x00WAVE " + deed.encode(), key="bad.wav")
    good = centre.receive(recording, key="good.wav")

    def decode_either(path):
        is_bad = path.stat().st_size < 100
        return decode(path, limits=limits, by=unhealthy) if is_bad else decode(path)

    centre.work(centre.parts(decode=decode_either))
    unhealthy.close()
    assert (centre.call(bad).stage, centre.call(bad).failed_code) == ("failed", code)
    assert centre.call(good).stage == "done"


def test_an_object_that_is_gone_is_a_failure_with_its_own_code(centre, recording):
    call_id = centre.receive(recording)
    centre.objects.delete("call.wav")
    centre.work(centre.parts())
    assert centre.call(call_id).failed_code == ObjectGone.code


def test_silence_is_skipped_before_any_language_model_is_asked(centre, recording):
    call_id = centre.receive(recording)
    asked = FakeLanguage(failing(AssertionError("nobody should ask")))
    centre.work(centre.parts(speech=FakeSpeech({}), language=asked))
    call = centre.call(call_id)
    assert (call.stage, call.skip_reason) == ("skipped", "no_speech")


def test_a_step_that_runs_twice_writes_once(centre, recording):
    call_id = centre.receive(recording)
    for _ in range(2):
        run_step(centre.parts(), TRANSCRIBE, call_id)
    assert len(centre.rows(tables.transcript)) == 1


def test_a_worker_that_was_thought_dead_finds_its_claim_lost_before_it_writes_anything(centre, recording):
    call_id = centre.receive(recording)

    def overtaken(*_):
        # Its lease has ended meanwhile, and another worker does the whole call.
        with centre.database.write() as connection:
            connection.execute(sa.update(tables.job).values(due_at=datetime.now(UTC)))
        run_step(centre.parts(), TRANSCRIBE, call_id)
        return SAID[1] + SAID[0]

    with capture_logs() as logs:
        run_step(centre.parts(speech=FakeSpeech(overtaken)), TRANSCRIBE, call_id)
    assert [line["event"] for line in logs] == ["claim_lost"]
    assert centre.call(call_id).stage == "done"
    assert len(centre.rows(tables.transcript)) == 1


def test_a_retried_call_goes_on_where_it_failed(centre, recording):
    call_id = centre.receive(recording)
    centre.work(centre.parts(language=FakeLanguage(failing(UnusableAnswer("no", code="refused")))))
    with centre.database.write() as connection:
        assert retries.retry(connection, now=datetime.now(UTC), code="refused") == 1
    centre.work(centre.parts(speech=FakeSpeech(failing(AssertionError("heard already")))))
    assert centre.call(call_id).stage == "done"
    assert len(centre.rows(tables.transcript)) == 1


def test_the_chain_of_a_customers_calls_does_not_depend_on_the_order_of_filing(centre, recording):
    days = [3, 1, 2]
    ids = {
        day: centre.receive(recording, key=f"{day}.wav", started_at=datetime(2026, 3, day, tzinfo=UTC)) for day in days
    }
    for day in days:
        for step in (TRANSCRIBE, UNDERSTAND, FILE):
            run_step(centre.parts(), step, ids[day])
    assert [centre.call(ids[day]).earlier_call_id for day in (1, 2, 3)] == [None, ids[1], ids[2]]


def test_a_number_that_telephony_tells_while_the_call_is_worked_on_still_finds_its_customer(centre, recording):
    call_id = centre.receive(recording, from_number_e164=None)

    def told_late(conversation, taxonomy):
        with centre.database.write() as connection:
            set_facts(connection, call_id, CallFacts(from_number_e164="+12065550199"), now=NOW)
        return first_words(conversation, taxonomy)

    centre.work(centre.parts(language=FakeLanguage(told_late)))
    [contact] = centre.rows(tables.contact)
    assert (contact.phone_e164, contact.id) == ("+12065550199", centre.call(call_id).contact_id)


def test_a_number_in_the_words_of_a_call_does_not_reach_the_engine(centre, recording):
    seen = []

    def watching(conversation, taxonomy):
        seen.extend(turn.text for turn in conversation.turns)
        raise UnusableAnswer("enough", code="refused")

    spoken = {0: [Utterance(0, 0.1, 2.0, "my card is 4111 1111 1111 1111")], 1: SAID[1]}
    centre.receive(recording)
    centre.work(centre.parts(speech=FakeSpeech(spoken), language=FakeLanguage(watching)))
    assert any("[CARD]" in text for text in seen)
    assert not any("4111" in text for text in seen)


def test_what_a_killed_step_left_behind_is_removed_when_it_is_a_day_old(tmp_path):
    for name, age_s in (("old", LEFTOVER_S + 60), ("young", 60)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recording").write_bytes(b"sound")
        moment = time.time() - age_s
        os.utime(tmp_path / name, (moment, moment))
    clear_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["young"]
