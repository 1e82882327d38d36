"""How fast recordings become samples, and in how much memory, for ten minutes and for six hours.

    python -m bench.speech_decode --json [--minutes 10 360] [--formats mulaw mp3] [--spans]
    python -m bench.speech_decode --json --formats silence --minutes 1440

The recordings are the first minute of a bundled call over and over, two channels at 8 kHz; `silence` is a FLAC of
nothing but zeros. Time is that of `decode` as a worker calls it: the child, splitting, resampling to 16 kHz, the
loudness of each channel and the search for a copied one. Memory is what this process and all under it hold at the most
(resident), above what they hold after a recording of a second; it is looked at every 20 ms, and pages that are shared
count for each.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import samples
from bench.encoding import encode
from calls.errors import UndecodableAudio
from engines.audio import decode, speech_spans
from engines.speech import SPEECH_RATE_HZ

RATE_HZ = 8000
_KINDS = {
    "mulaw": ("wav", "pcm_mulaw"),
    "pcm": ("wav", "pcm_s16le"),
    "mp3": ("mp3", "libmp3lame"),
    "flac": ("flac", "flac"),
    "silence": ("flac", "flac"),
}
_LOOK_S = 0.02
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Measure and print the document."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true")
    options.add_argument("--minutes", type=int, nargs="*", default=[10, 360])
    options.add_argument("--formats", nargs="*", default=["mulaw", "mp3"], choices=[*_KINDS])
    options.add_argument("--spans", action="store_true", help="find the speech in them, too")
    options.add_argument("--folder", type=Path, help="where there is room for some gigabytes")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        runs = [
            _measure(Path(folder), name, minutes, spans=given.spans)
            for name in given.formats
            for minutes in given.minutes
        ]
    sys.stdout.write(json.dumps(runs, indent=2 if given.json else None) + "\n")


def _measure(folder: Path, name: str, minutes: int, *, spans: bool) -> dict[str, object]:
    short, path = folder / "short", folder / "recording"
    rows = np.zeros((2, 60 * RATE_HZ), np.int16) if name == "silence" else _minute()
    _write(short, rows[:, :RATE_HZ], name, 1)
    _write(path, rows, name, minutes)
    decode(short, scratch=folder)
    with _memory() as memory:
        started_at, cpu_before_s = time.monotonic(), _cpu_s()
        try:
            decoded, ends = decode(path, scratch=folder), "ok"
        except UndecodableAudio as error:
            decoded, ends = None, error.code
        seconds, cpu_s = time.monotonic() - started_at, _cpu_s() - cpu_before_s
        found: dict[str, object] = {
            "format": name,
            "minutes": minutes,
            "file_mb": round(path.stat().st_size / 1e6, 1),
            "ends": ends,
            "seconds": round(seconds, 2),
        }
    found["rss_above_base_mb"] = memory.above_base_mb()
    if decoded:
        found["decode_x_realtime"] = round(decoded.decoded_s / seconds)
        found["decode_x_realtime_by_cpu"] = round(decoded.decoded_s / cpu_s)
    if decoded and spans:
        with _memory() as memory:
            started_at = time.monotonic()
            speech = speech_spans(decoded.audio)
            found["spans_x_realtime"] = round(decoded.decoded_s / (time.monotonic() - started_at))
        found["spans"] = sum(len(channel) for channel in speech)
        found["spans_rss_above_base_mb"] = memory.above_base_mb()
    return found


class _Memory:
    """The least and the most that this process and its children held."""

    def __init__(self) -> None:
        self.base = self.most = resident_bytes()

    def above_base_mb(self) -> float:
        """Megabytes."""
        return round((self.most - self.base) / 1e6, 1)


@contextmanager
def _memory() -> Iterator[_Memory]:
    memory, ended = _Memory(), threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_S):
            memory.most = max(memory.most, resident_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield memory
    finally:
        ended.set()
        watcher.join()


@dataclass(frozen=True)
class _Process:
    """A running process: `ended_ticks` are those of the processor that its own ended children used."""

    pid: int
    parent: int
    resident_bytes: int
    ended_ticks: int


def _processes() -> Iterator[_Process]:
    """All processes of this machine. Source of the places: proc(5)."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            pages = int((entry / "statm").read_text().split()[1])
        except OSError:
            continue
        yield _Process(int(entry.name), int(stat[1]), pages * _PAGE_BYTES, int(stat[13]) + int(stat[14]))


def resident_bytes() -> int:
    """What this process and all under it hold in memory; pages that a child shares with its parent count twice."""
    running = list(_processes())
    ours, found = {os.getpid()}, 0
    while ours:
        found += sum(process.resident_bytes for process in running if process.pid in ours)
        ours = {process.pid for process in running if process.parent in ours}
    return found


def _cpu_s() -> float:
    """Seconds of the processor that this process has used, and those children of its children that have ended."""
    ticks = 0
    for child in _processes():
        if child.parent == os.getpid():
            ticks += child.ended_ticks
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def _minute() -> NDArray[np.int16]:
    """The first minute of a bundled call, at 8 kHz; a shorter one is repeated."""
    path = Path(samples.__file__).parent / "recordings" / "01-dishwasher-is-late.mp3"
    rows = np.array(decode(path).audio.samples[:, ::2])
    return np.tile(rows, 2)[:, : 60 * SPEECH_RATE_HZ // 2]


def _write(path: Path, rows: NDArray[np.int16], name: str, times: int) -> None:
    """The rows `times` over, without ever having all of them."""
    container, codec = _KINDS[name]
    encode(path, repeat(rows, times), container=container, codec=codec, rate_hz=RATE_HZ, given_rate_hz=RATE_HZ)


if __name__ == "__main__":
    main()
