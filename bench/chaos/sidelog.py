"""The side log: what really happened, written by every process past all the machinery that is on trial.

One line a moment, appended with one write, so that a process that is killed has either written a line or not.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Names of the environment that the children are told by.
LOG, POINTS, NAME = "CHAOS_LOG", "CHAOS_POINTS", "CHAOS_NAME"


class SideLog:
    """Appends to the file that the environment names; any number of processes and threads do so at once."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, what: str, **facts: object) -> None:
        """One moment, now."""
        line = {"what": what, "at": time.monotonic(), "pid": os.getpid(), "who": os.environ.get(NAME, "")} | facts
        os.write(self._file, json.dumps(line).encode() + b"\n")


@dataclass
class Follower:
    """Reads a side log as it grows; each line once."""

    path: Path
    _offset: int = 0

    def new(self) -> Iterator[dict[str, Any]]:
        """The whole lines that came since the last time."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self._offset += len(line)
                yield json.loads(line)


class KillPoints:
    """Places in the code at which a process ends itself, each once: files that the harness makes and a process takes.

    A point is armed under the moment's name, `call.transcribe worked` or `intake committed`; its content says who dies:
    `child`, the process that takes it, or `group`, with everything that it belongs to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def arm(self, moment: str, whom: str) -> None:
        """The next process that comes by dies there."""
        part = self.folder / f".{moment}"
        part.write_text(whom)
        part.replace(self.folder / moment)

    def is_armed(self, moment: str) -> bool:
        """Whether nobody has come by yet."""
        return (self.folder / moment).exists()

    def disarm(self, moment: str) -> bool:
        """Take the point back; False when somebody has just taken it."""
        try:
            (self.folder / moment).unlink()
        except FileNotFoundError:
            return False
        return True

    def take(self, moment: str) -> str | None:
        """Who has to die here, said to one process; None nearly always."""
        mine = self.folder / f".{moment} {os.getpid()}"
        try:
            (self.folder / moment).rename(mine)
        except FileNotFoundError:
            return None
        return mine.read_text()
