"""Recordings for tests, from the bundled samples: voices that a voice detector takes for what they are."""

from functools import cache
from pathlib import Path

import numpy as np

import samples
from engines.audio import decode
from engines.speech import SPEECH_RATE_HZ, ChannelAudio

WHOLE_CALL = Path(samples.__file__).parent / "recordings" / "01-dishwasher-is-late.mp3"


@cache
def two_voices(duration_s: int = 14) -> ChannelAudio:
    """The beginning of a two-channel call: both channels speak, one after the other; each twice in 20 s."""
    return ChannelAudio(decode(WHOLE_CALL).audio.samples[:, : duration_s * SPEECH_RATE_HZ].copy())


def one_voice() -> ChannelAudio:
    """A mono recording with speech."""
    return ChannelAudio(two_voices().samples[:1])


def second_channel_only() -> ChannelAudio:
    """Two channels, of which the first is silent, and the second speaks twice."""
    both = two_voices(20).samples
    return ChannelAudio(np.stack([np.zeros_like(both[1]), both[1]]))


def silence(channel_count: int = 2, duration_s: float = 8.0) -> ChannelAudio:
    """Nothing but zeros."""
    return ChannelAudio(np.zeros((channel_count, round(duration_s * SPEECH_RATE_HZ)), np.int16))


def hiss(duration_s: float = 8.0) -> ChannelAudio:
    """Loud, steady noise on two channels, as of an open line."""
    noise = np.random.default_rng(1).normal(0, 600, (2, round(duration_s * SPEECH_RATE_HZ)))
    return ChannelAudio(noise.astype(np.int16))


@cache
def whole_call() -> ChannelAudio:
    """A whole two-channel call, with more than ten turns."""
    return decode(WHOLE_CALL).audio
