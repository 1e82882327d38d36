"""The bundled recordings are what their truth says, and telephony's names say what the truth says."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from calls.errors import UndecodableAudio
from calls.taxonomy_file import parse_taxonomy
from calls.transcript import Speaker
from engines.audio import decode, speech_spans
from ingest.profiles import Profiles
from samples import SampleRecording, sample_recordings

RECORDINGS = sample_recordings()
AUDIBLE = [recording for recording in RECORDINGS if recording.failed_code is None]
PROFILES = Profiles.of(
    ("plain", "pca", "connect", "freepbx", "ringcentral", "eightbyeight"), region="US", time_zone="UTC"
)


def by_name(recording: SampleRecording) -> str:
    return recording.name


def test_the_bundle_holds_what_a_demo_must_show() -> None:
    assert len(RECORDINGS) == 24
    assert sum(recording.path.stat().st_size for recording in RECORDINGS) < 6_000_000
    suffixes = Counter(recording.path.suffix for recording in RECORDINGS)
    assert suffixes.keys() >= {".mp3", ".wav", ".flac", ".ogg"}
    assert Counter(recording.stage for recording in RECORDINGS) == {"done": 21, "skipped": 2, "failed": 1}
    assert sum(recording.is_truncated for recording in RECORDINGS) == 1
    assert sum(recording.channel_count == 1 for recording in RECORDINGS) == 1
    assert sum(recording.upload_count == 2 for recording in RECORDINGS) == 1
    assert sum(recording.profile is None for recording in RECORDINGS) == 1


def test_every_reason_of_the_bundled_taxonomy_has_a_call() -> None:
    text = (Path(__file__).parents[2] / "runtime" / "taxonomies" / "service_centre.yaml").read_text(encoding="utf-8")
    reasons = {reason.code for reason in parse_taxonomy(text).reasons}
    assert {recording.reason_code for recording in RECORDINGS} - {None} == reasons


def test_one_customer_calls_three_times_about_the_same_thing() -> None:
    numbers = Counter(recording.facts.get("customer_number_e164") for recording in RECORDINGS)
    ((number, count),) = [(number, count) for number, count in numbers.items() if number and count > 1]
    calls = [recording for recording in RECORDINGS if recording.facts.get("customer_number_e164") == number]
    assert count == 3
    assert {recording.reason_code for recording in calls} == {"repair_missed_visit"}
    assert len({recording.started_at.date() for recording in calls if recording.started_at}) == 3


@pytest.mark.parametrize("recording", RECORDINGS, ids=by_name)
def test_name_metadata_and_sidecar_give_the_facts(recording: SampleRecording) -> None:
    sidecar = None
    if recording.sidecar is not None:
        sidecar = json.dumps(dict(recording.sidecar)).encode()
    reading = PROFILES.read(recording.key, metadata=recording.metadata, sidecar=sidecar)
    assert reading.profile == recording.profile
    assert reading.unread == ()
    for name, text in recording.facts.items():
        value = getattr(reading.facts, name)
        assert value == (datetime.fromisoformat(text) if name == "started_at" else text), name


@pytest.mark.parametrize("recording", AUDIBLE, ids=by_name)
def test_each_file_decodes_as_long_and_as_wide_as_it_says(recording: SampleRecording) -> None:
    decoded = decode(recording.path)
    assert decoded.decoded_s == pytest.approx(recording.duration_s, abs=0.3)
    assert decoded.audio.channel_count == recording.channel_count
    assert decoded.is_truncated == recording.is_truncated


@pytest.mark.parametrize("recording", AUDIBLE, ids=by_name)
def test_speech_is_found_where_the_script_has_it_and_nowhere_else(recording: SampleRecording) -> None:
    audio = decode(recording.path).audio
    channels = speech_spans(audio)
    for channel, spans in enumerate(channels):
        speaker = (Speaker.CUSTOMER, Speaker.AGENT)[channel]
        lines = [turn for turn in recording.turns if audio.channel_count == 1 or turn.speaker is speaker]
        heard = [any(start_s < turn.end_s and end_s > turn.start_s for start_s, end_s in spans) for turn in lines]
        assert sum(heard) >= len(lines) - 1
        for start_s, end_s in spans:
            # A recording that was cut off may end within a line that its truth no longer lists.
            near = [turn for turn in lines if turn.start_s < end_s + 0.5 and turn.end_s > start_s - 0.5]
            assert near or (recording.is_truncated and end_s > recording.duration_s - 8)


def test_what_is_no_recording_is_not_audio() -> None:
    (recording,) = [recording for recording in RECORDINGS if recording.failed_code]
    with pytest.raises(UndecodableAudio) as raised:
        decode(recording.path)
    assert raised.value.code == recording.failed_code
