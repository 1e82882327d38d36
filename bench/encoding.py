"""Recordings for the benchmarks, encoded by FFmpeg."""

from collections.abc import Iterable
from pathlib import Path
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray


def encode(
    path: Path,
    chunks: Iterable[NDArray[np.int16]],
    *,
    container: str,
    codec: str,
    rate_hz: int,
    given_rate_hz: int,
    layout: str = "stereo",
) -> None:
    """Write int16 [2, sample] chunks one after another; `given_rate_hz` is their rate, `rate_hz` that of the file."""
    with av.open(str(path), "w", format=container) as output:
        stream = cast(av.AudioStream, output.add_stream(codec, rate=rate_hz, layout=layout))
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate_hz)
        for rows in chunks:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(rows), format="s16p", layout="stereo")
            frame.sample_rate = given_rate_hz
            for ready in resampler.resample(frame):
                output.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            output.mux(stream.encode(ready))
        output.mux(stream.encode(None))
