"""Recordings of every kind for tests, encoded here from sounds whose channels differ."""

import struct
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


def chirps(duration_s: float, channel_count: int = 2, rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    """int16 [channel, sample]; each channel sweeps through its own frequencies."""
    time_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    rows = [np.sin(2 * np.pi * (300 + 150 * n + 200 * np.sin(time_s)) * time_s) for n in range(channel_count)]
    return (np.stack(rows) * 8000).astype(np.int16)


def write(
    path: Path,
    rows: NDArray[np.int16],
    *,
    container: str,
    codec: str,
    rate_hz: int = RATE_HZ,
    given_rate_hz: int = RATE_HZ,
) -> Path:
    """Encode int16 [channel, sample] with PyAV; `given_rate_hz` is that of the rows, `rate_hz` that of the file."""
    layout = _LAYOUTS[len(rows)]
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate_hz, layout=layout)
        # FFmpeg's own Vorbis encoder asks for it.
        stream.codec_context.options = {"strict": "experimental"}
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate_hz)
        for start in range(0, rows.shape[1], 4000):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(rows[:, start : start + 4000].T.reshape(1, -1)), format="s16", layout=layout
            )
            frame.sample_rate = given_rate_hz
            for ready in resampler.resample(frame):
                output.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            output.mux(stream.encode(ready))
        output.mux(stream.encode(None))
    return path


def gsm_wav(duration_s: float) -> bytes:
    """GSM 6.10 in a WAV, of random frames: any bits are a sound to its decoder."""
    blocks = round(duration_s * 8000 / 320)
    body = np.random.default_rng(1).bytes(65 * blocks)
    form = struct.pack("<HHIIHHHH", 0x31, 1, 8000, 1625, 65, 0, 2, 320)
    fact = struct.pack("<4sII", b"fact", 4, blocks * 320)
    chunks = struct.pack("<4sI", b"fmt ", len(form)) + form + fact + struct.pack("<4sI", b"data", len(body)) + body
    return struct.pack("<4sI4s", b"RIFF", 4 + len(chunks), b"WAVE") + chunks


def amr_wideband(duration_s: float) -> bytes:
    """AMR-WB of random speech frames at 6.6 kbit/s, for want of an encoder. Source of the layout: RFC 4867, 5.3."""
    random = np.random.default_rng(1)
    frames = [b"\x04" + random.bytes(17) for _ in range(round(duration_s * 50))]
    return b"#!AMR-WB\n" + b"".join(frames)
