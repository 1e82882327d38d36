"""Where the meters of deployments are kept (calls.pacing): what any place must do, and the one in memory."""

import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from calls.meter import Meter

Result = TypeVar("Result")


class Meters(Protocol):
    """Where the meters are kept that all workers share. A meter that nobody has changed yet is Meter()."""

    def change(self, name: str, step: Callable[[Meter, float], tuple[Meter, Result]]) -> Result:
        """Replace the meter by what `step` makes of it at this moment (seconds), and return what else it says.

        Nobody else changes the meter meanwhile; `step` may be called more than once. Raises TransientError where the
        meters cannot be reached.
        """

    def read(self, name: str) -> tuple[Meter, float]:
        """The meter, and the moment (seconds). Raises TransientError."""


class MemoryMeters:
    """Meters of one process: for its own use alone, and for tests, which set `clock`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._meters: dict[str, Meter] = {}
        self._lock = threading.Lock()

    def change(self, name: str, step: Callable[[Meter, float], tuple[Meter, Result]]) -> Result:
        """See Meters."""
        with self._lock:
            self._meters[name], result = step(self._meters.get(name, Meter()), self._clock())
        return result

    def read(self, name: str) -> tuple[Meter, float]:
        """See Meters."""
        return self._meters.get(name, Meter()), self._clock()
