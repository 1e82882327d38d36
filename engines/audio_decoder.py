"""The worker's side of decoding: asks the server of `audio_child` for a child, watches it, and names how it ended."""

import importlib.util
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from calls.errors import TransientError, UndecodableAudio

PROGRAM = Path(__file__).with_name("audio_child.py")
_START_TIMEOUT_S = 60.0
_LOOK_S = 0.25
# A loader that needs to be told where libraries are needs it in the child, too.
_KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_ENDED_FROM_OUTSIDE = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}


@dataclass(frozen=True)
class Wanted:
    """What a child is asked to do, and how much of everything it may use.

    Channel 1 is written `channel_bytes` behind channel 0; `max_samples` are those of one channel. A container that says
    it is longer than `max_declared_s` is not even begun (None: what it says is no reason). `max_stall_s` is how
    long no sound may come, `max_wall_s` how long all may take.
    """

    name: str
    demuxer: str
    rate_hz: int
    max_samples: int
    max_declared_s: float | None
    channel_bytes: int
    max_file_bytes: int
    max_memory_bytes: int
    max_wall_s: float
    max_stall_s: float


@dataclass(frozen=True)
class Found:
    """What a child says of the recording that it decoded. `declared_s` is the container's own word."""

    codec: str
    source_rate_hz: int
    source_channel_count: int
    declared_s: float | None
    channel_count: int
    sample_count: int
    bad_packet_count: int


class Decoder:
    """A decoding server of this process, started on first use and again when it is gone. Threads may share it."""

    def __init__(self, program: Path = PROGRAM) -> None:
        self._program = program
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def decode(self, source: BinaryIO, samples: BinaryIO, wanted: Wanted) -> Found:
        """Have `source` decoded into `samples`, two empty-handed files on disk.

        Raises UndecodableAudio (`corrupt`, `not_audio`, `empty`, `too_long`, `decoder_died`, `decoder_timed_out`),
        TransientError where somebody else ended the child, and OSError where the disk is full.
        """
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                self._ask(json.dumps(asdict(wanted)).encode(), [source.fileno(), samples.fileno(), theirs.fileno()])
            answers = _listen(ours, samples, wanted)
        return _found(answers)

    def close(self) -> None:
        """End the server and all of its children."""
        with self._lock:
            self._end()

    def _ask(self, request: bytes, files: list[int]) -> None:
        """Send a request; a server that died since the last one is replaced once."""
        with self._lock:
            for _ in range(2):
                control = self._control or self._start()
                try:
                    socket.send_fds(control, [request], files)
                    if control.recv(1) == b"+":
                        return
                except OSError:
                    pass
                self._end()
        raise TransientError("the decoder cannot be started", code="decoder_not_started")

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(_START_TIMEOUT_S)
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        # A folder that is gone as soon as it was entered: nobody can put anything where the child would look.
        with theirs, tempfile.TemporaryDirectory() as nowhere:
            self._server = subprocess.Popen(
                [sys.executable, "-I", "-S", str(self._program), str(_site_packages())],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=nowhere,
                # Every arena of the allocator counts against the child's memory, used or not.
                env={**environment, "MALLOC_ARENA_MAX": "2"},
                start_new_session=True,
            )
        self._control = ours
        return ours

    def _end(self) -> None:
        if self._control:
            self._control.close()
        if self._server:
            try:
                self._server.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()
        self._server, self._control = None, None


def decoder() -> Decoder:
    """The decoder of this process: one that was forked from another does not share that one's."""
    return _decoders.setdefault(os.getpid(), Decoder())


_decoders: dict[int, Decoder] = {}


def _site_packages() -> Path:
    """Where PyAV is installed; it is not loaded here."""
    found = importlib.util.find_spec("av")
    if found is None or not found.origin:
        raise TransientError("PyAV is not installed", code="decoder_not_started")
    return Path(found.origin).parent.parent


def _listen(asked: socket.socket, samples: BinaryIO, wanted: Wanted) -> list[dict[str, Any]]:
    """All that is answered until the child has ended. Raises UndecodableAudio (`decoder_timed_out`)."""
    started_at = moved_at = time.monotonic()
    size, said = 0, b""
    while True:
        readable, _, _ = select.select([asked], [], [], _LOOK_S)
        if readable:
            more = asked.recv(65536)
            if not more:
                return [json.loads(line) for line in said.splitlines()]
            said += more
        now, new_size = time.monotonic(), os.fstat(samples.fileno()).st_size
        if new_size != size:
            size, moved_at = new_size, now
        if now - moved_at > wanted.max_stall_s or now - started_at > wanted.max_wall_s:
            raise UndecodableAudio(f"no end after {now - started_at:.0f} s", code="decoder_timed_out")


def _found(answers: list[dict[str, Any]]) -> Found:
    """What the child found, or the error that it ended with."""
    exit_status = next((answer["exit"] for answer in answers if "exit" in answer), None)
    answer = next((answer for answer in answers if "exit" not in answer), None)
    if answer is None:
        raise _death(exit_status)
    if "errno" in answer:
        raise OSError(answer["errno"], os.strerror(answer["errno"]))
    if "code" in answer:
        raise UndecodableAudio(answer["detail"], code=answer["code"])
    return Found(**answer)


def _death(exit_status: int | None) -> Exception:
    """A child that said nothing: its own doing, or that of somebody who ended it."""
    if exit_status is None or exit_status in _ENDED_FROM_OUTSIDE:
        return TransientError("something ended the decoder while it was at work", code="decoder_died")
    if exit_status == -signal.SIGXCPU:
        return UndecodableAudio("it used more time of the processor than it may", code="decoder_timed_out")
    name = signal.Signals(-exit_status).name if exit_status < 0 else f"exit status {exit_status}"
    return UndecodableAudio(f"the decoder died of the recording ({name})", code="decoder_died")
