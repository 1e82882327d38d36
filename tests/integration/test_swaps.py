"""Speakers that were told apart wrongly: renamed by a person or by late telephony, without hearing the call again."""

import json
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from analytics.rollup import recompute_all, refresh
from analytics.star import fact_call
from calls.errors import UnusableAnswer
from calls.recording import CallFacts
from calls.transcript import Utterance, Word
from crm import tables
from crm.facts import set_facts
from crm.swaps import NoChannels, correct_agent_channel, stated_agent_channel
from engines.language_fake import FakeLanguage, first_words
from engines.speech_fake import FakeSpeech
from ingest.intake import take_messages
from tests.integration.listening import make_intake, s3_event
from tests.integration.test_late_facts import sums
from tests.integration.test_steps import SAID, Centre
from tests.sound import two_channel_wav

DOUBT = {"feature": "channels", "code": "maybe_swapped"}
TIMED = {
    **SAID,
    1: [Utterance(1, 0.1, 0.8, "how can I help you", 0.9, words=(Word("how", 0.1, 0.3, 0.8),))],
}


@pytest.fixture
def centre(any_database, tmp_path):
    made = Centre(any_database, tmp_path / "scratch")
    yield made
    made.leases.close()


@pytest.fixture
def recording():
    return two_channel_wav(seconds=3)


class Counting(FakeSpeech):
    """Counts how often a recording is heard."""

    def __init__(self, script=TIMED):
        super().__init__(script)
        self.heard_count = 0

    def transcribe(self, audio, hints, pay, *kept):
        self.heard_count += 1
        return super().transcribe(audio, hints, pay, *kept)


def swap(centre, call_id):
    with centre.database.write() as connection:
        channel = 1 - stated_agent_channel(connection, call_id)
        correct_agent_channel(connection, call_id, channel, now=datetime.now(UTC))
        return channel


def tell(centre, call_id, **facts):
    known = {"from_number_e164": "+12065550142", "direction": "inbound"}
    with centre.database.write() as connection:
        return set_facts(connection, call_id, CallFacts(**known | facts), now=datetime.now(UTC))


def current(centre, table=tables.transcript):
    return [row for row in centre.rows(table) if row.is_current]


def speakers(centre):
    [heard] = current(centre)
    rows = [row for row in centre.rows(tables.utterance) if row.transcript_id == heard.id]
    return [(row.speaker, row.text) for row in sorted(rows, key=lambda row: row.seq)]


def as_it_stands(centre, call_id):
    """All that a person sees of who said what, without ids, revisions and times of writing."""
    [heard] = current(centre)
    known = heard._asdict()
    for name in ("id", "revision", "created_at"):
        del known[name]
    rows = [row._asdict() for row in centre.rows(tables.utterance) if row.transcript_id == heard.id]
    said = [{k: v for k, v in row.items() if k != "transcript_id"} for row in sorted(rows, key=lambda row: row["seq"])]
    [understood] = current(centre, tables.call_analysis)
    return known, said, understood.summary, centre.call(call_id).stage


AGENT_FIRST = [("agent", "how can I help you"), ("customer", "where is my order")]
AGENT_LAST = [("customer", "how can I help you"), ("agent", "where is my order")]


def test_a_map_that_contradicts_what_is_said_is_marked_and_not_changed_by_itself(centre, recording):
    centre.receive(recording)
    centre.work(centre.parts(speech=Counting(), default_agent_channel=0))
    assert speakers(centre) == AGENT_LAST
    assert current(centre)[0].skipped == [DOUBT]


