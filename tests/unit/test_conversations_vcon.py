"""vCons: messages, transcripts of several vendors, what they say of the call, and the recording that one may hold."""

import base64
import json
from pathlib import Path

import pytest

from calls.analysis import SkippedFeature
from calls.errors import TerminalError
from calls.recording import Direction
from calls.transcript import take_turns
from ingest.conversations import facts_of, inline_recording, kind_of, read_conversation

FIXTURES = Path(__file__).parent.parent / "fixtures" / "conversations"
SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "vcon" / "calls.jsonl"
PARTIES = [{"tel": "+12065550142", "name": "Tess Palmer", "role": "customer"}, {"name": "Maya", "role": "agent"}]


def read(document):
    return read_conversation("x.vcon", json.dumps(document).encode())


def read_fixture(name):
    return read_conversation(name, (FIXTURES / name).read_bytes())


def lines(found):
    return [(u.speaker.value, u.text) for u in found.utterances]


def vcon(*, dialog=(), analysis=(), parties=PARTIES, **more):
    return {"vcon": "0.4.0", "uuid": "u-1", "parties": parties, "dialog": dialog, "analysis": analysis} | more


def recording(**more):
    return {"type": "recording", "start": "2026-03-14T08:25:17Z", "duration": 9, "parties": [0, 1]} | more


def transcript(body, **more):
    return {"type": "transcript", "dialog": 0, "vendor": "somebody", "encoding": "none", "body": body} | more


def base64url(raw):
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_messages_become_turns_of_their_senders_with_starts_and_no_talk_time():
    found = read_fixture("chat.vcon.json")
    assert [(u.speaker.value, u.start_s, u.text) for u in found.utterances] == [
        ("customer", 0.0, "Hello, where is my parcel? It should be here by now."),
        ("agent", 30.0, "It left yesterday & arrives today."),
        ("customer", 73.0, "Thank you."),
    ]
    assert found.skipped == (SkippedFeature("timing", "no_ends"),)
    facts = found.facts
    assert (facts.external_call_id, facts.direction) == ("018e4a2b-0000-8000-8000-000000000001", Direction.INBOUND)
    assert (facts.from_number_e164, facts.customer_name) == ("+12065550142", "Tess Palmer")
    assert (facts.agent_name, facts.started_at.isoformat()) == ("Maya Lindqvist", "2026-03-14T08:25:17+00:00")
    assert facts.ended_at is None


def test_transcripts_of_several_recordings_stand_one_behind_the_other_and_the_timed_one_counts():
    found = read_fixture("segments.vcon.json")
    assert [(u.speaker.value, u.channel, u.start_s, u.end_s, u.text) for u in found.utterances] == [
        ("agent", 0, 0.5, 3.0, "Harbour Repairs, how can I help you?"),
        ("customer", 1, 3.4, 6.0, "My boiler leaks."),
        ("agent", 2, 31.0, 34.0, "I am from the boiler team."),
    ]
    assert [(w.text, w.start_s, w.confidence) for w in found.utterances[1].words][:2] == [
        ("My", 3.4, 0.9),
        ("boiler", 3.6, 0.8),
    ]
    assert (found.duration_s, found.language, found.skipped) == (42.0, "en", ())


def test_a_diarised_transcript_keeps_its_voices_apart_and_names_nobody():
    found = read_fixture("deepgram.vcon.json")
    assert [(u.speaker.value, u.channel, u.text) for u in found.utterances] == [
        ("unknown", 0, "Hello."),
        ("unknown", 1, "My order is late."),
    ]
    assert (found.facts.agent_name, found.facts.direction) == ("Maya Lindqvist", Direction.INBOUND)


def test_plain_text_keeps_its_order_and_its_names_and_has_no_times():
    found = read_fixture("plain.vcon.json")
    assert [(u.speaker.value, u.channel, u.text) for u in found.utterances] == [
        ("agent", 0, "Harbour Repairs, how can I help you?"),
        ("customer", 1, "My boiler leaks."),
        ("customer", 1, "The kitchen floor is wet."),
        ("agent", 0, "I can send somebody tomorrow."),
    ]
    assert found.skipped == (SkippedFeature("timing", "no_times"),)
    assert (found.duration_s, found.is_timed) == (95.26, False)


