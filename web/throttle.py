"""Sign-in attempts are few: who fails too often waits."""

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from threading import Lock


class LoginThrottle:
    """Counts failed sign-ins by key (an address, a name at an address) within a window, in this process's memory."""

    def __init__(self, *, limit: int = 5, window: timedelta = timedelta(minutes=5), max_keys: int = 10_000) -> None:
        self._limit = limit
        self._window = window
        self._max_keys = max_keys
        self._failures: dict[str, deque[datetime]] = {}
        self._lock = Lock()

    def wait_s(self, keys: Iterable[str], now: datetime) -> float:
        """Seconds until the next attempt is allowed; 0 when it is allowed now."""
        with self._lock:
            waits = [self._oldest_counted(key, now) + self._window - now for key in keys if self._is_full(key, now)]
        return max((wait.total_seconds() for wait in waits), default=0.0)

    def note_failure(self, keys: Iterable[str], now: datetime) -> None:
        """An attempt failed."""
        with self._lock:
            for key in keys:
                # The oldest key goes first; a flood of made-up names must not fill the memory.
                while key not in self._failures and len(self._failures) >= self._max_keys:
                    del self._failures[next(iter(self._failures))]
                self._failures.setdefault(key, deque(maxlen=self._limit)).append(now)

    def forget(self, keys: Iterable[str]) -> None:
        """An attempt succeeded: what failed before it no longer counts."""
        with self._lock:
            for key in keys:
                self._failures.pop(key, None)

    def _is_full(self, key: str, now: datetime) -> bool:
        failures = self._failures.get(key)
        return failures is not None and len(failures) == self._limit and failures[0] > now - self._window

    def _oldest_counted(self, key: str, now: datetime) -> datetime:
        return self._failures[key][0] if key in self._failures else now
