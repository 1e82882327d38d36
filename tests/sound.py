"""Small real recordings for tests."""

import io
import wave

import numpy as np


def two_channel_wav(seconds: float, *, rate_hz: int = 8000) -> bytes:
    """A PCM WAV of noise on both channels: something to decode, nothing to hear."""
    noise = np.random.default_rng(1).normal(0, 2000, (int(seconds * rate_hz), 2)).astype("<i2")
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(noise.tobytes())
    return target.getvalue()
