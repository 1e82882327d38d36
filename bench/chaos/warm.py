"""Processes that start warm: forked from one that has imported everything, so that a start takes a moment.

What they do is what `python -m MODULE` does. The proof in CI starts a hundred of them; figures of recovery come from
cold starts.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_IMPORTED = (
    "bench.chaos.engines",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "celery.concurrency.thread",
    "cli.main",
    "kombu.transport.memory",
    "kombu.transport.pyamqp",
    "psycopg",
    "runtime.listening",
    "sqlalchemy.dialects.sqlite",
    "workers.run",
    "workers.tasks",
)
# Ends the process and what it has started when we are gone, however that came.
_GUARD = "read -r _; kill -KILL 0"


class WarmProcess:
    """As much of subprocess.Popen as a supervisor needs."""

    def __init__(
        self, name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload(list(_IMPORTED))
        self._process = forks.Process(target=_become, args=(module, list(arguments), dict(environment), log), name=name)
        self._process.start()

    @property
    def pid(self) -> int:
        """The process, and its group."""
        return self._process.pid or 0

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def wait(self, timeout: float) -> None:
        """Wait for its end. Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)


def _become(module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("ab") as output, Path(os.devnull).open("rb") as nothing:
        for source, number in ((nothing, 0), (output, 1), (output, 2)):
            os.dup2(source.fileno(), number)
    parent = multiprocessing.parent_process()
    assert parent is not None
    guard = subprocess.Popen(["/bin/sh", "-c", _GUARD], stdin=parent.sentinel)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        guard.kill()
