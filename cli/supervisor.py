"""The embedded set-up's processes: started together, restarted when one dies, drained together; one set per home."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from calls.errors import CallwiseError
from cli.lifeline import LIFELINE

DRAIN_S = 30.0
LONGEST_PAUSE_S = 30.0


class AlreadyRunning(CallwiseError):
    """Another set of processes serves this home."""

    code = "already_running"


@dataclass
class _Child:
    name: str
    arguments: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    started: float = 0.0
    restart_at: float = 0.0


@dataclass
class Supervisor:
    """Runs `callwise NAME ...` for each child and keeps them running until `stop`.

    `environment` is the children's whole environment; their output goes to `home/logs/NAME.log`.
    """

    home: Path
    environment: Mapping[str, str]
    _children: list[_Child] = field(default_factory=list)
    _lock_file: IO[str] | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def claim_home(self) -> None:
        """Hold the home for this set of processes. Raises AlreadyRunning when another set holds it."""
        self.home.mkdir(parents=True, exist_ok=True)
        lock = (self.home / "up.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "another process"
            raise AlreadyRunning(
                f"{holder} already serves {self.home}: stop it first, or choose another --home"
            ) from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        self._lock_file = lock

    def start(self, name: str, *arguments: str) -> None:
        """Start one child."""
        child = _Child(name, arguments)
        self._children.append(child)
        self._launch(child)

    def keep_running(self, tell: Callable[[str], None]) -> None:
        """Restart what dies, with a pause that grows, until `end_soon` is called; `tell` gets one line for each
        death.
        """
        while not self._ended.wait(0.2):
            for line in self.restart_dead():
                tell(line)

    def restart_dead(self) -> list[str]:
        """Look once at every child; returns one line for each that had died."""
        lines = []
        now = time.monotonic()
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                # A child that ran for a while gets a fresh start; one that dies at once is not restarted in a tight
                # loop.
                child.deaths = 1 if now - child.started > 60 else child.deaths + 1
                pause = min(0.5 * 2 ** (child.deaths - 1), LONGEST_PAUSE_S)
                child.restart_at = now + pause
                lines.append(
                    f"{child.name} ended with {child.process.returncode}, restarting in {pause:g} s"
                    f" (see {self.log_path(child.name)})"
                )
                child.process = None
            if child.process is None and now >= child.restart_at:
                self._launch(child)
        return lines

    def log_path(self, name: str) -> Path:
        """Where a child's output goes."""
        return self.home / "logs" / f"{name}.log"

    def end_soon(self, *_: object) -> None:
        """Ask `keep_running` to return: fit for a signal handler."""
        self._ended.set()

    def stop(self) -> None:
        """Let every child finish what it is doing, kill what does not within DRAIN_S, and give the home back."""
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + DRAIN_S
        for process in running:
            try:
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._children.clear()
        if self._lock_file:
            self._lock_file.close()
            self._lock_file = None

    def _launch(self, child: _Child) -> None:
        path = self.log_path(child.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            child.process = subprocess.Popen(
                [sys.executable, "-m", "cli", child.name, *child.arguments],
                env=dict(self.environment) | {LIFELINE: "1"},
                # Never written to: its end tells the child that nobody supervises it any more.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches this process alone, which then drains the children in order
            )
        child.started = time.monotonic()
