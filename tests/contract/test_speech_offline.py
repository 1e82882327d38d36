"""What the offline speech engine alone promises: the bundled samples can be followed, music and tones say nothing."""

from pathlib import Path

import numpy as np
import pytest

from calls.errors import EngineMisconfigured
from calls.transcript import Speaker, Utterance
from engines.audio import decode
from engines.speech import SPEECH_RATE_HZ, ChannelAudio, SpeechHints
from engines.speech_offline import OfflineSpeech
from samples import SampleRecording, sample_recordings
from tools.make_language_model import word_errors, write_model

RECORDINGS = {recording.name: recording for recording in sample_recordings()}
# The demo's sentences are in the model, so this says that nothing broke, not how good the engine is.
MAX_WORD_ERROR_RATE = 0.15


@pytest.fixture(scope="module")
def engine() -> OfflineSpeech:
    return OfflineSpeech()


def hear(engine: OfflineSpeech, audio: ChannelAudio) -> list[Utterance]:
    return engine.transcribe(audio, SpeechHints(), lambda _: None).utterances


def words(text: str) -> list[str]:
    return "".join(letter for letter in text.lower() if letter.isalpha() or letter in " '").split()


def errors_and_words(recording: SampleRecording, heard: list[Utterance]) -> tuple[int, int]:
    errors, count = 0, 0
    for channel, speaker in enumerate((Speaker.CUSTOMER, Speaker.AGENT)):
        reference = words(" ".join(turn.text for turn in recording.turns if turn.speaker is speaker))
        errors += word_errors(reference, words(" ".join(said.text for said in heard if said.channel == channel)))
        count += len(reference)
    return errors, count


@pytest.mark.parametrize("name", ["05-dryer-stopped", "09-child-lock", "11-charged-twice", "18-adds-a-protection-plan"])
def test_the_words_of_a_sample_are_heard_in_every_format(engine: OfflineSpeech, name: str) -> None:
    recording = RECORDINGS[name]
    errors, count = errors_and_words(recording, hear(engine, decode(recording.path).audio))
    assert errors / count < MAX_WORD_ERROR_RATE


def test_utterances_of_a_channel_follow_one_another_within_the_recording(engine: OfflineSpeech) -> None:
    audio = decode(RECORDINGS["07-missed-visit-second-call"].path).audio
    heard = hear(engine, audio)
    for channel in (0, 1):
        edges = [edge for said in heard if said.channel == channel for edge in (said.start_s, said.end_s)]
        assert len(edges) >= 6
        assert edges == sorted(edges)
        assert edges[0] >= 0
        assert edges[-1] <= audio.duration_s


def test_nobody_is_heard_in_a_call_without_speech(engine: OfflineSpeech) -> None:
    assert hear(engine, decode(RECORDINGS["23-nobody-speaks"].path).audio) == []


def test_a_tone_and_a_melody_say_nothing(engine: OfflineSpeech) -> None:
    time_s = np.arange(10 * SPEECH_RATE_HZ) / SPEECH_RATE_HZ
    notes_hz = np.take([392, 440, 523, 440], (time_s * 2).astype(int) % 4)
    melody = np.exp(-2 * ((time_s * 2) % 1)) * np.sin(2 * np.pi * np.cumsum(notes_hz) / SPEECH_RATE_HZ)
    tone = np.sin(2 * np.pi * 425 * time_s)
    assert hear(engine, ChannelAudio((np.stack([melody, tone]) * 3000).astype(np.int16))) == []


def test_names_and_beginnings_have_capitals_and_sentences_end(engine: OfflineSpeech) -> None:
    text = " ".join(said.text for said in hear(engine, decode(RECORDINGS["05-dryer-stopped"].path).audio))
    assert "Harbour and Pine" in text
    assert "Friday" in text
    assert " i " not in text
    assert text[0].isupper()
    assert text.endswith(".")


def test_a_language_that_it_does_not_know_is_a_wrong_setting(engine: OfflineSpeech) -> None:
    audio = ChannelAudio(np.zeros((1, SPEECH_RATE_HZ), dtype=np.int16))
    with pytest.raises(EngineMisconfigured, match="CALLWISE_SPEECH__ENGINE"):
        engine.transcribe(audio, SpeechHints(language="de"), lambda _: None)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(EngineMisconfigured, match=r"model\.lm"):
        OfflineSpeech(tmp_path).check()


def test_the_committed_model_is_what_its_text_gives(tmp_path: Path) -> None:
    write_model(tmp_path, with_samples=True)
    committed = Path(__file__).parents[2] / "engines" / "offline_speech"
    for name in ("model.lm", "words.dict", "names.txt"):
        assert (tmp_path / name).read_bytes() == (committed / name).read_bytes(), "python -m tools.make_language_model"
