"""Two-channel calls of any length for benchmarks: the bundled recordings, one after the other, with the silence of real
ones between them.
"""

import wave
from functools import cache
from pathlib import Path

import numpy as np

from engines.audio import decode
from engines.speech import SPEECH_RATE_HZ, ChannelAudio
from engines.voice_activity import speech_spans
from samples import sample_recordings

SILENT_SHARE = 0.6
_LINE_NOISE = 12.0


def made_call(duration_s: float, first: int = 0) -> ChannelAudio:
    """A call of that length; each channel is silent for SILENT_SHARE of it, in the mean of both. `first` says which
    recording comes first.
    """
    calls = _bundled_calls()
    noise = np.random.default_rng(first)
    parts: list[np.ndarray] = []
    length, number = 0, first
    while length < duration_s * SPEECH_RATE_HZ:
        audio, spoken_s = calls[number % len(calls)]
        number += 1
        missing_s = max(0.0, spoken_s / 2 / (1 - SILENT_SHARE) - audio.duration_s)
        silence = noise.normal(0, _LINE_NOISE, (2, round(missing_s * SPEECH_RATE_HZ))).astype(np.int16)
        parts += [audio.samples, silence]
        length += audio.samples.shape[1] + silence.shape[1]
    return ChannelAudio(np.concatenate(parts, axis=1)[:, : round(duration_s * SPEECH_RATE_HZ)].copy())


def speech_s(audio: ChannelAudio) -> float:
    """Seconds of speech on both channels together, as our voice activity finds them, pads included."""
    return sum(end_s - start_s for spans in speech_spans(audio) for start_s, end_s in spans)


def write_telephone_wav(audio: ChannelAudio, path: Path) -> Path:
    """The call as telephony keeps it: 8 kHz, 16 bit."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(audio.channel_count)
        file.setsampwidth(2)
        file.setframerate(SPEECH_RATE_HZ // 2)
        file.writeframes(audio.samples[:, ::2].T.astype("<i2").tobytes())
    return path


@cache
def _bundled_calls() -> list[tuple[ChannelAudio, float]]:
    """The bundled two-channel calls, each with its seconds of speech."""
    audios = [decode(recording.path).audio for recording in sample_recordings() if recording.stage == "done"]
    return [(audio, speech_s(audio)) for audio in audios if audio.channel_count == 2]
