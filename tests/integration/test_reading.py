"""The step `call.read`: every kind of conversation that comes as text ends as a call with turns, on both databases."""

import base64
import json
from datetime import UTC, datetime
from itertools import permutations
from math import factorial
from pathlib import Path

import pytest
import sqlalchemy as sa

from calls.pipeline import PIPELINE, QUEUES, READ, TRANSCRIBE
from calls.recording import ObjectRef
from calls.timing import NOT_TIMED
from calls.transcript import Utterance
from crm import retries, tables, waiting
from crm.access import OPERATOR
from crm.arrivals import Arrival
from crm.intake import insert_batch
from crm.one_call import call_in_full
from crm.taxonomies import store_taxonomy
from engines.language_fake import FakeLanguage
from engines.objects_folder import FolderStore
from engines.speech import SpeechHints
from engines.speech_fake import FakeSpeech
from ingest.conversations import MAX_BYTES, facts_of, kind_of
from ingest.events import Announced
from ingest.intake import Intake
from ingest.profiles import BUILT_IN, Profiles
from tests.seeds import TAXONOMY
from tests.sound import two_channel_wav
from tests.web_client import make_hall
from workers.leases import Leases
from workers.parts import Parts
from workers.steps import run_step
from workers.tasks import app

FIXTURES = Path(__file__).parent.parent / "fixtures" / "conversations"
NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
HEARD = {
    1: [Utterance(1, 0.1, 1.0, "how can I help you", avg_confidence=0.9)],
    0: [Utterance(0, 1.1, 2.0, "where is my order", avg_confidence=0.8)],
}


def nobody_is_asked():
    raise AssertionError("no speech engine is needed for text")


class Desk:
    """A folder store, a database, and workers that do what is due."""

    def __init__(self, database, home):
        self.database = database
        self.objects = FolderStore(home / "objects", bucket="recordings")
        self.leases = Leases(database, 15.0)
        self.scratch = home / "scratch"
        self.speech = nobody_is_asked
        self.language = FakeLanguage()
        with database.write() as connection:
            store_taxonomy(connection, TAXONOMY, NOW)

    def receive(self, raw, key, agent_channel=None):
        """Take in one conversation the way that intake does, with what it says of itself."""
        stored = self.objects.put(key, raw)
        facts = facts_of(key, raw)
        arrival = Arrival(stored, facts, "test", kind_of(key, raw), is_text=True)
        with self.database.write() as connection:
            [received] = insert_batch(connection, [arrival], now=datetime.now(UTC))
            if agent_channel is not None:
                named = sa.update(tables.call).where(tables.call.c.id == received.call_id)
                connection.execute(named.values(agent_channel=agent_channel))
        return received

    def announce(self, *keys, profiles=("connect", "plain")):
        """Tell intake of objects, the way that a listener does."""
        profiles = Profiles.of(profiles, region="US", time_zone="UTC")
        intake = Intake(self.database, self.objects, profiles)
        return intake.take([Announced((ObjectRef("recordings", key),)) for key in keys])

    def work(self, rounds=8):
        parts = Parts(
            database=self.database,
            objects=self.objects,
            speech=self.speech,
            language=lambda: self.language,
            default_taxonomy=lambda: TAXONOMY,
            leases=self.leases,
            ring=None,
            queues=QUEUES,
            hints=SpeechHints(),
            scratch=self.scratch,
            backoff_s=0.0,
        )
        for _ in range(rounds):
            with self.database.read() as connection:
                due = waiting.due(connection, now=datetime.now(UTC), limit=10, queues=QUEUES)
            if not due:
                return
            for call_id, step in due:
                run_step(parts, step, call_id)

    def read(self, raw, key, **facts):
        """Take it in, do the work, and look at the call."""
        received = self.receive(raw, key, **facts)
        self.work()
        return self.call(received.call_id)

    def call(self, call_id):
        with self.database.read() as connection:
            return call_in_full(connection, OPERATOR, call_id)

    def job_step(self, call_id):
        with self.database.read() as connection:
            return connection.execute(sa.select(tables.job.c.step).where(tables.job.c.call_id == call_id)).scalar()


@pytest.fixture
def desk(any_database, tmp_path):
    made = Desk(any_database, tmp_path)
    yield made
    made.leases.close()


