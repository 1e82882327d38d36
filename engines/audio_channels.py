"""What the channels of a recording carry: how loud each is, whether it is empty, and whether both carry one sound."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.audio_samples import STRETCH_SAMPLES, let_go
from engines.speech import SPEECH_RATE_HZ

EMPTY_DBFS = -60.0
MAX_DELAY_S = 0.05
MAX_GAIN_DB = 6.5
_FRAME_SAMPLES = SPEECH_RATE_HZ // 10
_FRAMES_PER_WINDOW = 10
_WINDOW_SAMPLES = _FRAME_SAMPLES * _FRAMES_PER_WINDOW
_QUIET_DBFS = -50.0
_BELOW_LOUDEST_DB = 35.0
_WINDOWS_TO_ALIGN = 12
_LIKE_ON_THE_WHOLE = 0.8
_LIKE_WHERE_LOUD = 0.6
_CLEARLY_LIKE = 0.85
_MAX_GAIN_CHANGE_DB = 3.0
# So many times what usually differs is no noise any more; less than -60 dB of full scale never is anything else, nor
# is a fortieth of what is to be heard.
_MORE_THAN_NOISE = 4.0
_NOISE_POWER = 33.0**2
_LEAST_NOISE_SHARE = 0.025
# Takes the hum and the weight of low vowels out of a comparison: what tells two voices apart lies higher.
_PRE_EMPHASIS = 0.9


@dataclass(frozen=True)
class ChannelFacts:
    """How loud one channel is, in dB of full scale: on the whole, and in its loudest tenth of a second."""

    level_dbfs: float
    loudest_dbfs: float

    @property
    def is_empty(self) -> bool:
        """Whether nothing but the line's own noise is on it."""
        return self.loudest_dbfs < EMPTY_DBFS


