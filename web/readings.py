"""Readings of calls on their way to the audit log: one that goes on is written once, and many at once together."""

from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Event, Lock
from uuid import UUID

from calls.errors import TransientError
from crm.access import Viewer
from crm.audit import Deed, note_all
from crm.database import Database

# A player asks for a recording piece by piece, and a page is loaded again: within this time it is one reading.
ONE_READING = timedelta(minutes=10)


class _Batch:
    """Deeds that are written together; each request that brought one waits for all of them."""

    def __init__(self) -> None:
        self.deeds: list[Deed] = []
        self.is_over = Event()
        self.is_written = False
        self.error: Exception | None = None


class Readings:
    """What was written down lately stands in this process's memory; the oldest of too many are forgotten."""

    def __init__(self, *, max_count: int = 20_000) -> None:
        self._max_count = max_count
        self._noted: OrderedDict[tuple[str, str, str, UUID], datetime] = OrderedDict()
        self._open = _Batch()
        self._lock = Lock()
        self._turn = Lock()

    def note(self, database: Database, viewer: Viewer, action: str, call_id: UUID, now: datetime) -> None:
        """Return when the reading stands in the log. Raises what kept it from being written."""
        key = (str(viewer.user_id), viewer.name, action, call_id)
        with self._lock:
            noted_at = self._noted.get(key)
            if noted_at is not None and noted_at <= now < noted_at + ONE_READING:
                return
            batch = self._open
            batch.deeds.append(Deed(viewer, action, now, call_id))
            is_first = len(batch.deeds) == 1
        # Whoever came first writes for all who come until the log is free: it takes one transaction after another, and
        # with one for each of many requests at once they would queue for it.
        if is_first:
            self._write(database, batch)
        else:
            batch.is_over.wait()
        if not batch.is_written:
            raise batch.error or TransientError("the reading was not written down", code="not_written")
        with self._lock:
            self._noted[key] = now
            self._noted.move_to_end(key)
            while len(self._noted) > self._max_count:
                self._noted.popitem(last=False)

    def _write(self, database: Database, batch: _Batch) -> None:
        try:
            with self._turn, database.write() as connection:
                self._close(batch)
                note_all(connection, batch.deeds)
            batch.is_written = True
        except Exception as error:  # noqa: BLE001 - each of those who wait raises it
            batch.error = error
        finally:
            self._close(batch)
            batch.is_over.set()

    def _close(self, batch: _Batch) -> None:
        """Whoever comes from now on is of the next one."""
        with self._lock:
            if self._open is batch:
                self._open = _Batch()
