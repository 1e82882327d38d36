"""Conversations that come as text are known by name and content, and are read into the same utterances."""

import copy
import json
import math
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calls.analysis import SkippedFeature
from calls.errors import TerminalError
from calls.transcript import Speaker, take_turns
from ingest.conversations import HEAD_BYTES, MAX_BYTES, facts_of, kind_of, read_conversation

FIXTURES = Path(__file__).parent.parent / "fixtures" / "conversations"
CODES = {"unreadable_conversation", "empty_conversation"}


def fixture(name):
    return (FIXTURES / name).read_bytes()


def read(name):
    return read_conversation(f"folder/{name}", fixture(name))


def said(conversation):
    return [(u.speaker.value, u.channel, u.start_s, u.end_s, u.text) for u in conversation.utterances]


def refused(key, raw):
    with pytest.raises(TerminalError) as refusal:
        read_conversation(key, raw)
    assert refusal.value.detail
    return refusal.value.code


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("channels.transcribe.json", "transcribe"),
        ("speakers.transcribe.json", "transcribe"),
        ("contact_lens.json", "contact_lens"),
        ("live.contact_lens.json", "contact_lens"),
        ("call_analytics.json", "contact_lens"),
        ("chat.vcon.json", "vcon"),
        ("segments.vcon.json", "vcon"),
        ("contact.vtt", "webvtt"),
        ("bill.srt", "srt"),
    ],
)
def test_a_conversation_is_known_by_its_content_whatever_json_is_called(name, kind):
    raw = fixture(name)
    assert kind_of(name, raw) == kind
    if name.endswith(".json"):
        assert kind_of("a/b c+d.JSON", raw) == kind
        assert kind_of("a.json", b"\xef\xbb\xbf" + raw) == kind


@pytest.mark.parametrize(
    "document",
    [
        {"call_id": "7f3c", "agent": "Maya", "from": "+44 20 7946 0018"},
        {"ContactId": "c-1", "InitiationMethod": "INBOUND", "Transcript": None},
        {"results": {"count": 3}},
        {"Participants": []},
        {"Segments": [1, 2]},
        {"uuid": "x", "parties": []},
        {},
        [],
        "WEBVTT",
        7,
    ],
)
def test_a_sidecar_or_other_json_is_no_conversation(document):
    raw = json.dumps(document).encode()
    assert kind_of("call.json", raw) is None
    assert read_conversation("call.json", raw) is None


@pytest.mark.parametrize("key", ["call.wav", "call.txt", "call", "vtt", "call.vtt.gz"])
def test_an_object_of_another_name_is_no_conversation(key):
    assert kind_of(key, b"WEBVTT\n") is None


@pytest.mark.parametrize(
    ("key", "kind"), [("a.vtt", "webvtt"), ("a.srt", "srt"), ("a.vcon", "vcon"), ("a.vcon.json", "vcon")]
)
@pytest.mark.parametrize("raw", [b"", b"nothing of the kind", b"\x00\xff\xfe", b"[1, 2]"])
def test_a_name_that_says_what_is_meant_makes_rubbish_unreadable_and_not_ignored(key, kind, raw):
    assert kind_of(key, raw) == kind
    assert refused(key, raw) == "unreadable_conversation"


def test_captions_under_the_wrong_of_their_two_names_are_known_by_their_content():
    assert kind_of("a.srt", fixture("contact.vtt")) == "webvtt"
    assert kind_of("a.vtt", fixture("bill.srt")) == "srt"


