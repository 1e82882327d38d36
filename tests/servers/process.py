"""Child processes of the tests: free ports, readiness, logs, an end."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event
from time import monotonic
from typing import NoReturn

import pytest

# A guard in the server's process group reads from us; when we are gone, however that came, it ends the group.
_GUARDED = 'exec 3<&0; (read -r _ <&3; kill -KILL 0) & exec "$@" </dev/null 3<&-'

START_DEADLINE_S = 90.0
STOP_DEADLINE_S = 20.0


def wait_until(condition: Callable[[], object], *, what: str, deadline_s: float = 30.0, poll_s: float = 0.02) -> None:
    """Return as soon as `condition` holds; fail the test, naming `what`, when it does not within the deadline."""
    ends_at = monotonic() + deadline_s
    pause = Event()
    while not condition():
        if monotonic() > ends_at:
            raise AssertionError(f"not within {deadline_s:g} s: {what}")
        pause.wait(poll_s)


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int) -> bool:
    """Whether somebody listens on that port of the loopback interface."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def missing(what: str, install: str) -> NoReturn:
    """Skip the test that needs `what`, with the way to install it; in CI (CALLWISE_REQUIRE_SERVERS=1) fail it."""
    text = f"{what} is not installed: {install}"
    if os.environ.get("CALLWISE_REQUIRE_SERVERS") == "1":
        pytest.fail(text)
    pytest.skip(text)


def find_program(name: str, *folders: str) -> Path | None:
    """The program in one of `folders` (patterns; the last match wins) or, when it is in none of them, on the PATH."""
    for pattern in folders:
        matches = sorted(path / name for path in Path("/").glob(pattern.lstrip("/")) if (path / name).is_file())
        if matches:
            return matches[-1]
    found = shutil.which(name)
    return Path(found) if found else None


class ServerProcess:
    """One server as a child of its own process group, with a private folder that goes when it is closed."""

    def __init__(self, name: str) -> None:
        self.name = name
        # The port of the loopback interface that it serves, 0 while it has none.
        self.port = 0
        self.folder = Path(tempfile.mkdtemp(prefix=f"callwise-{name}-"))
        self.log_path = self.folder / "server.log"
        self._child: subprocess.Popen[bytes] | None = None

    def launch(
        self,
        command: Sequence[str | Path],
        *,
        is_ready: Callable[[], bool],
        env: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        """Start the command and return when it is ready. Raises AssertionError with the end of its log when it dies."""
        with self.log_path.open("ab") as log:
            self._child = subprocess.Popen(
                ["/bin/sh", "-c", _GUARDED, self.name, *map(str, command)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=self.folder,
                start_new_session=True,
                user=user,
                extra_groups=[] if user else None,
            )
        child = self._child

        def ready_or_dead() -> bool:
            if child.poll() is not None:
                raise AssertionError(f"{self.name} ended with {child.returncode}:\n{self.log_tail()}")
            return is_ready()

        try:
            wait_until(ready_or_dead, what=f"{self.name} is ready", deadline_s=START_DEADLINE_S)
        except AssertionError:
            self.kill()
            raise

    def kill(self, signal_number: int = signal.SIGKILL) -> None:
        """End the server and everything it started, and wait for the end."""
        if self._child is None:
            return
        try:
            os.killpg(self._child.pid, signal_number)
            self._child.wait(STOP_DEADLINE_S)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait(STOP_DEADLINE_S)
        if self._child.stdin:
            self._child.stdin.close()
        self._child = None
        # What it started may outlive it for a moment, and still answer.
        if self.port:
            wait_until(lambda: not answers(self.port), what=f"{self.name} is gone", deadline_s=STOP_DEADLINE_S)

    def close(self) -> None:
        """End the server and remove its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_tail(self) -> str:
        """The last lines that the server wrote."""
        return self.log_path.read_text(errors="replace")[-3000:] if self.log_path.exists() else ""