def test_a_swap_renames_the_speakers_and_has_the_call_understood_again_without_hearing_it_again(centre, recording):
    speech = Counting()
    parts = centre.parts(speech=speech, default_agent_channel=0)
    call_id = centre.receive(recording)
    centre.work(parts)
    before = current(centre)[0]
    assert swap(centre, call_id) == 1
    assert centre.call(call_id).stage == "transcribed"
    assert current(centre, tables.call_analysis) == []
    centre.work(parts)
    [heard] = current(centre)
    assert speakers(centre) == AGENT_FIRST
    assert (heard.revision, heard.skipped, heard.agent_channel, heard.engine) == (2, [], 1, "fake/script")
    assert (heard.talk_time_agent_s, heard.talk_time_customer_s) == (
        before.talk_time_customer_s,
        before.talk_time_agent_s,
    )
    [understood] = current(centre, tables.call_analysis)
    assert (understood.summary, understood.revision) == ("where is my order", 2)
    assert (speech.heard_count, centre.call(call_id).stage, centre.call(call_id).agent_channel) == (1, "done", 1)
    assert len(centre.rows(tables.transcript)) == len(centre.rows(tables.call_analysis)) == 2


def test_swapping_twice_is_as_it_was(centre, recording):
    parts = centre.parts(speech=Counting(), default_agent_channel=0)
    call_id = centre.receive(recording)
    centre.work(parts)
    translated = [[1, 0.1, 0.8, "how can I help you"]]
    with centre.database.write() as connection:
        connection.execute(sa.update(tables.transcript).values(translation=translated))
    before = as_it_stands(centre, call_id)
    assert before[0]["translation"] == translated
    swap(centre, call_id)
    centre.work(parts)
    assert as_it_stands(centre, call_id) != before
    swap(centre, call_id)
    centre.work(parts)
    assert as_it_stands(centre, call_id) == before
    assert before[1][0]["words"] == [["how", 0.1, 0.3, 0.8]]


def test_saying_once_more_which_channel_it_is_changes_nothing(centre, recording):
    call_id = centre.receive(recording)
    centre.work(centre.parts())
    for channel, is_news in ((1, False), (0, True), (0, False)):
        with centre.database.write() as connection:
            assert correct_agent_channel(connection, call_id, channel, now=datetime.now(UTC)) is is_news
    assert len(centre.rows(tables.transcript)) == 2


def test_what_telephony_says_later_does_not_undo_a_persons_word(centre, recording):
    intake = make_intake(centre.database, centre.objects)
    centre.objects.put("x.wav", recording)
    take_messages(intake, "test", [s3_event("x.wav")])
    parts = centre.parts(speech=Counting())
    centre.work(parts)
    [call] = centre.rows(tables.call)
    assert swap(centre, call.id) == 0
    for told in ('{"agent_channel": 1, "queue": "Billing"}', '{"agent_channel": 1, "queue": "Sales"}'):
        centre.objects.put("x.json", told.encode())
        take_messages(intake, "test", [s3_event("x.json")])
        centre.work(parts)
        assert speakers(centre) == AGENT_LAST
    assert (centre.call(call.id).agent_channel, len(centre.rows(tables.transcript))) == (0, 2)
    centre.objects.put("x.wav", two_channel_wav(seconds=4))
    take_messages(intake, "test", [s3_event("x.wav")])
    centre.work(parts)
    assert speakers(centre) == AGENT_LAST


def test_an_agents_channel_that_telephony_tells_late_renames_the_speakers_too(centre, recording):
    intake = make_intake(centre.database, centre.objects)
    centre.objects.put("x.wav", recording)
    take_messages(intake, "test", [s3_event("x.wav")])
    speech = Counting()
    parts = centre.parts(speech=speech)
    centre.work(parts)
    centre.objects.put("x.json", json.dumps({"agent_channel": 0, "from": "+12065550142"}).encode())
    take_messages(intake, "test", [s3_event("x.json")])
    [call] = centre.rows(tables.call)
    assert (call.stage, call.agent_channel) == ("transcribed", 0)
    centre.work(parts)
    assert speakers(centre) == AGENT_LAST
    [call] = centre.rows(tables.call)
    assert (call.stage, call.contact_id is None, speech.heard_count) == ("done", False, 1)