def turns(call):
    return [(turn.speaker.value, turn.start_s, turn.text) for turn in call.transcript.turns]


def vcon(*dialog, analysis=()):
    parties = [{"tel": "+12065550142", "role": "customer"}, {"name": "Maya", "role": "agent"}]
    document = {"vcon": "0.4.0", "uuid": "u-1", "parties": parties, "dialog": dialog, "analysis": analysis}
    return json.dumps(document).encode()


def recording(**more):
    return {"type": "recording", "start": "2026-03-14T08:25:17Z", "parties": [0, 1], "mediatype": "audio/x-wav"} | more


GREETING = "Good morning, Harbour Repairs, how can I help you?"


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        (
            "contact.vtt",
            "webvtt",
            [
                ("agent", 0.4, GREETING),
                ("customer", 3.1, "My boiler leaks & the kitchen floor is wet."),
                ("agent", 8.0, "I can send somebody tomorrow at nine."),
                ("customer", 8.0, "Yes, please. Thank you."),
            ],
        ),
        (
            "bill.srt",
            "srt",
            [
                ("agent", 0.5, "Harbour Repairs, good morning."),
                ("customer", 2.2, "I have a question about my bill. It is far too high."),
                ("agent", 7.2, "Let me look at it."),
            ],
        ),
        (
            "channels.transcribe.json",
            "transcribe",
            [
                ("agent", 0.3, "Hello, how can I help you?"),
                ("customer", 2.5, "Where is my order?"),
                ("agent", 4.0, "It left yesterday."),
            ],
        ),
        (
            "speakers.transcribe.json",
            "transcribe",
            [("unknown", 0.5, "Good morning."), ("unknown", 1.4, "Hi, is [PII] there?"), ("unknown", 2.8, "Yes.")],
        ),
        (
            "contact_lens.json",
            "contact_lens",
            [
                ("agent", 0.0, GREETING),
                ("customer", 3.1, "I am [PII] and my boiler leaks."),
                ("agent", 6.0, "I can send somebody tomorrow."),
                ("customer", 14.0, "Thank you."),
            ],
        ),
        (
            "chat.vcon.json",
            "vcon",
            [
                ("customer", 0.0, "Hello, where is my parcel? It should be here by now."),
                ("agent", 30.0, "It left yesterday & arrives today."),
                ("customer", 73.0, "Thank you."),
            ],
        ),
        (
            "segments.vcon.json",
            "vcon",
            [
                ("agent", 0.5, "Harbour Repairs, how can I help you?"),
                ("customer", 3.4, "My boiler leaks."),
                ("agent", 31.0, "I am from the boiler team."),
            ],
        ),
        (
            "plain.vcon.json",
            "vcon",
            [
                ("agent", 0.0, "Harbour Repairs, how can I help you?"),
                ("customer", 0.001, "My boiler leaks. The kitchen floor is wet."),
                ("agent", 0.003, "I can send somebody tomorrow."),
            ],
        ),
    ],
)
def test_a_conversation_ends_as_a_call_with_its_turns_and_an_analysis(desk, name, kind, expected):
    call = desk.read((FIXTURES / name).read_bytes(), f"texts/{name}")
    assert (call.line.stage, call.failed_step) == ("done", None)
    assert turns(call) == expected
    assert (call.transcript.engine, call.transcript.is_demo) == (f"given/{kind}", False)
    assert call.analysis.reason_code == TAXONOMY.reasons[0].code
    assert (call.recording.container, call.recording.codec, call.recording.has_sound) == (kind, "", False)
    assert list(desk.scratch.iterdir()) == []


def test_a_conversation_with_times_is_measured_as_a_recording_is(desk):
    call = desk.read((FIXTURES / "contact_lens.json").read_bytes(), "a.json")
    heard = call.transcript
    assert (heard.timing.talk_time_agent_s, heard.timing.talk_time_customer_s) == (4.9, 4.3)
    assert (heard.timing.non_talk_time_s, heard.timing.interruption_count) == (6.0, 1)
    assert (call.line.duration_s, heard.language) == (15.2, "en")
    assert {"feature": "post_contact_summary", "code": "insufficient_conversation_content"} in heard.skipped