def frame_powers(samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """Power of each tenth of a second, of shape [channel, frame], 1.0 being full scale, without a constant offset.

    A last piece that is shorter counts as a frame.
    """
    stretches = []
    for start in range(0, samples.shape[1], STRETCH_SAMPLES):
        stretch = samples[:, start : start + STRETCH_SAMPLES].astype(np.float32)
        whole = stretch.shape[1] // _FRAME_SAMPLES * _FRAME_SAMPLES
        frames = stretch[:, :whole].reshape(len(stretch), -1, _FRAME_SAMPLES)
        stretches.append(_variances(frames))
        if whole < stretch.shape[1]:
            stretches.append(_variances(stretch[:, None, whole:]))
        let_go(samples)
    powers: NDArray[np.float64] = np.concatenate(stretches, axis=1) / 32768.0**2
    return powers


def channel_facts(powers: NDArray[np.float64]) -> tuple[ChannelFacts, ...]:
    """The facts of each channel out of its `frame_powers`."""
    return tuple(ChannelFacts(_dbfs(channel.mean()), _dbfs(channel.max())) for channel in powers)


def is_copied(samples: NDArray[np.int16], powers: NDArray[np.float64]) -> bool:
    """True when two channels carry one and the same sound.

    A codec's noise, a delay of up to MAX_DELAY_S and another gain are allowed, as long as they stay the same all the
    time: a voice that leaks into the other channel is fainter there, and when the other one speaks it is the other way
    round. Wherever anything is to be heard the channels must be alike, so one word of another speaker is enough to tell
    that they are two. Two silent channels are two.
    """
    windows = _audible_windows(powers)
    if len(windows) == 0 or not _are_equally_loud(powers, windows):
        return False
    delay = _delay_samples(samples, powers, windows)
    if delay is None:
        return False
    is_alike = _are_alike(samples, windows, delay)
    let_go(samples)
    return is_alike


def _variances(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    squares = np.einsum("cfs,cfs->cf", frames, frames) / frames.shape[2]
    variances: NDArray[np.float64] = np.maximum(squares - frames.mean(axis=2) ** 2, 0).astype(np.float64)
    return variances


def _dbfs(power: float) -> float:
    return round(float(10 * np.log10(power + 1e-12)), 1)


def _window_powers(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Power of each second, of shape [channel, window]; a short last window is as long as what is there."""
    starts = np.arange(0, powers.shape[1], _FRAMES_PER_WINDOW)
    lengths = np.diff([*starts, powers.shape[1]])
    windows: NDArray[np.float64] = np.add.reduceat(powers, starts, axis=1) / lengths
    return windows


def _audible_windows(powers: NDArray[np.float64]) -> NDArray[np.intp]:
    """The seconds in which either channel has something to hear."""
    levels = 10 * np.log10(_window_powers(powers).max(axis=0) + 1e-12)
    return np.flatnonzero((levels > _QUIET_DBFS) & (levels > levels.max() - _BELOW_LOUDEST_DB))


def _are_equally_loud(powers: NDArray[np.float64], windows: NDArray[np.intp]) -> bool:
    """False for the most calls of two people, at the price of some arithmetic."""
    first, second = 10 * np.log10(_window_powers(powers)[:, windows] + 1e-12)
    differences = first - second
    usual = float(np.median(differences))
    # A delay moves the edges of words over those of the seconds: here only what is far off tells.
    return abs(usual) <= MAX_GAIN_DB and float(np.percentile(np.abs(differences - usual), 75)) <= _MAX_GAIN_CHANGE_DB


def _delay_samples(samples: NDArray[np.int16], powers: NDArray[np.float64], windows: NDArray[np.intp]) -> int | None:
    """How much later the second channel is, in samples; None when no delay makes the two alike."""
    loudest = windows[np.argsort(_window_powers(powers)[:, windows].min(axis=0))[-_WINDOWS_TO_ALIGN:]]
    reach = round(MAX_DELAY_S * SPEECH_RATE_HZ)
    likeness = np.zeros(2 * reach + 1)
    for window in loudest:
        start = int(window) * _WINDOW_SAMPLES
        first, second = (_sharpened(row) for row in samples[:, start : start + _WINDOW_SAMPLES])
        size = 1 << (2 * _WINDOW_SAMPLES - 1).bit_length()
        products = np.fft.irfft(np.conj(np.fft.rfft(first, size)) * np.fft.rfft(second, size), size)
        norm = float(np.linalg.norm(first) * np.linalg.norm(second))
        if norm > 0:
            likeness += np.concatenate([products[-reach:], products[: reach + 1]]) / norm
    best = int(likeness.argmax())
    # Moved against each other, the windows share less than all: hence a little less than is asked for below.
    return best - reach if likeness[best] / len(loudest) > _LIKE_WHERE_LOUD else None


def _are_alike(samples: NDArray[np.int16], windows: NDArray[np.intp], delay: int) -> bool:
    """Whether the channels carry the same in each of the windows, once the second is moved by `delay` samples."""
    own, other, shared = _products(samples, windows, delay)
    if shared.sum() < _LIKE_ON_THE_WHOLE * np.sqrt(own.sum() * other.sum()):
        return False
    if _has_more(own, other, shared) or _has_more(other, own, shared):
        return False
    is_clear = shared > _CLEARLY_LIKE * np.sqrt(own * other)
    if not is_clear.any():
        return False
    gains = 10 * np.log10(other[is_clear] / own[is_clear])
    usual = float(np.median(gains))
    return abs(usual) <= MAX_GAIN_DB and float(np.abs(gains - usual).max()) <= _MAX_GAIN_CHANGE_DB


def _has_more(own: NDArray[np.float64], other: NDArray[np.float64], shared: NDArray[np.float64]) -> bool:
    """Whether the `other` channel has a sound that this one lacks: a codec's noise is always there, or always in
    proportion; a word is not.
    """
    rest = np.maximum(other - shared**2 / np.maximum(own, 1), 0)
    share = rest / np.maximum(other, 1)
    usual_rest = max(float(np.median(rest)), _WINDOW_SAMPLES * _NOISE_POWER)
    usual_share = max(float(np.median(share)), _LEAST_NOISE_SHARE)
    return bool(((rest > _MORE_THAN_NOISE * usual_rest) & (share > _MORE_THAN_NOISE * usual_share)).any())


def _products(
    samples: NDArray[np.int16], windows: NDArray[np.intp], delay: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Energy of the first channel, of the second, and what they share, of each window."""
    length = samples.shape[1]
    found = np.zeros((3, len(windows)))
    for index, window in enumerate(windows):
        start = max(int(window) * _WINDOW_SAMPLES, -delay)
        end = min((int(window) + 1) * _WINDOW_SAMPLES, length, length - delay)
        if end - start > _FRAME_SAMPLES:
            first = _sharpened(samples[0, start:end])
            second = _sharpened(samples[1, start + delay : end + delay])
            found[:, index] = first @ first, second @ second, first @ second
        if index % 600 == 0:
            let_go(samples)
    return found[0], found[1], found[2]


def _sharpened(row: NDArray[np.int16]) -> NDArray[np.float32]:
    sound = row.astype(np.float32)
    sharp: NDArray[np.float32] = sound[1:] - _PRE_EMPHASIS * sound[:-1]
    return sharp
