"""`callwise` processes for end-to-end tests: the real command, its own environment, its output kept in a file."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.process import STOP_DEADLINE_S

# A demo takes 90 s of two quiet cores; what hangs is told from what shares them with other tests.
GIVE_UP_S = 900


def environment(home: Path, **settings: str) -> dict[str, str]:
    """This machine's environment without any settings of ours, and these instead. Whatever else is installed here, the
    offline engine hears: its words for the bundled recordings are known.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLWISE_")}
    return kept | {"CALLWISE_HOME": str(home), "CALLWISE_SPEECH__ENGINE": "offline"} | settings


def callwise(*arguments: str, environment: Mapping[str, str], code: int = 0, timeout_s: float = GIVE_UP_S) -> str:
    """Run a command to its end; returns its stdout. The exit code must be `code`."""
    done = subprocess.run(  # noqa: PLW1510 - the code is compared below, with the output in the message
        [sys.executable, "-m", "cli", *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == code, f"callwise {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}"
    return done.stdout


def callwise_json(*arguments: str, environment: Mapping[str, str], code: int = 0) -> Any:
    """Run a reading command with --json; returns its document."""
    return json.loads(callwise(*arguments, "--json", environment=environment, code=code))


@contextmanager
def running(*arguments: str, environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours that runs until the block ends, and is then asked to stop."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", *arguments], env=dict(environment), stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
