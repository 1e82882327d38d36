"""Processes as a supervisor keeps them: each in a group of its own, started again when it dies."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bench.chaos.sidelog import NAME
from bench.chaos.warm import WarmProcess

STOP_S = 30.0
# A guard in the group reads from us; when we are gone, however that came, it ends the group.
_GUARDED = 'exec 3<&0; (read -r _ <&3; kill -KILL 0) & exec "$@" </dev/null 3<&-'


class Kept:
    """One command that runs until `close`, whatever happens to it. `name` tells its lines in the side log."""

    def __init__(
        self,
        name: str,
        module: str,
        *arguments: str,
        environment: Mapping[str, str],
        logs: Path,
        is_warm: bool = False,
    ) -> None:
        self.name = name
        self._module, self._arguments = module, arguments
        self._is_warm = is_warm
        self._environment = dict(environment) | {NAME: name}
        self._log_path = logs / f"{name}.log"
        self._lock = threading.Lock()
        self._ended = False
        self.starts: list[float] = []
        self._process = self._launch()

    @property
    def pid(self) -> int:
        """The process that was started last."""
        return self._process.pid

    @property
    def is_up(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def keep(self) -> bool:
        """Start it again if it has ended; returns whether that was so."""
        with self._lock:
            if self._ended or self.is_up:
                return False
            self._end_group()
            self._process = self._launch()
            return True

    def children(self) -> list[int]:
        """The processes that it has started, such as those of a pool, without the guard."""
        return [pid for pid in self._started() if not _is_guard(pid)]

    def kill(self) -> None:
        """SIGKILL for the process and everything that it has started."""
        with self._lock:
            self._end_group()
            self._process.wait(STOP_S)

    def signal_group(self, number: int) -> None:
        """A signal for the process and everything that it has started."""
        os.killpg(self.pid, number)

    def ask_to_stop(self) -> None:
        """SIGTERM, and no further start."""
        with self._lock:
            self._ended = True
            if self.is_up:
                self._process.terminate()

    def close(self) -> None:
        """Stop: it may finish what it does."""
        self.ask_to_stop()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        self._end_group()
        self._process.wait(STOP_S)
        if isinstance(self._process, subprocess.Popen) and self._process.stdin:
            self._process.stdin.close()

    def _launch(self) -> "subprocess.Popen[bytes] | WarmProcess":
        self.starts.append(time.monotonic())
        if self._is_warm:
            return WarmProcess(self.name, self._module, self._arguments, self._environment, self._log_path)
        command = [sys.executable, "-m", self._module, *self._arguments]
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                ["/bin/sh", "-c", _GUARDED, self.name, *command],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _started(self) -> list[int]:
        # Each thread has the children that it has forked: a pool's supervisor is a thread of its own.
        found: list[int] = []
        for path in Path(f"/proc/{self.pid}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, path.read_text().split())
        return found

    def _end_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _is_guard(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "sh"
    except OSError:
        return True


class Supervisor:
    """Keeps any number of commands running; a thread looks at them many times a second."""

    def __init__(self, kept: Sequence[Kept]) -> None:
        self.kept = {one.name: one for one in kept}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop everything, side by side."""
        self._ended.set()
        self._thread.join(STOP_S)
        for one in self.kept.values():
            one.ask_to_stop()
        for one in self.kept.values():
            one.close()

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            for one in self.kept.values():
                one.keep()