@pytest.mark.parametrize(("name", "code"), [("plain.vcon.json", "no_times"), ("chat.vcon.json", "no_ends")])
def test_a_conversation_without_times_is_not_measured_and_no_silence(desk, name, code):
    heard = desk.read((FIXTURES / name).read_bytes(), name).transcript
    assert heard.timing == NOT_TIMED
    assert list(heard.skipped) == [{"feature": "timing", "code": code}]


def test_the_channel_of_the_agent_is_the_one_that_telephony_named(desk):
    call = desk.read((FIXTURES / "channels.transcribe.json").read_bytes(), "a.json", agent_channel=0)
    assert [turn.speaker.value for turn in call.transcript.turns] == ["customer", "agent", "customer"]


def test_what_a_vcon_says_of_the_call_is_on_the_call(desk):
    call = desk.read((FIXTURES / "segments.vcon.json").read_bytes(), "a.vcon.json")
    assert call.line.external_call_id == "018e4a2b-0000-8000-8000-000000000002"
    assert (call.line.customer_number, call.line.direction, call.line.duration_s) == ("+12065550142", "inbound", 42.0)


def test_a_voicemail_in_text_is_skipped_and_its_transcript_kept(desk):
    text = b"WEBVTT\n\n00:00.000 --> 00:04.000\nWe are closed. Please leave a message after the tone.\n"
    call = desk.read(text, "a.vtt")
    assert (call.line.stage, call.line.skip_reason, len(call.transcript.turns)) == ("skipped", "voicemail", 1)


def test_a_vcon_that_holds_its_recording_is_heard_and_can_be_played(desk):
    sound = base64.urlsafe_b64encode(two_channel_wav(seconds=3)).decode().rstrip("=")
    raw = vcon(recording(body=sound, encoding="base64url"))
    desk.speech = lambda: FakeSpeech(HEARD)
    received = desk.receive(raw, "a.vcon")
    assert desk.job_step(received.call_id) == READ.name
    desk.work(rounds=1)
    assert desk.job_step(received.call_id) == TRANSCRIBE.name
    desk.work()
    call = desk.call(received.call_id)
    assert (call.line.stage, call.transcript.engine) == ("done", "fake/script")
    assert [turn.text for turn in call.transcript.turns] == ["how can I help you", "where is my order"]
    assert (call.recording.object_key, call.recording.channel_count, call.recording.has_sound) == ("a.vcon", 2, True)
    assert desk.objects.head(call.recording.playback_key).ref.size_bytes > 0
    assert not desk.receive(raw, "a.vcon").is_new


@pytest.mark.parametrize(
    ("key", "raw", "code"),
    [
        ("a.vcon", vcon(recording(url="https://recordings.example/a.wav")), "no_conversation"),
        ("a.vcon", vcon(), "no_conversation"),
        ("a.vcon", b'{"vcon": ', "unreadable_conversation"),
        ("a.json", b'{"results": {"transcripts": [{"transcript": ""}]}}', "empty_conversation"),
        ("a.vtt", b"WEBVTT\n", "empty_conversation"),
        ("a.srt", b"\xff\x00nothing", "unreadable_conversation"),
        ("a.json", b'{"call_id": "a sidecar that somebody took for a conversation"}', "unreadable_conversation"),
    ],
)
def test_what_has_no_words_is_failed_with_a_code_and_a_sentence(desk, key, raw, code):
    call = desk.read(raw, key)
    assert (call.line.stage, call.line.failed_code, call.failed_step) == ("failed", code, "call.read")
    assert len(call.failed_detail.split()) > 3


def test_a_document_that_is_too_large_is_not_even_fetched(desk):
    path = desk.objects.root / "large.vtt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    arrival = Arrival(desk.objects.head("large.vtt"), facts_of("large.vtt", b""), "test", None, is_text=True)
    with desk.database.write() as connection:
        [received] = insert_batch(connection, [arrival], now=datetime.now(UTC))
    desk.work()
    assert desk.call(received.call_id).line.failed_code == "unreadable_conversation"
    assert not desk.scratch.exists()


def test_a_text_that_was_mended_and_put_again_is_read_anew(desk):
    first = desk.read(b"WEBVTT\n", "a.vtt")
    assert first.line.failed_code == "empty_conversation"
    mended = desk.read((FIXTURES / "contact.vtt").read_bytes(), "a.vtt")
    assert (mended.line.id, mended.line.stage) == (first.line.id, "done")
    assert mended.transcript.turns[0].text == GREETING


