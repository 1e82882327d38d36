"""Where somebody speaks: voice activity per channel, from sound alone.

WebRTC's detector (it comes with pocketsphinx) judges frames of 30 ms. It is fast, but takes dialling tones, hold
melodies and hiss for speech; so each frame must also be loud enough and outside any melody, and each stretch must rise
and fall as syllables do.
"""

from collections.abc import Iterator

import numpy as np
import pocketsphinx
from numpy.typing import NDArray

from engines.audio_samples import let_go
from engines.speech import SPEECH_RATE_HZ, ChannelAudio

FRAME_S = 0.03
PAD_S = 0.21
MAX_PAUSE_S = 0.6
MIN_SPEECH_S = 0.24
_FRAME_SAMPLES = round(FRAME_S * SPEECH_RATE_HZ)
_STRICTEST_MODE = 3
_FLOOR_DBFS = -55.0
_MIN_LEVEL_SPREAD_DB = 6.0
_BLOCK_FRAMES = 3
_TONE_COUNT = 2
_TONE_SHARE = 0.9
_TONE_RUN_BLOCKS = 21
_TONE_RUN_SHARE = 0.7
_TONE_SPAN_SHARE = 0.6
_BLOCKS_AT_ONCE = 2000
_FRAMES_AT_ONCE = _BLOCKS_AT_ONCE * _BLOCK_FRAMES

Spans = list[tuple[float, float]]


def speech_spans(audio: ChannelAudio) -> list[Spans]:
    """For each channel the stretches of speech as (start_s, end_s), in order and without overlap.

    Pauses up to MAX_PAUSE_S are bridged, each stretch is padded by PAD_S, and less than MIN_SPEECH_S of voice is noise.
    """
    return [_spans(channel, audio.rate_hz) for channel in audio.samples]


def _spans(channel: NDArray[np.int16], rate_hz: int) -> Spans:
    frame_count = len(channel) // _FRAME_SAMPLES
    if frame_count == 0:
        return []
    frames = channel[: frame_count * _FRAME_SAMPLES].reshape(frame_count, _FRAME_SAMPLES)
    levels = _levels_dbfs(frames)
    tonal = _tonal(frames)
    voiced = (levels > _floor_dbfs(levels)) & ~_in_melody(tonal)
    detector = pocketsphinx.Vad(_STRICTEST_MODE, rate_hz, FRAME_S)
    # Every frame goes through the detector, also those that are out already: it adapts to what it hears.
    voiced &= np.fromiter(map(detector.is_speech, _each(frames)), bool, frame_count)
    length_s = len(channel) / rate_hz
    spans: Spans = []
    for start, end in _runs(voiced, round(MAX_PAUSE_S / FRAME_S)):
        if voiced[start:end].sum() * FRAME_S < MIN_SPEECH_S or _is_steady(levels[start:end]):
            continue
        if tonal[start:end].mean() > _TONE_SPAN_SHARE:
            continue
        start_s = max(0.0, start * FRAME_S - PAD_S, spans[-1][1] if spans else 0.0)
        spans.append((round(start_s, 3), round(min(length_s, end * FRAME_S + PAD_S), 3)))
    return spans


def _portions(frames: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
    """Some frames at a time; a recording that lies in a file takes no more memory than these."""
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        yield frames[start : start + _FRAMES_AT_ONCE]
        let_go(frames)


def _each(frames: NDArray[np.int16]) -> Iterator[bytes]:
    """Frame after frame, as the detector takes them."""
    for some in _portions(frames):
        data, size = some.tobytes(), some[0].nbytes
        for start in range(0, len(data), size):
            yield data[start : start + size]


def _levels_dbfs(frames: NDArray[np.int16]) -> NDArray[np.float64]:
    power = np.concatenate([np.square(some, dtype=np.float32).mean(axis=1) for some in _portions(frames)])
    level: NDArray[np.float64] = 10 * np.log10(power / 32768.0**2 + 1e-12)
    return level


def _floor_dbfs(levels: NDArray[np.float64]) -> float:
    """What is quieter is the line's noise: above its usual level, but never within 20 dB of the loudest speech."""
    return max(_FLOOR_DBFS, min(float(np.percentile(levels, 10)) + 6, float(np.percentile(levels, 95)) - 20))


def _is_steady(levels: NDArray[np.float64]) -> bool:
    """True for sound that keeps its level, as hiss and machines do; syllables rise and fall by more."""
    return float(np.percentile(levels, 90) - np.percentile(levels, 10)) < _MIN_LEVEL_SPREAD_DB


def _tonal(frames: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Per frame, whether nearly all power of the 90 ms around it lies in two narrow lines, as in tones."""
    block_count = len(frames) // _BLOCK_FRAMES
    tonal = np.zeros(len(frames), dtype=bool)
    window = np.hanning(_BLOCK_FRAMES * _FRAME_SAMPLES).astype(np.float32)
    for start in range(0, block_count, _BLOCKS_AT_ONCE):
        end = min(start + _BLOCKS_AT_ONCE, block_count)
        blocks = frames[start * _BLOCK_FRAMES : end * _BLOCK_FRAMES].reshape(end - start, -1)
        is_line = _line_share(np.square(np.abs(np.fft.rfft(blocks * window, axis=1)))) > _TONE_SHARE
        tonal[start * _BLOCK_FRAMES : end * _BLOCK_FRAMES] = np.repeat(is_line, _BLOCK_FRAMES)
        let_go(frames)
    return tonal


def _in_melody(tonal: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Per frame, whether tones prevail for two seconds around it; a vowel can be as pure, but not for that long."""
    width = _TONE_RUN_BLOCKS * _BLOCK_FRAMES
    around = np.convolve(
        np.pad(tonal.astype(np.float64), width // 2, mode="edge"), np.ones(width) / width, mode="valid"
    )
    melody: NDArray[np.bool_] = around[: len(tonal)] > _TONE_RUN_SHARE
    return melody


def _line_share(power: NDArray[np.float32]) -> NDArray[np.float64]:
    """Per row of a power spectrum, the share that its strongest lines hold, each with two bins either side."""
    left = power.copy()
    rows = np.arange(len(left))
    for _ in range(_TONE_COUNT):
        peak = left.argmax(axis=1)
        for offset in range(-2, 3):
            left[rows, np.clip(peak + offset, 0, left.shape[1] - 1)] = 0
    share: NDArray[np.float64] = 1 - left.sum(axis=1) / (power.sum(axis=1) + 1e-9)
    return share


def _runs(voiced: NDArray[np.bool_], max_pause_frames: int) -> list[tuple[int, int]]:
    """Runs of voiced frames as [start, end), joined over pauses of at most `max_pause_frames`."""
    runs: list[tuple[int, int]] = []
    for index in np.flatnonzero(voiced).tolist():
        if runs and index - runs[-1][1] <= max_pause_frames:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs
