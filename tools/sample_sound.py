"""The sound of a sample call: two text-to-speech voices on two telephone channels, with pauses, hold and line noise.

Needs the `flite` program (Debian: apt install flite). Everything else is arithmetic with fixed seeds.
"""

import random
import subprocess
import tempfile
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
CUSTOMER_CHANNEL, AGENT_CHANNEL = 0, 1
VOICES = {"A": "awb", "C": "rms"}
CHANNELS = {"A": AGENT_CHANNEL, "C": CUSTOMER_CHANNEL}
_SPEECH_LEVEL = 0.1
_NOTES_HZ = (392, 440, 523, 440, 349, 392, 330, 392)

Sound = NDArray[np.float64]


@dataclass
class Spoken:
    """One line of a script where it stands in the recording; `side` is A (agent) or C (customer)."""

    side: str
    start_s: float
    end_s: float
    text: str


@dataclass
class Rendered:
    """A call as sound [channel, sample] at RATE_HZ, -1..1, and its lines in time."""

    sound: Sound
    lines: list[Spoken] = field(default_factory=list)


def render(script_lines: list[dict[str, Any]], *, seed: int) -> Rendered:
    """Speak a script: lines of `A` or `C` with a text (`C!` cuts in), `pause_s`, `hold_s` or `beep_s`."""
    chance = random.Random(seed)
    placed: list[tuple[int, float, Sound]] = []
    lines: list[Spoken] = []
    now_s = 0.7
    for line in script_lines:
        ((what, value),) = line.items()
        if what == "pause_s":
            now_s += value
        elif what == "hold_s":
            placed.append((AGENT_CHANNEL, now_s + 0.4, _melody(value)))
            now_s += value + 0.8
        elif what == "beep_s":
            placed.append((AGENT_CHANNEL, now_s, _tone(1000, value)))
            now_s += value + 0.6
        else:
            side, cuts_in = what[0], what.endswith("!")
            sound = speak(value, VOICES[side], stretch=chance.uniform(1.0, 1.08))
            start_s = now_s - (1.2 if cuts_in else 0.0)
            end_s = start_s + sound.shape[-1] / RATE_HZ
            placed.append((CHANNELS[side], start_s, sound))
            lines.append(Spoken(side, round(start_s, 2), round(end_s, 2), value))
            now_s = end_s + chance.uniform(0.35, 0.9)
    return Rendered(_mix(placed, now_s + 0.6, noise_dbfs=chance.uniform(-58, -52), seed=seed), lines)


def speak(text: str, voice: str, *, stretch: float = 1.0) -> Sound:
    """What flite says, resampled to RATE_HZ and brought to one level."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(
            ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.3f}", "-t", text, "-o", str(path)],
            check=True,
        )
        with wave.open(str(path)) as file:
            wide = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float64)
            wide_rate_hz = file.getframerate()
    sample_count = len(wide) * RATE_HZ // wide_rate_hz
    # Cutting the spectrum is an ideal low-pass: a telephone line's upper edge, its lower one is left to the voice.
    spectrum = np.fft.rfft(wide)[: sample_count // 2 + 1]
    spectrum[int(len(spectrum) * 3500 / (RATE_HZ / 2)) :] = 0
    narrow = np.fft.irfft(spectrum, sample_count)
    loud = narrow[np.abs(narrow) > 0.02 * np.abs(narrow).max()]
    level: Sound = narrow / np.sqrt(np.square(loud).mean()) * _SPEECH_LEVEL
    return level


def _melody(duration_s: float) -> Sound:
    """Soft hold music: one note each half second, each fading."""
    time_s = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
    pitch_hz = np.take(_NOTES_HZ, (time_s * 2).astype(int) % len(_NOTES_HZ))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    sound: Sound = 0.03 * np.exp(-1.5 * ((time_s * 2) % 1)) * (np.sin(phase) + 0.3 * np.sin(2 * phase))
    return sound


def _tone(frequency_hz: float, duration_s: float) -> Sound:
    sound: Sound = 0.1 * np.sin(2 * np.pi * frequency_hz * np.arange(int(duration_s * RATE_HZ)) / RATE_HZ)
    return sound


def _mix(placed: list[tuple[int, float, Sound]], duration_s: float, *, noise_dbfs: float, seed: int) -> Sound:
    sample_count = int(duration_s * RATE_HZ)
    mixed: Sound = np.random.default_rng(seed).normal(0, 10 ** (noise_dbfs / 20), (2, sample_count))
    for channel, start_s, sound in placed:
        start = int(start_s * RATE_HZ)
        mixed[channel, start : start + len(sound)] += sound[: sample_count - start]
    return np.clip(mixed, -1, 1)


def encode(path: Path, sound: Sound, *, container: str, codec: str, bits_per_s: int | None = None) -> None:
    """Write sound [channel, sample] at RATE_HZ; Opus alone knows no 8 kHz and gets 48."""
    layout = "stereo" if len(sound) == 2 else "mono"
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=48_000 if codec == "libopus" else RATE_HZ, layout=layout)
        if bits_per_s:
            stream.bit_rate = bits_per_s
        resampler = av.AudioResampler(stream.codec_context.format, layout, stream.rate)
        rows = (sound * 32767).astype(np.int16)
        for start in range(0, rows.shape[1], RATE_HZ):
            packed = np.ascontiguousarray(rows[:, start : start + RATE_HZ].T).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(packed, format="s16", layout=layout)
            frame.sample_rate = RATE_HZ
            for ready in resampler.resample(frame):
                output.mux(stream.encode(ready))
        for ready in resampler.resample(None):
            output.mux(stream.encode(ready))
        output.mux(stream.encode(None))