def test_a_failed_reading_is_tried_again_at_the_reading(desk):
    call = desk.read(b"WEBVTT\n", "a.vtt")
    with desk.database.write() as connection:
        assert retries.retry(connection, now=datetime.now(UTC)) == 1
    assert desk.job_step(call.line.id) == READ.name
    desk.work()
    assert desk.call(call.line.id).line.failed_code == "empty_conversation"


def test_a_worker_has_a_task_for_each_step_of_the_pipeline():
    assert {step.name for step in PIPELINE} <= set(app.tasks)


def test_announced_texts_become_calls_once_and_sidecars_none(desk):
    names = [path.name for path in sorted(FIXTURES.iterdir())]
    for name in names:
        desk.objects.put(f"texts/{name}", (FIXTURES / name).read_bytes())
    desk.objects.put("texts/sidecar.json", b'{"call_id": "7f3c", "agent": "Maya"}')
    keys = [f"texts/{name}" for name in [*names, "sidecar.json"]]
    taken = desk.announce(*keys, *keys)
    assert (len(taken.new), desk.announce(*keys).new) == (len(names), [])
    desk.work(rounds=12)
    calls = [desk.call(received.call_id) for received in taken.new]
    assert {call.line.stage for call in calls} == {"done"}
    told = {call.recording.object_key: (call.source_system, call.line.external_call_id) for call in calls}
    assert told["texts/contact_lens.json"] == ("connect", "c0ffee00-1111-4222-8333-444455556666")
    assert told["texts/chat.vcon.json"] == ("vcon", "018e4a2b-0000-8000-8000-000000000001")


@pytest.mark.parametrize("sound_first", [True, False])
def test_where_a_call_has_sound_and_text_the_sound_counts_in_whichever_order_they_come(desk, sound_first):
    contact_id = "c0ffee00-1111-4222-8333-444455556666"
    sound = f"connect/x/CallRecordings/2026/03/14/{contact_id}_20260314T08:25_UTC.wav"
    text = f"connect/x/Analysis/Voice/2026/03/14/{contact_id}_analysis_2026-03-14T08:31:02Z.json"
    desk.objects.put(sound, two_channel_wav(seconds=3))
    desk.objects.put(text, (FIXTURES / "contact_lens.json").read_bytes())
    desk.speech = lambda: FakeSpeech(HEARD)
    ids = set()
    for key in [sound, text] if sound_first else [text, sound]:
        ids |= {received.call_id for received in desk.announce(key).new}
        desk.work()
    [call_id] = ids
    call = desk.call(call_id)
    assert (call.line.stage, call.recording.object_key, call.transcript.engine) == ("done", sound, "fake/script")


def connects_objects(contact_id):
    """What lies in the bucket of one contact that Amazon Connect recorded, analysed and redacted."""
    lens = (FIXTURES / "contact_lens.json").read_bytes().replace(b"c0ffee00-1111-4222-8333-444455556666", contact_id)
    name, sound = contact_id.decode(), two_channel_wav(seconds=1)
    return {
        f"CallRecordings/2026/03/14/{name}_20260314T08:25_UTC.wav": sound,
        f"Analysis/Voice/2026/03/14/{name}_analysis_2026-03-14T08:31:02Z.json": lens,
        f"Analysis/Voice/Redacted/2026/03/14/{name}_analysis_redacted_2026-03-14T08:31:02Z.json": lens + b" ",
        f"Analysis/Voice/Redacted/2026/03/14/{name}_call_recording_redacted_2026-03-14T08:31:02Z.wav": sound,
    }


@pytest.mark.parametrize(
    ("announced", "counts"),
    [(".", "/CallRecordings/"), ("Analysis", "_call_recording_redacted_"), (".json", "/Analysis/Voice/2026/")],
)
def test_copies_without_what_must_not_leave_make_no_second_call_in_any_order(desk, announced, counts):
    for number in range(24):
        objects = connects_objects(b"c0ffee00-1111-4222-8333-%012d" % number)
        keys = [key for key in objects if announced in key]
        for key in keys:
            desk.objects.put(key, objects[key])
        for key in list(permutations(keys))[number % factorial(len(keys))]:
            desk.announce(key, profiles=BUILT_IN)
        assert not desk.announce(*keys, profiles=BUILT_IN).new
    with desk.database.read() as connection:
        rows = connection.execute(
            sa.select(tables.recording.c.object_key, tables.call.c.source_system, tables.call.c.external_call_id)
            .join_from(tables.call, tables.recording)
            .where(tables.recording.c.is_current)
        ).all()
    assert len(rows) == len({row.external_call_id for row in rows}) == 24
    assert {(counts in f"/{row.object_key}", row.source_system) for row in rows} == {(True, "connect")}


