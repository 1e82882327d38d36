"""Broken recordings by the thousand: each must end in a named state within its time, and lead nowhere.

    python -m bench.fuzz --json [--inputs 2000] [--seed 1]

Real recordings of every kind that can be encoded here, and texts that a player would follow (playlists, ffconcat), are
mutated: bits flipped, stretches cut, doubled, zeroed or exchanged between files, numbers of headers made extreme,
references planted. Each is decoded as a worker does it, under names of any kind. Beside the input lies a file that must
not be read (the kernel is asked who opens it, where it can be) and a port listens that must not be called; the inputs
name both.

`crashes`: decoding broke in the worker itself, with an error that is none of ours. `hangs`: no end within the limits.
`unnamed_ends`: an end whose code is not among those that are documented. `ends` counts all of them by code; the end
`decoder_died` of a child is a named one. The exit status says whether any of what must be zero is not.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import samples
from bench.encoding import encode
from bench.witness import Witness
from calls.errors import CallwiseError
from engines.audio import AudioLimits, decode
from engines.speech import SPEECH_RATE_HZ

NAMED = {"ok", "empty", "not_audio", "corrupt", "too_long", "decoder_died", "decoder_timed_out"}
LIMITS = AudioLimits(max_bytes=64 << 20, max_duration_s=900, max_memory_bytes=512 << 20, max_wall_s=20, max_stall_s=10)
GRACE_S = 10.0
MUST_BE_ZERO = ("crashes", "hangs", "foreign_reads", "outbound_calls", "unnamed_ends")
_SECONDS = 4
_TEXT_SHARE = 0.1
_AT_ONCE = 2
_NAMES = ("call.wav", "call.mp3", "call.m3u8", "call.sdp", "http:call.wav", "call%03d.wav", "-i.wav", "a|b.flac")
_ENCODED = (
    ("wav", "pcm_s16le", 8000),
    ("wav", "pcm_mulaw", 8000),
    ("wav", "adpcm_ima_wav", 8000),
    ("wav", "adpcm_ms", 8000),
    ("mp3", "libmp3lame", 8000),
    ("mp4", "aac", 16000),
    ("adts", "aac", 16000),
    ("ogg", "libopus", 48000),
    ("flac", "flac", 8000),
    ("webm", "libopus", 48000),
    ("amr", "libopencore_amrnb", 8000),
    ("au", "pcm_alaw", 8000),
    ("aiff", "pcm_s16be", 8000),
)
_EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE)


@dataclass(frozen=True)
class End:
    """How one input ended: its code (`ok` for sound, `crash:...` for an error of the worker's own), and when."""

    code: str
    seconds: float


def main() -> None:
    """Fuzz and print the document."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true")
    options.add_argument("--inputs", type=int, default=2000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    document = fuzz(given.inputs, given.seed)
    sys.stdout.write(json.dumps(document, indent=2 if given.json else None) + "\n")
    sys.exit(any(document[key] for key in MUST_BE_ZERO))


def fuzz(input_count: int, seed: int) -> dict[str, object]:
    """Decode `input_count` broken recordings; the same seed makes the same inputs."""
    started_at = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Witness(Path(folder) / "planted.wav") as witness:
        recordings, texts = _recordings(Path(folder)), hostile_texts(witness)

        def run(number: int) -> End:
            content, name = broken(random.Random(f"{seed} {number}"), recordings, texts)
            place = Path(folder) / str(number)
            place.mkdir()
            path = place / name
            path.write_bytes(content)
            end = end_of(path)
            path.unlink()
            place.rmdir()
            return end

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            ends = list(pool.map(run, range(input_count)))
        document = summary(ends, witness)
    return document | {"seed": seed, "seconds": round(time.monotonic() - started_at, 1)}


def summary(ends: Sequence[End], witness: Witness) -> dict[str, object]:
    """The counts of a run."""
    codes = Counter(end.code for end in ends)
    return {
        "inputs": len(ends),
        "crashes": sum(count for code, count in codes.items() if code.startswith("crash:")),
        "hangs": sum(end.seconds > LIMITS.max_wall_s + GRACE_S for end in ends),
        "foreign_reads": witness.read_count,
        "is_reading_watched": witness.is_watching,
        "outbound_calls": witness.call_count,
        "unnamed_ends": sum(
            count for code, count in codes.items() if code not in NAMED and not code.startswith("crash:")
        ),
        "slowest_s": round(max((end.seconds for end in ends), default=0.0), 2),
        "ends": dict(codes.most_common()),
    }


def end_of(path: Path, limits: AudioLimits = LIMITS) -> End:
    """Decode the file as a worker would, and say how it ended."""
    started_at = time.monotonic()
    try:
        decoded = decode(path, limits=limits, scratch=path.parent)
        code = "ok" if decoded.audio.samples.shape[1] else "sound without a sample"
    except CallwiseError as error:
        code = error.code
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        code = f"crash:{type(error).__name__}"
    return End(code, time.monotonic() - started_at)


def hostile_texts(witness: Witness) -> list[bytes]:
    """Texts that a player would follow to the planted file or to the listening port."""
    targets = [str(witness.planted), f"file://{witness.planted}", "../planted.wav", "planted.wav"]
    targets += [f"{scheme}127.0.0.1:{witness.port}/x.wav" for scheme in ("http://", "tcp://", "rtsp://", "hls+http://")]
    targets += [f"concat:{witness.planted}|{witness.planted}", f"subfile,,start,0,end,0,,:{witness.planted}"]
    texts = []
    for target in targets:
        texts += [
            f"ffconcat version 1.0\nfile '{target}'\n",
            f'#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:9,\n{target}\n'
            "#EXT-X-ENDLIST\n",
            f"[playlist]\nFile1={target}\nNumberOfEntries=1\n",
            f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio {witness.port} RTP/AVP 0\n"
            f"a=control:{target}\n",
            f'<?xml version="1.0"?><MPD><Period><AdaptationSet><Representation><BaseURL>{target}</BaseURL>'
            "</Representation></AdaptationSet></Period></MPD>",
            f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "{target}">]><a>&x;</a>',
        ]
    return [text.encode() for text in texts]


def broken(source: random.Random, recordings: Sequence[bytes], texts: Sequence[bytes]) -> tuple[bytes, str]:
    """A recording (or, once in ten times, a text) after up to six mutations, and a name for it."""
    content = bytearray(source.choice(texts if source.random() < _TEXT_SHARE else recordings))
    for _ in range(source.randint(0, 6)):
        if content:
            source.choice(_MUTATIONS)(source, content, source.choice([*texts, *recordings]))
    return bytes(content), source.choice(_NAMES)


def _flip(source: random.Random, content: bytearray, _other: bytes) -> None:
    for _ in range(source.choice((1, 8, 200))):
        content[_somewhere(source, content)] ^= 1 << source.randrange(8)


def _make_extreme(source: random.Random, content: bytearray, _other: bytes) -> None:
    width = source.choice((1, 2, 4, 8))
    at = _somewhere(source, content)
    number = (source.choice(_EXTREMES) << source.choice((0, 0, 32))) & (1 << 8 * width) - 1
    content[at : at + width] = number.to_bytes(width, source.choice(("little", "big")))


def _cut_off(source: random.Random, content: bytearray, _other: bytes) -> None:
    del content[source.randrange(len(content)) :]


def _cut_out(source: random.Random, content: bytearray, _other: bytes) -> None:
    at = _somewhere(source, content)
    del content[at : at + source.choice((1, 7, 100, 5000))]


def _double(source: random.Random, content: bytearray, _other: bytes) -> None:
    at = _somewhere(source, content)
    content[at:at] = content[at : at + source.choice((4, 100, 5000))] * source.choice((1, 2, 50))


def _blank(source: random.Random, content: bytearray, _other: bytes) -> None:
    at, length = _somewhere(source, content), source.choice((4, 64, 4000))
    content[at : at + length] = source.choice((b"\0", b"\xff")) * length


def _plant(source: random.Random, content: bytearray, other: bytes) -> None:
    at, piece = _somewhere(source, content), other[:300]
    content[at : at + source.choice((0, len(piece)))] = piece


def _splice(source: random.Random, content: bytearray, other: bytes) -> None:
    content[source.randrange(len(content)) :] = other[source.randrange(max(1, len(other))) :]


_MUTATIONS: tuple[Callable[[random.Random, bytearray, bytes], None], ...] = (
    _flip,
    _make_extreme,
    _make_extreme,
    _cut_off,
    _cut_out,
    _double,
    _blank,
    _plant,
    _splice,
)


def _somewhere(source: random.Random, content: bytearray) -> int:
    """A place in the file, half of the time in its first bytes, where the headers are."""
    return source.randrange(min(len(content), source.choice((64, 512, 1 << 30))))


def _recordings(folder: Path) -> list[bytes]:
    """Some seconds of a bundled call as every kind that can be encoded here."""
    path = Path(samples.__file__).parent / "recordings" / "01-dishwasher-is-late.mp3"
    rows = np.array(decode(path).audio.samples[:, : _SECONDS * SPEECH_RATE_HZ])
    return [_encoded(folder / "encoded", rows, *kind) for kind in _ENCODED]


def _encoded(path: Path, rows: "np.typing.NDArray[np.int16]", container: str, codec: str, rate_hz: int) -> bytes:
    encode(
        path,
        [rows],
        container=container,
        codec=codec,
        rate_hz=rate_hz,
        given_rate_hz=SPEECH_RATE_HZ,
        layout="mono" if container == "amr" else "stereo",
    )
    content = path.read_bytes()
    path.unlink()
    return content


if __name__ == "__main__":
    main()
