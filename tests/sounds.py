"""What nobody says: the sounds of a telephone line, as recordings of two channels."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engines.speech import SPEECH_RATE_HZ, ChannelAudio

DURATION_S = 40
TIME_S = np.arange(DURATION_S * SPEECH_RATE_HZ) / SPEECH_RATE_HZ
Sound = NDArray[np.float64]

_DTMF_HZ = {"1": (697, 1209), "5": (770, 1336), "9": (852, 1477), "0": (941, 1336), "#": (941, 1477)}


def noise(level_dbfs: float, seed: int = 1) -> Sound:
    """White noise."""
    return np.random.default_rng(seed).normal(0, 10 ** (level_dbfs / 20), len(TIME_S))


def comfort_noise() -> Sound:
    """What a codec plays in silence: dull noise whose level changes a little every 100 ms."""
    dull = np.convolve(noise(-38), np.ones(12) / 12, mode="same")
    steps = np.random.default_rng(2).uniform(0.85, 1.15, DURATION_S * 10)
    return dull * np.repeat(steps, SPEECH_RATE_HZ // 10)


def ringing() -> Sound:
    """A North American ringing tone: two seconds of two lines, four of silence."""
    return 0.1 * (np.sin(2 * np.pi * 440 * TIME_S) + np.sin(2 * np.pi * 480 * TIME_S)) * (TIME_S % 6 < 2)


def engaged() -> Sound:
    """A European engaged tone: half a second on, half a second off."""
    return 0.15 * np.sin(2 * np.pi * 425 * TIME_S) * (TIME_S % 1 < 0.5)


def dialled_digits() -> Sound:
    """Keys that are pressed four times a second."""
    sound = np.zeros(len(TIME_S))
    for index, (low, high) in enumerate(_DTMF_HZ.values()):
        is_pressed = (TIME_S * 4 % len(_DTMF_HZ)).astype(int) == index
        key = 0.1 * (np.sin(2 * np.pi * low * TIME_S) + np.sin(2 * np.pi * high * TIME_S))
        sound += key * is_pressed * (TIME_S * 4 % 1 < 0.6)
    return sound


def hold_music(decay_per_s: float = 1.5) -> Sound:
    """A melody of half-second notes with overtones, over an octave below."""
    pitch_hz = np.take([392, 440, 523, 440, 659, 523], (TIME_S * 2).astype(int) % 6)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SPEECH_RATE_HZ
    fading = np.exp(-decay_per_s * ((TIME_S * 2) % 1))
    return 0.1 * fading * sum(np.sin(n * phase) / n**1.5 for n in (1, 2, 3, 4))


SOUNDS: dict[str, Callable[[], Sound]] = {
    "silence": lambda: np.zeros(len(TIME_S)),
    "line noise": lambda: noise(-60),
    "hiss": lambda: noise(-35),
    "comfort noise": comfort_noise,
    "ringing": ringing,
    "engaged tone": engaged,
    "dialled digits": dialled_digits,
    "hum": lambda: 0.05 * np.sin(2 * np.pi * 50 * TIME_S) + noise(-55),
    "hold music": lambda: hold_music() + noise(-55),
}


def on_both_channels(sound: Sound) -> ChannelAudio:
    """The sound on the first channel, quieter on the second."""
    both = np.stack([sound, 0.5 * sound])
    return ChannelAudio((np.clip(both, -1, 1) * 32767).astype(np.int16))


def before(sound: Sound, audio: ChannelAudio) -> ChannelAudio:
    """The sound on both channels, then the recording."""
    return ChannelAudio(np.concatenate([on_both_channels(sound).samples, audio.samples], axis=1))