@pytest.mark.parametrize("name", ["channels.transcribe.json", "contact_lens.json", "live.contact_lens.json"])
def test_the_beginning_of_a_document_is_enough_to_know_it(name):
    raw = fixture(name)
    assert kind_of("x.json", raw[: len(raw) // 2]) == kind_of("x.json", raw)


def test_a_cut_off_document_is_unreadable_and_not_taken_for_a_sidecar():
    raw = fixture("contact_lens.json")
    assert refused("x.json", raw[: len(raw) * 3 // 4]) == "unreadable_conversation"


def test_a_head_made_to_be_slow_is_looked_at_in_passing():
    raw = b'{"vcon": "' + b'\\"' * HEAD_BYTES
    begun = time.perf_counter()
    assert kind_of("x.json", raw) == "vcon"
    assert time.perf_counter() - begun < 2


@pytest.mark.parametrize(
    "raw",
    [
        b'{"vcon": "0.0.1", "dialog": ' + b"[" * 100_000,
        b'{"vcon": "0.0.1", "dialog": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
        b'{"vcon": ' + b"9" * 100_000 + b"}",
        b'{"vcon": "0.0.1"' + b" " * MAX_BYTES + b"}",
        '{"vcon": "0.0.1"}'.encode("utf-16")[:21],
    ],
    ids=["open lists", "nested", "digits", "large", "half a character"],
)
def test_a_document_made_to_break_its_reader_is_unreadable(raw):
    assert refused("x.vcon", raw) == "unreadable_conversation"


@pytest.mark.parametrize(
    ("key", "raw"),
    [
        ("a.vtt", b"WEBVTT\n"),
        ("a.vtt", b"WEBVTT\n\n00:01.000 --> 00:02.000\n<v Agent></v>\n"),
        ("a.srt", b"1\n00:00:01,000 --> 00:00:02,000\n...\n"),
        ("a.json", b'{"results": {"transcripts": [{"transcript": ""}], "items": []}}'),
        ("a.json", b'{"Transcript": [], "Participants": []}'),
        ("a.json", b'{"vcon": "0.0.1", "parties": [], "dialog": []}'),
    ],
)
def test_a_conversation_without_a_word_is_empty(key, raw):
    assert refused(key, raw) == "empty_conversation"


def test_transcribe_joins_punctuation_and_keeps_the_channels_with_their_words():
    found = read("channels.transcribe.json")
    assert said(found) == [
        ("unknown", 1, 0.3, 1.8, "Hello, how can I help you?"),
        ("unknown", 0, 2.5, 3.6, "Where is my order?"),
        ("unknown", 1, 4.0, 5.1, "It left yesterday."),
    ]
    assert (found.channel_count, found.language, found.duration_s, found.is_timed) == (2, "en", 5.1, True)
    first, _, last = found.utterances
    assert [(w.text, w.start_s, w.confidence) for w in last.words] == [
        ("It", 4.0, 0.93),
        ("left", 4.2, 0.92),
        ("yesterday.", 4.5, 0.91),
    ]
    assert first.avg_confidence == pytest.approx(5.95 / 6, abs=1e-4)
    assert last.avg_confidence == pytest.approx(0.92)


def test_speaker_labels_keep_voices_apart_without_saying_whose_they_are():
    found = read("speakers.transcribe.json")
    assert said(found) == [
        ("unknown", 0, 0.5, 1.2, "Good morning."),
        ("unknown", 1, 1.4, 2.6, "Hi, is [PII] there?"),
        ("unknown", 0, 2.8, 3.1, "Yes."),
    ]
    assert found.channel_count is None
    assert [turn.text for turn in take_turns(found.utterances)] == ["Good morning.", "Hi, is [PII] there?", "Yes."]


def test_a_job_of_one_voice_is_cut_at_sentences_and_pauses():
    def item(content, start, end):
        return {"start_time": str(start), "end_time": str(end), "alternatives": [{"content": content}]}

    dot = {"type": "punctuation", "alternatives": [{"content": "."}]}
    items = [item("One", 0, 1), dot, item("two", 1, 1.5), item("three", 4, 5), item("four", 5.5, 6)]
    found = read_conversation("x.json", json.dumps({"results": {"items": items}}).encode())
    assert [(u.text, u.start_s, u.end_s) for u in found.utterances] == [
        ("One.", 0, 1),
        ("two", 1, 1.5),
        ("three four", 4, 6),
    ]


def test_a_job_without_items_falls_back_to_its_segments_and_then_to_its_text():
    segments = [
        {"id": 0, "transcript": "Hello there.", "start_time": "0.1", "end_time": "0.9", "speaker_label": "spk_0"}
    ]
    with_segments = {"results": {"transcripts": [{"transcript": "Hello there."}], "audio_segments": segments}}
    found = read_conversation("x.json", json.dumps(with_segments).encode())
    assert said(found) == [("unknown", 0, 0.1, 0.9, "Hello there.")]
    only_text = {"results": {"transcripts": [{"transcript": "Hello there."}]}}
    bare = read_conversation("x.json", json.dumps(only_text).encode())
    assert (bare.utterances[0].text, bare.duration_s, bare.is_timed) == ("Hello there.", None, False)


def test_contact_lens_names_speakers_by_participant_and_says_what_amazon_left_out():
    found = read("contact_lens.json")
    assert said(found) == [
        ("agent", 1, 0.0, 2.9, "Good morning, Harbour Repairs, how can I help you?"),
        ("customer", 0, 3.1, 6.4, "I am [PII] and my boiler leaks."),
        ("agent", 1, 6.0, 8.0, "I can send somebody tomorrow."),
        ("customer", 0, 14.0, 15.0, "Thank you."),
    ]
    assert found.skipped == (SkippedFeature("post_contact_summary", "insufficient_conversation_content"),)
    assert found.facts.external_call_id == "c0ffee00-1111-4222-8333-444455556666"
    assert (found.duration_s, found.language, found.is_timed) == (15.2, "en", True)


def test_contact_lens_of_a_call_in_progress_leaves_partial_utterances_out_and_puts_turns_in_order():
    found = read("live.contact_lens.json")
    assert [u.text for u in found.utterances] == ["Good morning.", "Hello there."]
    assert found.facts.external_call_id == "c0ffee00-1111-4222-8333-777788889999"


def test_call_analytics_names_roles_in_the_turns_themselves_and_brings_words():
    found = read("call_analytics.json")
    assert [u.speaker for u in found.utterances] == [Speaker.CUSTOMER, Speaker.AGENT]
    assert [w.text for w in found.utterances[0].words] == ["Where", "is", "my", "order"]


def test_a_bot_in_a_contact_is_a_voice_of_its_own_that_is_nobodys():
    turns = [
        {"ParticipantId": "SYSTEM", "Content": "Please hold.", "BeginOffsetMillis": 0, "EndOffsetMillis": 900},
        {"ParticipantId": "CUSTOMER", "Content": "All right.", "BeginOffsetMillis": 950, "EndOffsetMillis": 1500},
    ]
    found = read_conversation("x.json", json.dumps({"Transcript": turns}).encode())
    assert [(u.speaker.value, u.channel) for u in found.utterances] == [("unknown", 0), ("customer", 1)]
    assert found.channel_count is None


def test_a_chat_contact_has_starts_and_is_not_measured():
    turns = [
        {"ParticipantId": "p2", "Content": "Hello there", "AbsoluteTime": "2026-03-14T08:25:47Z"},
        {"ParticipantId": "p1", "Content": "Hi", "AbsoluteTime": "2026-03-14T08:25:17Z"},
    ]
    people = [
        {"ParticipantId": "p1", "ParticipantRole": "CUSTOMER"},
        {"ParticipantId": "p2", "ParticipantRole": "AGENT"},
    ]
    found = read_conversation("x.json", json.dumps({"Transcript": turns, "Participants": people}).encode())
    assert [(u.speaker.value, u.start_s) for u in found.utterances] == [("customer", 0.0), ("agent", 30.0)]
    assert found.skipped == (SkippedFeature("timing", "no_ends"),)
    assert found.facts.started_at.isoformat() == "2026-03-14T08:25:17+00:00"


def test_a_turn_without_a_time_stays_where_the_document_has_it():
    turns = [
        {"ParticipantId": "AGENT", "Content": "one two", "BeginOffsetMillis": 5000, "EndOffsetMillis": 6000},
        {"ParticipantId": "CUSTOMER", "Content": "three", "BeginOffsetMillis": -1, "EndOffsetMillis": "soon"},
        {"ParticipantId": "AGENT", "Content": "four", "BeginOffsetMillis": 7000, "EndOffsetMillis": 1e300},
    ]
    found = read_conversation("x.json", json.dumps({"Transcript": turns}).encode())
    assert [(u.text, u.start_s, u.end_s) for u in found.utterances] == [
        ("one two", 5.0, 6.0),
        ("three", 5.001, 5.001),
        ("four", 7.0, 7.0),
    ]
    assert not found.is_timed


def test_more_text_than_any_call_has_is_refused():
    turns = [{"ParticipantId": "AGENT", "Content": "word " * 1_000_000}]
    raw = json.dumps({"Transcript": turns}).encode()
    assert refused("x.json", raw) == "unreadable_conversation"


def check(key, raw):
    """Whatever is in it: a conversation that a database takes, or a TerminalError with a code of ours."""
    assert kind_of(key, raw) in {None, "vcon", "transcribe", "contact_lens", "webvtt", "srt"}
    facts_of(key, raw)
    try:
        found = read_conversation(key, raw)
    except TerminalError as error:
        found, refusal = None, error
    else:
        refusal = None
    if refusal is not None:
        assert refusal.code in CODES
        assert refusal.detail
    if found is None:
        return
    assert facts_of(key, raw) == found.facts
    assert found.utterances
    starts = [u.start_s for u in found.utterances]
    assert starts == sorted(starts)
    assert found.duration_s is None or math.isfinite(found.duration_s)
    for u in found.utterances:
        assert 0 <= u.start_s <= u.end_s < math.inf
        assert u.text.strip()
        assert u.avg_confidence is None or 0 <= u.avg_confidence <= 1
        assert 0 <= u.channel < 2**31
        for text in (u.text, *(word.text for word in u.words)):
            assert "\0" not in text
            text.encode()
    for text in (found.facts.external_call_id, found.facts.agent_name, found.language):
        assert "\0" not in (text or "")
        (text or "").encode()
    json.dumps([asdict(u) for u in found.utterances], allow_nan=False)


@given(st.sampled_from(["a.json", "a.vcon", "a.vtt", "a.srt"]), st.binary(max_size=300))
def test_random_bytes_never_break_the_reader(key, raw):
    check(key, raw)


@given(st.sampled_from([path.name for path in sorted(FIXTURES.iterdir())]), st.data())
@settings(max_examples=150)
def test_a_document_with_bytes_changed_is_read_or_refused(name, data):
    raw = bytearray(fixture(name))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw)))
        raw[place : place + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=8))
    check(name, bytes(raw))


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(
        ["\ud800", "\0", "1e999", "NaN", "-->", "tel:+12065550142", "agent", "2026-03-14T08:25:17Z", 2**70]
    ),
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


@given(st.sampled_from([path.name for path in sorted(FIXTURES.glob("*.json"))]), st.data())
@settings(max_examples=150)
def test_a_document_with_other_values_in_its_places_is_read_or_refused(name, data):
    document = copy.deepcopy(json.loads(fixture(name)))
    for _ in range(data.draw(st.integers(1, 3))):
        holder, at = _pick(document, data)
        holder[at] = data.draw(_values)
    check(name, json.dumps(document).encode())


def _pick(document, data):
    """A place somewhere in the document, deep ones as likely as others."""
    places = []

    def walk(node):
        for at in node if isinstance(node, dict) else range(len(node)):
            places.append((node, at))
            if isinstance(node[at], dict | list):
                walk(node[at])

    walk(document)
    return places[data.draw(st.integers(0, len(places) - 1))] if places else ({}, "x")
