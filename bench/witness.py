"""A file that nobody should read and a port that nobody should call, and whether somebody did."""

import ctypes
import os
import select
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

_IN_ACCESS, _IN_OPEN = 0x1, 0x20
_EVENT_BYTES = 16


class Witness:
    """Plants `planted`, a WAV of full-scale sound, and listens on a port of the loopback interface while it is entered.

    `read_count` counts openings and readings of the file, `call_count` connections. The kernel tells of readings on
    Linux alone (inotify): elsewhere `is_watching` is False.
    """

    def __init__(self, planted: Path) -> None:
        self.planted = planted
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._calls = 0
        self._reads = 0
        self._ended = threading.Event()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._watch = -1

    def __enter__(self) -> Self:
        body = b"\xff\x7f\x00\x80" * 8000
        header = b"RIFF" + (36 + len(body)).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\x01\0\x01\0"
        rates = (8000).to_bytes(4, "little") + (16000).to_bytes(4, "little")
        self.planted.write_bytes(header + rates + b"\x02\0\x10\0data" + len(body).to_bytes(4, "little") + body)
        self._watch = _watch(self.planted)
        self._listener.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._listener.join()
        self._server.close()
        if self._watch >= 0:
            os.close(self._watch)

    @property
    def is_watching(self) -> bool:
        """Whether readings of the file are told."""
        return self._watch >= 0

    @property
    def read_count(self) -> int:
        """How often the planted file was opened or read."""
        while self.is_watching and select.select([self._watch], [], [], 0)[0]:
            # An event on a file that is watched by itself carries no name.
            self._reads += len(os.read(self._watch, 64 * 1024)) // _EVENT_BYTES
        return self._reads

    @property
    def call_count(self) -> int:
        """How many connections came to the port."""
        return self._calls

    def _listen(self) -> None:
        while not self._ended.is_set():
            if select.select([self._server], [], [], 0.05)[0]:
                connection, _ = self._server.accept()
                self._calls += 1
                connection.close()


def _watch(path: Path) -> int:
    """A descriptor that tells of openings and readings of the file; -1 where there is no such thing."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "inotify_init1"):
        return -1
    descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor >= 0 and libc.inotify_add_watch(descriptor, os.fsencode(path), _IN_ACCESS | _IN_OPEN) < 0:
        os.close(descriptor)
        return -1
    return descriptor
