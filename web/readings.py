"""Readings of calls on their way to the audit log: one that goes on is written once, and many at once together."""

from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID

from crm.access import Viewer
from crm.audit import Deed, note_all
from crm.database import Database

# A player asks for a recording piece by piece, and a page is loaded again: within this time it is one reading.
ONE_READING = timedelta(minutes=10)


class _Reading:
    """One deed that a request waits for."""

    def __init__(self, deed: Deed) -> None:
        self.deed = deed
        self.is_written = False
        self.error: Exception | None = None


class Readings:
    """What was written down lately stands in this process's memory; the oldest of too many are forgotten."""

    def __init__(self, *, max_count: int = 20_000) -> None:
        self._max_count = max_count
        self._noted: OrderedDict[tuple[str, str, str, UUID], datetime] = OrderedDict()
        self._pending: list[_Reading] = []
        self._lock = Lock()
        self._turn = Lock()

    def note(self, database: Database, viewer: Viewer, action: str, call_id: UUID, now: datetime) -> None:
        """Return when the reading stands in the log. Raises what kept it from being written."""
        key = (str(viewer.user_id), viewer.name, action, call_id)
        with self._lock:
            noted_at = self._noted.get(key)
            if noted_at is not None and noted_at <= now < noted_at + ONE_READING:
                return
            reading = _Reading(Deed(viewer, action, now, call_id))
            self._pending.append(reading)
        # Whoever gets the turn writes for all who wait: the log takes one transaction after another, and with one for
        # each of many requests at once they would queue for it.
        with self._turn:
            if not reading.is_written and reading.error is None:
                self._write(database)
        if reading.error is not None:
            raise reading.error
        with self._lock:
            self._noted[key] = now
            self._noted.move_to_end(key)
            while len(self._noted) > self._max_count:
                self._noted.popitem(last=False)

    def _write(self, database: Database) -> None:
        with self._lock:
            together, self._pending = self._pending, []
        try:
            with database.write() as connection:
                note_all(connection, [reading.deed for reading in together])
        except Exception as error:  # noqa: BLE001 - each of those who wait raises it
            for reading in together:
                reading.error = error
            return
        for reading in together:
            reading.is_written = True
