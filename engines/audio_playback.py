"""What people hear and see of a recording: a copy that every browser plays, and the outline of its sound."""

import json
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.audio_samples import let_go
from engines.speech import ChannelAudio

PEAK_COUNT = 1000
_PLAYBACK_BITS_PER_S = 48_000
_FRAME_S = 10


def write_playback(audio: ChannelAudio, path_out: Path, silent: Sequence[tuple[float, float]] = ()) -> None:
    """Write the sound as an MP3 for a browser's player: two channels at its own rate, a mono call on both.

    Of each stretch in `silent` (from, to, in seconds) no sample is written, on either channel: who speaks on one is
    often heard on the other, too.
    """
    # FFmpeg, for workers alone: the pages and the listeners load this file for its other half.
    import av

    with av.open(f"file:{path_out}", "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=audio.rate_hz, layout="stereo")
        stream.bit_rate = _PLAYBACK_BITS_PER_S
        step = _FRAME_S * audio.rate_hz
        for start in range(0, audio.samples.shape[1], step):
            block = _without(audio.samples[:, start : start + step], start, audio.rate_hz, silent)
            rows = np.ascontiguousarray(block if audio.channel_count == 2 else np.repeat(block, 2, axis=0))
            frame = av.AudioFrame.from_ndarray(rows, format="s16p", layout="stereo")
            frame.sample_rate = audio.rate_hz
            container.mux(stream.encode(frame))
            let_go(audio.samples)
        container.mux(stream.encode(None))


def write_peaks(audio: ChannelAudio, path_out: Path) -> None:
    """Write the outline of each channel as JSON: the lowest and the highest sample of PEAK_COUNT equal stretches.

    `{"duration_s": 61.2, "channels": [{"low": [-128..127, ...], "high": [...]}]}`; a recording of fewer samples than
    stretches has as many stretches as samples.
    """
    count = min(PEAK_COUNT, audio.samples.shape[1])
    edges = np.linspace(0, audio.samples.shape[1], count + 1).astype(np.int64)
    low = np.zeros((audio.channel_count, count), np.int16)
    high = np.zeros_like(low)
    for index in range(count):
        stretch = audio.samples[:, edges[index] : edges[index + 1]]
        low[:, index], high[:, index] = stretch.min(axis=1), stretch.max(axis=1)
        let_go(audio.samples)
    channels = [
        {"low": _in_a_byte(low_row), "high": _in_a_byte(high_row)} for low_row, high_row in zip(low, high, strict=True)
    ]
    document = {"duration_s": round(audio.duration_s, 3), "channels": channels}
    path_out.write_text(json.dumps(document, separators=(",", ":")), encoding="ascii")


def _without(
    block: NDArray[np.int16], start: int, rate_hz: int, silent: Sequence[tuple[float, float]]
) -> NDArray[np.int16]:
    """The block, which begins at sample `start`, with zeros where it is to be silent."""
    end = start + block.shape[1]
    hit = [
        (max(int(from_s * rate_hz), start) - start, min(ceil(to_s * rate_hz), end) - start)
        for from_s, to_s in silent
        if int(from_s * rate_hz) < end and ceil(to_s * rate_hz) > start
    ]
    if not hit:
        return block
    # Mapped samples are read-only.
    block = block.copy()
    for first, last in hit:
        block[:, first:last] = 0
    return block


def _in_a_byte(row: NDArray[np.int16]) -> list[int]:
    return [int(value) for value in row >> 8]
