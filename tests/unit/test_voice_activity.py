"""Speech is what people say: no tone, no melody, no hiss."""

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.speech import SPEECH_RATE_HZ, ChannelAudio
from engines.voice_activity import speech_spans

DURATION_S = 12
TIME_S = np.arange(DURATION_S * SPEECH_RATE_HZ) / SPEECH_RATE_HZ


def audio(*channels: NDArray[np.float64]) -> ChannelAudio:
    """Channels of -1..1 as ChannelAudio."""
    return ChannelAudio((np.clip(np.stack(channels), -1, 1) * 32767).astype(np.int16))


def noise(level_dbfs: float) -> NDArray[np.float64]:
    return np.random.default_rng(7).normal(0, 10 ** (level_dbfs / 20), len(TIME_S))


def notes(decay_per_s: float) -> NDArray[np.float64]:
    """A melody of half-second notes with three overtones, each note fading by `decay_per_s`."""
    pitch_hz = np.take([392, 440, 523, 440], (TIME_S * 2).astype(int) % 4)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SPEECH_RATE_HZ
    fading = np.exp(-decay_per_s * ((TIME_S * 2) % 1))
    return 0.1 * fading * sum(np.sin(n * phase) / n**1.5 for n in (1, 2, 3, 4))


def syllables(start_s: float, end_s: float) -> NDArray[np.float64]:
    """Like speech: a gliding voice with formants that opens and closes four times a second."""
    pitch_hz = 110 + 25 * np.sin(2 * np.pi * 0.9 * TIME_S) + 8 * np.sin(2 * np.pi * 3.1 * TIME_S)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SPEECH_RATE_HZ
    voice = np.zeros(len(TIME_S))
    formants_hz = (500 + 200 * np.sin(2 * np.pi * 1.7 * TIME_S), 1500 + 400 * np.sin(2 * np.pi * 1.1 * TIME_S))
    for harmonic in range(1, 30):
        gain = sum(np.exp(-(((harmonic * pitch_hz - formant_hz) / 180) ** 2)) for formant_hz in formants_hz)
        voice += gain * np.sin(harmonic * phase)
    mouth = np.clip(np.sin(2 * np.pi * 4 * TIME_S), 0.02, 1)
    return 0.08 * voice * mouth * ((start_s <= TIME_S) & (end_s > TIME_S))


@pytest.mark.parametrize(
    "sound",
    [
        np.zeros(len(TIME_S)),
        noise(-60),
        noise(-35),
        notes(0.0) + noise(-55),
        notes(3.0) + noise(-55),
        0.1 * (np.sin(2 * np.pi * 440 * TIME_S) + np.sin(2 * np.pi * 480 * TIME_S)) * (TIME_S % 6 < 2),
        0.1 * (np.sin(2 * np.pi * 770 * TIME_S) + np.sin(2 * np.pi * 1336 * TIME_S)) * (TIME_S % 0.4 < 0.15),
        0.05 * np.sin(2 * np.pi * 50 * TIME_S) + noise(-55),
    ],
    ids=["silence", "line noise", "hiss", "melody", "piano", "ringing", "dialled digits", "hum"],
)
def test_what_nobody_says_is_not_speech(sound: NDArray[np.float64]) -> None:
    assert speech_spans(audio(sound)) == [[]]


def test_each_channel_has_its_own_spans_within_the_recording() -> None:
    first, second = speech_spans(audio(syllables(2, 4) + noise(-55), syllables(6, 11) + noise(-55)))
    assert len(first) == len(second) == 1
    assert first[0] == pytest.approx((2, 4), abs=0.5)
    assert second[0] == pytest.approx((6, 11), abs=0.5)


def test_spans_are_in_order_and_do_not_overlap() -> None:
    (spans,) = speech_spans(audio(syllables(0, 2) + syllables(3, 5) + syllables(6.5, 8) + syllables(9.2, DURATION_S)))
    edges = [edge for span in spans for edge in span]
    assert len(spans) >= 3
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= DURATION_S


def test_speech_right_after_a_melody_is_kept() -> None:
    (spans,) = speech_spans(audio(notes(3.0) * (TIME_S < 6) + syllables(6.5, 11) + noise(-55)))
    heard_s = sum(end_s - start_s for start_s, end_s in spans if end_s > 7)
    assert 3.5 < heard_s < 6


def test_a_recording_shorter_than_a_frame_has_no_speech() -> None:
    assert speech_spans(ChannelAudio(np.zeros((2, 100), dtype=np.int16))) == [[], []]
