"""Laws of Twilio's status callback from the webhook to the finished call, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from structlog.testing import capture_logs

from calls.pipeline import FETCH, TRANSCRIBE
from calls.recording import CallFacts, call_id_for
from calls.telling import Rank, Telling
from crm import retries, tables
from crm.tellings import ToldOf, store_tellings
from ingest.tellings import call_subject
from ingest.twilio import recording_key
from tests.servers.process import wait_until
from tests.servers.twilio import Trouble
from tests.twilio_centre import (
    ABSENT,
    CALL,
    COMPLETED,
    OTHER,
    OTHER_SOUND,
    RECORDING,
    SOUND,
    STARTED,
    UNDER_WAY,
    Centre,
)
from workers.parts import Parts
from workers.steps import run_step


class Killed(BaseException):
    """As if the worker had been killed: nothing that runs afterwards can catch it and say so."""


@pytest.fixture
def centre(any_database, tmp_path, twilio):
    made = Centre(any_database, tmp_path / "home", twilio)
    yield made
    made.leases.close()


def test_a_callback_becomes_a_call_that_is_fetched_heard_and_understood(centre):
    assert centre.send(COMPLETED).status_code == 204
    call = centre.call()
    assert (call.stage, call.source_system, call.external_call_id, call.profile) == (
        "announced",
        "twilio",
        CALL,
        "twilio",
    )
    assert call.id == call_id_for("twilio", CALL)
    assert call.started_at == call.happened_at == STARTED
    assert call.duration_s is None
    assert call.attributes["recording_source"] == "DialVerb"
    [announced] = centre.rows(tables.recording)
    assert (announced.object_key, announced.etag, announced.size_bytes) == (recording_key(CALL, RECORDING), "", 0)
    centre.work()
    call = centre.call()
    assert (call.stage, call.started_at) == ("done", STARTED)
    assert call.duration_s == pytest.approx(3.0, abs=0.1)
    [stored] = centre.rows(tables.recording)
    assert (stored.id, stored.etag, stored.size_bytes) == (
        announced.id,
        centre.wiring.objects.head(stored.object_key).ref.etag,
        len(SOUND),
    )
    assert stored.channel_count == 2
    assert stored.sha256 == sha256(SOUND).hexdigest()
    assert len(centre.rows(tables.transcript)) == len(centre.rows(tables.call_analysis)) == 1
    assert [asked.channels for asked in centre.twilio.asked] == ["2"]
    assert list((centre.home / "scratch").iterdir()) == []


def test_a_callback_sent_again_changes_nothing_whatever_stage_the_call_is_in(centre):
    for _ in range(3):
        centre.send(COMPLETED)
        before = centre.everything()
        for repeated in (COMPLETED, ABSENT, UNDER_WAY, COMPLETED | {"RecordingStatus": "failed"}):
            assert centre.send(repeated).status_code == 204
        assert centre.everything() == before
        centre.work(rounds=1)
    assert centre.call().stage == "done"


def test_a_recording_under_way_is_nothing_yet(centre):
    assert centre.send(UNDER_WAY).status_code == 204
    assert centre.calls() == []


@pytest.mark.parametrize(("said", "reason"), [("absent", "absent"), ("failed", "recording_failed")])
def test_a_call_without_a_recording_is_seen_as_skipped_and_its_day_is_counted(centre, said, reason):
    assert centre.send(ABSENT | {"RecordingStatus": said}).status_code == 204
    call = centre.call()
    assert (call.stage, call.skip_reason, call.happened_at) == ("skipped", reason, STARTED)
    assert call.finished_at is not None
    assert call.attributes["error_code"] == "16102"
    assert centre.rows(tables.recording) == centre.rows(tables.job) == []
    assert centre.touched() == {call.id}
    before = centre.everything()
    for again in (ABSENT, ABSENT | {"RecordingStatus": "failed"}, UNDER_WAY):
        assert centre.send(again).status_code == 204
    assert centre.everything() == before


def test_a_recording_that_comes_after_all_revives_its_call(centre):
    centre.send(ABSENT)
    assert centre.send(COMPLETED).status_code == 204
    call = centre.call()
    assert (call.stage, call.skip_reason, call.finished_at) == ("announced", None, None)
    assert "error_code" not in call.attributes
    centre.work()
    assert centre.call().stage == "done"
    assert "error_code" not in centre.call().attributes


@pytest.mark.parametrize("event_first", [True, False])
def test_a_second_recording_of_one_call_is_a_call_of_its_own(centre, event_first):
    centre.send(COMPLETED)
    later = COMPLETED | {"RecordingSid": OTHER, "RecordingStartTime": "Sat, 14 Mar 2026 09:40:00 +0000"}
    centre.send(later)
    centre.send(later)
    if event_first:
        # Somebody else brings it: intake finds the very same call by it.
        centre.wiring.objects.put(recording_key(CALL, OTHER), OTHER_SOUND)
        assert centre.take_event(OTHER).known_count == 0
    centre.work()
    for recording in (RECORDING, OTHER):
        centre.take_event(recording)
    first, second = centre.calls()
    assert (first.external_call_id, first.stage, first.started_at) == (CALL, "done", STARTED)
    assert second.external_call_id.startswith(f"{CALL}~")
    assert (second.stage, second.initial_call_id) == ("done", CALL)
    assert second.started_at == datetime(2026, 3, 14, 9, 40, tzinfo=UTC)
    assert len(centre.rows(tables.transcript)) == 2


def test_intake_and_the_callback_name_a_second_recording_alike(centre):
    centre.wiring.objects.put(recording_key(CALL, RECORDING), SOUND)
    centre.wiring.objects.put(recording_key(CALL, OTHER), OTHER_SOUND)
    centre.send(COMPLETED)
    centre.take_event(OTHER)
    before = [(row.id, row.external_call_id) for row in centre.calls()]
    centre.send(COMPLETED | {"RecordingSid": OTHER})
    assert [(row.id, row.external_call_id) for row in centre.calls()] == before
    assert len(before) == 2


def test_the_stores_event_before_the_steps_commit_takes_the_call_over_and_the_step_is_dropped(centre):
    centre.send(COMPLETED)
    taken = []

    def on_time(step, moment):
        if (step, moment) == (FETCH, "worked"):
            taken.append(centre.take_event())

    with capture_logs() as logs:
        run_step(centre.parts(observe=on_time), FETCH, centre.call().id)
    assert [len(one.new) for one in taken] == [1]
    assert "claim_lost" in [entry["event"] for entry in logs]
    assert (centre.call().stage, centre.call().started_at) == ("received", STARTED)
    assert [step for _, step in centre.due()] == [TRANSCRIBE]
    centre.work()
    assert centre.call().stage == "done"
    [current] = [row for row in centre.rows(tables.recording) if row.is_current]
    assert (current.size_bytes, current.channel_count) == (len(SOUND), 2)
    assert len(centre.rows(tables.transcript)) == 1
    before = centre.everything()
    centre.send(COMPLETED)
    centre.take_event()
    assert centre.everything() == before


def test_the_stores_event_after_the_steps_commit_changes_nothing(centre):
    centre.send(COMPLETED)
    centre.work(rounds=1)
    before = centre.everything()
    assert centre.take_event().known_count == 1
    assert centre.everything() == before
    assert centre.call().stage == "done"


def test_the_stores_event_and_the_step_at_the_same_time_end_in_one_call_heard_once(centre):
    sids = [f"RE{number:032x}" for number in range(8)]
    for sid in sids:
        centre.twilio.keep(sid, SOUND)
        centre.send(COMPLETED | {"RecordingSid": sid})
    with ThreadPoolExecutor(8) as threads:
        events = []

        def meanwhile(step, moment):
            if (step, moment) == (FETCH, "worked"):
                lying = {ref.key for ref in centre.wiring.objects.list("twilio/")}
                events.extend(
                    threads.submit(centre.take_event, sid) for sid in sids if recording_key(CALL, sid) in lying
                )

        centre.work(centre.parts(observe=meanwhile), rounds=2)
        assert all(event.result() for event in events)
    centre.work()
    assert [row.stage for row in centre.calls()] == ["done"] * len(sids)
    current = [row for row in centre.rows(tables.recording) if row.is_current]
    assert {(row.object_key, row.size_bytes) for row in current} == {
        (recording_key(CALL, sid), len(SOUND)) for sid in sids
    }
    assert len(centre.rows(tables.transcript)) == len(sids)


@pytest.mark.parametrize("moment", ["claimed", "worked", "writing"])
def test_a_worker_killed_at_any_moment_leaves_one_call_and_one_download_too_many_at_most(centre, moment):
    centre.send(COMPLETED)

    def kill(step, now):
        if (step, now) == (FETCH, moment):
            raise Killed

    with pytest.raises(Killed):
        run_step(centre.parts(observe=kill, lease_s=0.2), FETCH, centre.call().id)
    wait_until(centre.due, what="the dead worker's lease ends")
    centre.work()
    assert centre.call().stage == "done"
    [stored] = centre.rows(tables.recording)
    assert stored.size_bytes == len(SOUND)
    # What was put before the death is found, and not downloaded again.
    assert len(centre.twilio.asked) == 1
    assert len(centre.rows(tables.transcript)) == 1


def test_the_media_may_be_ready_a_moment_after_the_callback(centre):
    centre.twilio.trouble(Trouble(404), Trouble(404))
    centre.send(COMPLETED)
    centre.work()
    assert centre.call().stage == "done"


def test_a_recording_that_never_comes_is_failed_by_its_name_and_can_be_tried_again(centre):
    centre.twilio.trouble(*[Trouble(404)] * 3)
    centre.send(COMPLETED)
    centre.work(centre.parts(max_attempts=3))
    call = centre.call()
    assert (call.stage, call.failed_step, call.failed_code) == ("failed", "call.fetch", "recording_gone")
    with centre.database.write() as connection:
        assert retries.retry(connection, now=datetime.now(UTC)) == 1
    centre.work()
    assert centre.call().stage == "done"


def test_a_refused_token_holds_no_attempt_against_the_call(centre):
    centre.twilio.trouble(Trouble(401))
    centre.send(COMPLETED)
    run_step(centre.parts(), FETCH, centre.call().id)
    [waiting] = centre.rows(tables.job)
    assert (waiting.last_code, waiting.attempt_count) == ("wrong_auth_token", 0)
    assert "telephony.twilio.auth_token" in waiting.last_detail
    assert centre.call().stage == "announced"


def test_a_worker_without_an_account_leaves_the_call_waiting_for_one(centre):
    centre.send(COMPLETED)
    parts = centre.parts()
    without = Parts(**{name: getattr(parts, name) for name in parts.__dataclass_fields__ if name != "twilio"})
    run_step(without, FETCH, centre.call().id)
    [waiting] = centre.rows(tables.job)
    assert (waiting.last_code, waiting.attempt_count) == ("missing_auth_token", 0)


def test_a_recording_of_one_channel_is_a_call_all_the_same(centre):
    centre.twilio.keep(RECORDING, SOUND, channels=1)
    centre.send(COMPLETED | {"RecordingChannels": "1"})
    centre.work()
    assert centre.call().stage == "done"
    assert [asked.channels for asked in centre.twilio.asked] == ["2", ""]


def test_what_was_told_of_the_call_before_is_known_from_its_first_moment(centre):
    told = Telling("record", Rank.RECORD, CallFacts(agent_name="Maya Lindqvist"), source_system="twilio")
    with centre.database.write() as connection:
        store_tellings(connection, [ToldOf(call_subject("twilio", CALL), told)], now=STARTED)
    centre.send(COMPLETED)
    [agent] = centre.rows(tables.agent)
    assert (agent.display_name, centre.call().agent_id) == ("Maya Lindqvist", agent.id)
    assert centre.call().started_at == STARTED


def test_a_clock_in_the_future_is_not_believed(centre):
    year = datetime.now(UTC).year + 2
    centre.send(COMPLETED | {"RecordingStartTime": f"14 Mar {year} 09:25:17 +0000"})
    call = centre.call()
    assert call.started_at is None
    assert abs(call.happened_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert str(year) in call.attributes["not_believed"]


def test_callbacks_side_by_side_make_one_call_of_each_recording(centre):
    sent = [COMPLETED, COMPLETED | {"RecordingSid": OTHER}, ABSENT] * 5
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(centre.send, sent))
    assert {answer.status_code for answer in answers} == {204}
    assert len(centre.calls()) == 2
    assert len(centre.rows(tables.recording)) == len(centre.rows(tables.job)) == 2
    assert {row.stage for row in centre.calls()} == {"announced"}
