"""Sign-in attempts are few: who fails too often waits, whichever process is asked."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from crm.database import Database
from crm.sign_in_failures import forget_failures, full_since, has_failures, note_failures


class LoginThrottle:
    """Counts failed sign-ins by key (a name at an address, an address, a name) within a window, in the database. Each
    key comes with how many failures it may have. Nothing is written but where an attempt fails, or succeeds after one.
    """

    def __init__(self, database: Database, *, window: timedelta = timedelta(minutes=5)) -> None:
        self._database = database
        self._window = window

    def wait_s(self, limits: Mapping[str, int], now: datetime) -> float:
        """Seconds until the next attempt is allowed; 0 when it is allowed now."""
        with self._database.read() as connection:
            since = full_since(connection, limits, now - self._window)
        return 0.0 if since is None else (since + self._window - now).total_seconds()

    def note_failure(self, limits: Mapping[str, int], now: datetime) -> None:
        """An attempt failed."""
        with self._database.write() as connection:
            note_failures(connection, limits, now, since=now - self._window)

    def forget(self, keys: Collection[str]) -> None:
        """An attempt succeeded: what failed before it no longer counts."""
        with self._database.read() as connection:
            if not has_failures(connection, keys):
                return
        with self._database.write() as connection:
            forget_failures(connection, keys)
