"""Sign-in attempts are few: who fails too often waits."""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from threading import Lock


class LoginThrottle:
    """Counts failed sign-ins by key (a name at an address, an address, a name) within a window, in this process's
    memory. Each key comes with how many failures it may have.
    """

    def __init__(self, *, window: timedelta = timedelta(minutes=5), max_keys: int = 10_000) -> None:
        self._window = window
        self._max_keys = max_keys
        self._failures: dict[str, deque[datetime]] = {}
        self._lock = Lock()

    def wait_s(self, limits: Mapping[str, int], now: datetime) -> float:
        """Seconds until the next attempt is allowed; 0 when it is allowed now."""
        with self._lock:
            full = [key for key, limit in limits.items() if self._is_full(key, limit, now)]
            waits = [self._failures[key][0] + self._window - now for key in full]
        return max((wait.total_seconds() for wait in waits), default=0.0)

    def note_failure(self, limits: Mapping[str, int], now: datetime) -> None:
        """An attempt failed."""
        with self._lock:
            for key, limit in limits.items():
                # The oldest key goes first; a flood of made-up names must not fill the memory.
                while key not in self._failures and len(self._failures) >= self._max_keys:
                    del self._failures[next(iter(self._failures))]
                self._failures.setdefault(key, deque(maxlen=limit)).append(now)

    def forget(self, keys: Iterable[str]) -> None:
        """An attempt succeeded: what failed before it no longer counts."""
        with self._lock:
            for key in keys:
                self._failures.pop(key, None)

    def _is_full(self, key: str, limit: int, now: datetime) -> bool:
        failures = self._failures.get(key)
        return failures is not None and len(failures) == limit and failures[0] > now - self._window