def test_the_channels_of_a_transcript_belong_to_the_parties_of_the_recording_in_their_order():
    def channel(text, start):
        words = [{"word": text, "punctuated_word": f"{text}.", "start": start, "end": start + 1, "confidence": 0.9}]
        return {"alternatives": [{"transcript": text, "words": words}]}

    body = {"metadata": {}, "results": {"channels": [channel("late", 2.0), channel("hello", 0.5)]}}
    found = read(vcon(dialog=[recording()], analysis=[transcript(body, encoding="json")]))
    assert lines(found) == [("agent", "hello."), ("customer", "late.")]


WORDS = [("hello", 0, "agent"), ("there", 0.5, "agent"), ("hi", 1, "customer")]
CUES = "1\n00:00:00,000 --> 00:00:01,000\nAgent: hello there\n\n2\n00:00:01,000 --> 00:00:02,000\nCustomer: hi\n"
# The same two turns, as engines write them.
BODIES = {
    "list": [{"speaker": "agent", "text": "hello there"}, {"speaker": "customer", "text": "hi"}],
    "turns": {"turns": [{"role": "Agent", "content": "hello there"}, {"role": "caller", "content": "hi"}]},
    "utterances": {
        "transcript": {
            "utterances": [{"speaker": "AGENT", "transcript": "hello there"}, {"speaker": "Client", "transcript": "hi"}]
        }
    },
    "words": {"words": [{"word": w, "start": s, "end": s + 0.4, "speaker": who} for w, s, who in WORDS]},
    "text": {"text": "Agent: hello there\nCustomer: hi"},
    "transcription": {"transcription": "Agent: hello there\nCustomer: hi", "segments": []},
    "webvtt": "WEBVTT\n\n00:00.000 --> 00:01.000\n<v Agent>hello there\n\n00:01.000 --> 00:02.000\n<v Customer>hi\n",
    "srt": CUES,
    "contact lens": {
        "Transcript": [
            {"ParticipantId": "AGENT", "Content": "hello there"},
            {"ParticipantId": "CUSTOMER", "Content": "hi"},
        ]
    },
    "paragraphs": {
        "paragraphs": [
            {"speaker": "agent", "text": "hello there"},
            {"speaker": "customer", "sentences": [{"text": "hi"}]},
        ]
    },
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_transcript_is_read_in_whichever_common_shape_it_comes(body):
    for encoding, given in (
        ("none", body),
        ("json", json.dumps(body)),
        ("base64url", base64url((body if isinstance(body, str) else json.dumps(body)).encode())),
    ):
        found = read(vcon(dialog=[recording()], analysis=[transcript(given, encoding=encoding)]))
        assert lines(found) == [("agent", "hello there"), ("customer", "hi")]


def test_a_transcribe_job_inside_a_vcon_is_read():
    body = json.loads((FIXTURES / "speakers.transcribe.json").read_bytes())
    found = read(vcon(dialog=[recording()], analysis=[transcript(body)]))
    assert [u.text for u in found.utterances] == ["Good morning.", "Hi, is [PII] there?", "Yes."]


def test_the_milliseconds_of_a_vendor_that_counts_in_them_become_seconds():
    body = {"utterances": [{"speaker": "A", "text": "hello", "start": 1500, "end": 2500}]}
    found = read(vcon(dialog=[recording()], analysis=[transcript(body, vendor="AssemblyAI")]))
    assert (found.utterances[0].start_s, found.utterances[0].end_s) == (1.5, 2.5)


def test_a_transcript_of_messages_that_are_there_themselves_is_not_read_twice():
    message = {"type": "text", "start": "2026-03-14T08:25:17Z", "parties": [0, 1], "body": "hello there"}
    assert lines(read(vcon(dialog=[message], analysis=[transcript("hello there")]))) == [("customer", "hello there")]


def test_a_signed_vcon_is_read_and_its_signature_is_said_to_be_unchecked():
    inner = vcon(dialog=[recording()], analysis=[transcript("Agent: hello there")])
    signed = {"payload": base64url(json.dumps(inner).encode()), "signatures": [{"protected": "e30", "signature": "AA"}]}
    raw = json.dumps(signed).encode()
    assert kind_of("x.json", raw) == "vcon"
    found = read_conversation("x.json", raw)
    assert lines(found) == [("agent", "hello there")]
    assert SkippedFeature("signature", "not_checked") in found.skipped


def test_an_encrypted_vcon_is_refused_with_the_remedy():
    with pytest.raises(TerminalError) as refusal:
        read({"protected": "e30", "recipients": [], "iv": "AA", "ciphertext": "AA", "tag": "AA"})
    assert refusal.value.code == "unreadable_conversation"
    assert "decrypted" in refusal.value.detail


def test_a_vcon_without_words_still_tells_of_its_call():
    raw = json.dumps(vcon(dialog=[recording(url="https://recordings.example/a.wav")])).encode()
    with pytest.raises(TerminalError) as refusal:
        read_conversation("x.vcon", raw)
    assert refusal.value.code == "empty_conversation"
    assert facts_of("x.vcon", raw).external_call_id == "u-1"
    assert facts_of("x.vcon", b"{") == facts_of("x.wav", b"")


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize(
    ("media", "suffix"),
    [
        ({"mediatype": "audio/x-wav"}, ".wav"),
        ({"mimetype": "audio/mpeg"}, ".mp3"),
        ({"filename": "a.FLAC"}, ".flac"),
        ({}, ".audio"),
    ],
)
def test_a_recording_inside_a_vcon_is_taken_out_byte_by_byte(media, suffix, padded):
    sound = bytes(range(256)) * 3 + b"?"
    body = base64.urlsafe_b64encode(sound).decode()
    document = vcon(dialog=[recording(body=body if padded else body.rstrip("="), encoding="base64url", **media)])
    assert inline_recording(json.dumps(document).encode()) == (sound, suffix)


def test_a_recording_at_a_url_is_none_that_the_vcon_holds():
    assert (
        inline_recording(json.dumps(vcon(dialog=[recording(url="https://recordings.example/a.wav")])).encode()) is None
    )


def test_several_recordings_inside_one_vcon_are_refused_since_nothing_says_how_they_belong_together():
    part = recording(body=base64url(b"sound"), encoding="base64url", mediatype="audio/wav")
    with pytest.raises(TerminalError) as refusal:
        inline_recording(json.dumps(vcon(dialog=[part, part])).encode())
    assert refusal.value.code == "no_conversation"


@pytest.mark.skipif(not SHARED.is_file(), reason=f"the public vCons of {SHARED} are not on this machine")
def test_real_conversations_written_as_vcons_of_every_shape_keep_every_turn_and_its_speaker():
    for line in SHARED.read_text(encoding="utf-8").splitlines():
        call = json.loads(line)
        turns = [(turn["speaker"], " ".join(turn["text"].split())) for turn in call["turns"] if turn["text"].strip()]
        parties = [{"role": "customer", **call["customer"]}, {"role": "agent", **call["agent"]}]
        plain = "\n".join(f"{who.title()}: {text}" for who, text in turns)
        bodies = [plain, [{"speaker": who, "text": text} for who, text in turns]]
        for body in bodies:
            dialog = [recording(start=call["start"], duration=call["duration_s"])]
            found = read(vcon(parties=parties, dialog=dialog, analysis=[transcript(body)]))
            assert lines(found) == turns
            assert found.duration_s == call["duration_s"]


@pytest.mark.parametrize(
    ("starts", "timing"),
    [((0, 0, 0, 0), ["no_times"]), ((0, 0, 0, 9), ["no_ends"]), ((3, 9, 9, 9), ["no_ends"])],
)
def test_messages_of_one_moment_stay_in_the_order_of_the_document(starts, timing):
    messages = [
        {"type": "text", "start": f"2026-03-14T09:25:{start:02}Z", "parties": [place % 2], "body": f"words {place}"}
        for place, start in enumerate(starts)
    ]
    found = read(vcon(dialog=messages))
    assert [turn.text for turn in take_turns(found.utterances)] == ["words 0", "words 1", "words 2", "words 3"]
    assert [item.code for item in found.skipped if item.feature == "timing"] == timing
    assert (found.duration_s is None) is (timing == ["no_times"])