def test_telling_late_what_was_assumed_changes_no_word(centre, recording):
    call_id = centre.receive(recording)
    centre.work(centre.parts())
    assert tell(centre, call_id, agent_channel=1)
    assert (centre.call(call_id).stage, len(centre.rows(tables.transcript))) == ("done", 1)


def test_what_is_told_while_a_recording_is_heard_counts_for_its_transcript(centre, recording):
    def telling(_audio):
        tell(centre, call_id, agent_channel=0)
        return [said for channel in SAID.values() for said in channel]

    call_id = centre.receive(recording)
    centre.work(centre.parts(speech=FakeSpeech(telling)))
    assert (speakers(centre), len(centre.rows(tables.transcript))) == (AGENT_LAST, 1)


def test_an_answer_about_the_old_speakers_is_dropped(centre, recording):
    asked = []

    def swapping(conversation, taxonomy):
        asked.append([turn.speaker.value for turn in conversation.turns])
        if len(asked) == 1:
            swap(centre, call_id)
        return first_words(conversation, taxonomy)

    call_id = centre.receive(recording)
    centre.work(centre.parts(language=FakeLanguage(swapping)))
    assert asked == [["agent", "customer"], ["customer", "agent"]]
    [understood] = centre.rows(tables.call_analysis)
    assert (understood.summary, centre.call(call_id).stage) == ("how can I help you", "done")


def test_a_call_that_could_not_be_understood_is_asked_about_anew(centre, recording):
    def refusing(*_):
        raise UnusableAnswer("no", code="refused")

    call_id = centre.receive(recording)
    centre.work(centre.parts(language=FakeLanguage(refusing)))
    assert centre.call(call_id).stage == "failed"
    swap(centre, call_id)
    centre.work(centre.parts())
    call = centre.call(call_id)
    assert (call.stage, call.failed_code, speakers(centre)) == ("done", None, AGENT_LAST)


def test_a_voicemail_stays_skipped_with_its_speaker_renamed(centre, recording):
    call_id = centre.receive(recording)
    script = {1: [Utterance(1, 0.1, 2.5, "please call me back about the order")]}
    centre.work(centre.parts(speech=FakeSpeech(script)))
    assert centre.call(call_id).skip_reason == "voicemail"
    swap(centre, call_id)
    assert [who for who, _ in speakers(centre)] == ["customer"]
    assert (centre.call(call_id).stage, centre.rows(tables.job)) == ("skipped", [])


def test_without_channels_there_is_nothing_to_swap(centre, recording):
    call_id = centre.receive(recording)
    with pytest.raises(NoChannels, match="no transcript yet"):
        swap(centre, call_id)
    centre.work(centre.parts())
    with centre.database.write() as connection:
        connection.execute(sa.update(tables.transcript).values(agent_channel=None))
    with pytest.raises(NoChannels, match="not told apart by channel"):
        swap(centre, call_id)
    assert tell(centre, call_id, agent_channel=0)
    assert (centre.call(call_id).stage, centre.rows(tables.telling), len(centre.rows(tables.transcript))) == (
        *("done", [], 1),
    )


def test_the_roll_ups_after_a_swap_are_those_of_a_recompute(centre, recording):
    parts = centre.parts(speech=Counting())
    call_id = centre.receive(recording)
    centre.work(parts)
    refresh(centre.database, "UTC")
    [before] = centre.rows(fact_call)
    swap(centre, call_id)
    refresh(centre.database, "UTC")
    assert centre.rows(fact_call) == []
    centre.work(parts)
    refresh(centre.database, "UTC")
    [after] = centre.rows(fact_call)
    assert (after.talk_time_agent_ms, after.talk_time_customer_ms) == (
        before.talk_time_customer_ms,
        before.talk_time_agent_ms,
    )
    followed = sums(centre.database)
    recompute_all(centre.database, "UTC")
    assert sums(centre.database) == followed