FREEPBX = "in-18005550100-2065550142-20260314-092653-1773480413.7"


@pytest.mark.parametrize("sound_first", [True, False])
@pytest.mark.parametrize(
    ("stem", "suffix"),
    [("x", ".vcon"), ("x", ".json"), ("x", ".vcon.json"), (FREEPBX, ".vcon"), (FREEPBX, ".vcon.json")],
)
def test_a_vcon_and_its_sound_are_one_call_in_whichever_order_they_come(desk, stem, suffix, sound_first):
    desk.speech = lambda: FakeSpeech(HEARD)
    raw = (FIXTURES / "plain.vcon.json").read_bytes()
    keys = [f"{stem}.wav", stem + suffix]
    for key in keys if sound_first else keys[::-1]:
        desk.objects.put(key, two_channel_wav(seconds=3) if key.endswith(".wav") else raw)
        desk.announce(key, profiles=BUILT_IN)
        desk.work()
    with desk.database.read() as connection:
        [call_id] = connection.execute(sa.select(tables.call.c.id)).scalars()
    call = desk.call(call_id)
    assert (call.line.stage, call.recording.object_key) == ("done", f"{stem}.wav")
    system = "vcon" if stem == "x" else "freepbx"
    assert (call.source_system, call.line.profile) == (system, system)
    assert (call.line.started_at, call.line.agent) == (
        datetime(2026, 3, 14, 8, 25, 17, tzinfo=UTC),
        "Maya Lindqvist",
    )


@pytest.mark.parametrize("order", [("x.wav", "x.json"), ("x.json", "x.wav")])
def test_a_transcript_beside_its_sound_tells_the_contact_and_nothing_by_accident(desk, order):
    for key in order:
        raw = (FIXTURES / "contact_lens.json").read_bytes() if key == "x.json" else two_channel_wav(seconds=3)
        desk.objects.put(key, raw)
        desk.announce(key)
    with desk.database.read() as connection:
        [row] = connection.execute(sa.select(tables.call)).all()
    assert (row.source_system, row.external_call_id) == ("connect", "c0ffee00-1111-4222-8333-444455556666")
    assert (row.profile, row.attributes) == ("contact_lens", {})


def test_a_text_waits_for_its_sound_and_for_the_document_that_names_it(desk):
    desk.objects.put("x.vtt", (FIXTURES / "contact.vtt").read_bytes())
    desk.announce("x.vtt")
    desk.objects.put("x.wav", two_channel_wav(seconds=3))
    desk.objects.put("x.json", b'{"call_id": "17", "source_system": "mitel"}')
    desk.announce("x.wav", "x.json")
    with desk.database.read() as connection:
        rows = connection.execute(sa.select(tables.call.c.source_system, tables.call.c.external_call_id)).all()
    assert [tuple(row) for row in rows] == [("mitel", "17")]


@pytest.mark.parametrize(("name", "has_times"), [("contact_lens.json", True), ("plain.vcon.json", False)])
def test_the_page_of_a_call_without_sound_has_a_transcript_and_no_player(tmp_path, name, has_times):
    hall = make_hall(tmp_path / "home")
    hall.sign_in()
    desk = Desk(hall.wiring.database, tmp_path)
    try:
        call = desk.read((FIXTURES / name).read_bytes(), f"texts/{name}")
    finally:
        desk.leases.close()
    page = hall.client.get(f"/calls/{call.line.id}").text
    assert "how can I help you?" in page
    assert "<audio" not in page
    assert "Play from here" not in page
    assert "Came as text" in page
    assert ('<span class="time">0:00</span>' in page) is has_times
    assert ("does not say how long anybody spoke" in page) is not has_times
    assert hall.client.get(f"/api/v1/calls/{call.line.id}/audio").status_code == 404
