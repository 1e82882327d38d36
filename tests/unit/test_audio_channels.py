"""A channel that is empty is known for it, and a call that was copied to both channels; two talkers never are one."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engines.audio import decode
from engines.audio_channels import channel_facts, frame_powers, is_copied
from engines.speech import SPEECH_RATE_HZ
from tests.encoded import write
from tests.recordings import two_voices

RNG = np.random.default_rng(3)


def voices() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both sides of a real conversation, as numbers."""
    first, second = two_voices().samples.astype(np.float64)
    return first, second


def mixed() -> NDArray[np.float64]:
    """Both sides on one channel, as a mono recorder hears them."""
    first, second = voices()
    return first + second


def later(sound: NDArray[np.float64], delay_s: float) -> NDArray[np.float64]:
    """The sound, `delay_s` later (or earlier)."""
    return np.roll(sound, round(delay_s * SPEECH_RATE_HZ))


def noise(level: float) -> NDArray[np.float64]:
    return RNG.normal(0, level, len(mixed()))


def copied(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    samples = np.clip(np.stack([first, second]), -32768, 32767).astype(np.int16)
    return is_copied(samples, frame_powers(samples))


@pytest.mark.parametrize(
    "second",
    [
        lambda sound: sound,
        lambda sound: 0.5 * sound,
        lambda sound: 2 * sound,
        lambda sound: later(sound, 0.004),
        lambda sound: later(sound, -0.03),
        lambda sound: sound + noise(60),
        lambda sound: 0.7 * later(sound, 0.01) + noise(40),
        lambda sound: -1 * -1 * np.round(sound / 256) * 256,
    ],
    ids=["the same", "fainter", "louder", "later", "earlier", "noisier", "all of it", "coarser"],
)
def test_one_sound_on_both_channels_is_known_for_a_copy(second) -> None:
    assert copied(mixed(), second(mixed()))


@pytest.mark.parametrize(
    ("container", "codec"), [("mp3", "libmp3lame"), ("wav", "pcm_mulaw"), ("wav", "adpcm_ms"), ("ogg", "libopus")]
)
def test_a_copy_that_went_through_a_codec_becomes_one_channel(tmp_path: Path, container: str, codec: str) -> None:
    rows = np.clip(np.stack([mixed(), 0.8 * later(mixed(), 0.006)]), -32768, 32767).astype(np.int16)
    rate_hz = 48_000 if codec == "libopus" else 16_000
    path = tmp_path / "call"
    write(path, rows, container=container, codec=codec, rate_hz=rate_hz, given_rate_hz=SPEECH_RATE_HZ)
    assert decode(path).audio.channel_count == 1


def ringing() -> NDArray[np.float64]:
    """A ringing tone for the first four seconds, as an exchange plays it to both sides."""
    time_s = np.arange(len(mixed())) / SPEECH_RATE_HZ
    return 4000 * np.sin(2 * np.pi * 440 * time_s) * (time_s < 4)


def one_word_more() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One sound on both, and in the second channel a word that the first does not have."""
    word = np.zeros(len(mixed()))
    at = np.abs(voices()[1]).argmax() - SPEECH_RATE_HZ // 4
    length = SPEECH_RATE_HZ // 2
    quiet_at = int(np.convolve(np.abs(mixed()), np.ones(SPEECH_RATE_HZ), mode="valid").argmin())
    word[quiet_at : quiet_at + length] = voices()[1][at : at + length]
    return mixed(), mixed() + word


@pytest.mark.parametrize(
    "channels",
    [
        lambda first, second: (first, second),
        lambda first, second: (first + 0.25 * second, second + 0.25 * first),
        lambda first, second: (first + 0.6 * later(second, 0.01), second + 0.6 * later(first, 0.01)),
        lambda first, second: (first + ringing(), second + ringing()),
        lambda first, second: (first, np.zeros_like(first)),
        lambda first, second: (first, 0.05 * first),
        lambda first, second: (first + second, second),
        lambda first, second: (first + 0.5 * second, first),
        lambda first, second: one_word_more(),
        lambda first, second: one_word_more()[::-1],
        lambda first, second: (first, later(first, 3.0)),
        lambda first, second: (noise(2000), noise(2000)),
    ],
    ids=[
        "two talkers",
        "each leaks into the other",
        "each leaks a lot, later",
        "both hear it ring",
        "one is silent",
        "one is an echo",
        "one hears both, the other itself",
        "one hears both, the other itself alone",
        "one word more",
        "one word more in the first",
        "one voice at other times",
        "two noises",
    ],
)
def test_two_talkers_stay_two(channels) -> None:
    assert not copied(*channels(*voices()))


def test_an_empty_channel_is_told_from_a_quiet_one() -> None:
    quiet = 0.05 * mixed()
    comfort_noise = noise(12)
    offset = np.full(len(quiet), 500.0)
    samples = np.stack([quiet, comfort_noise, offset]).astype(np.int16)
    assert [facts.is_empty for facts in channel_facts(frame_powers(samples))] == [False, True, True]


def test_levels_are_in_decibels_of_full_scale() -> None:
    square = np.tile(np.array([16384, -16384], np.int16), SPEECH_RATE_HZ)
    half = square.copy()
    half[: len(half) // 2] = 0
    facts = channel_facts(frame_powers(np.stack([square, half])))
    assert [(each.level_dbfs, each.loudest_dbfs) for each in facts] == [(-6.0, -6.0), (-9.0, -6.0)]
