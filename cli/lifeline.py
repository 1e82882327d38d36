"""Children end with their supervisor, even when it is killed: a pipe that it alone holds open says that it lives."""

import os
import signal
import sys
import threading

# Set by the supervisor for its children, whose standard input is the pipe.
LIFELINE = "CALLWISE_LIFELINE"


def hold_lifeline() -> None:
    """Where this process has a supervisor, end as by SIGTERM when that is gone."""
    if os.environ.pop(LIFELINE, ""):
        threading.Thread(target=_wait, name="lifeline", daemon=True).start()


def _wait() -> None:
    # Nobody writes: this returns when the last holder of the other end is gone.
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)
