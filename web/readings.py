"""Readings of calls on their way to the audit log: one that goes on is written once, and many at once together."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Event, Lock
from uuid import UUID

from calls.errors import TransientError
from crm.access import Viewer
from crm.audit import Deed, note_all
from crm.database import Database

# A player asks for a recording piece by piece, and a page is loaded again: within this time it is one reading.
ONE_READING = timedelta(minutes=10)


_Key = tuple[str, str, str, UUID | None]


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
        self._noted: OrderedDict[_Key, datetime] = OrderedDict()
        self._open = _Batch()
        self._lock = Lock()
        self._turn = Lock()

    def note(self, database: Database, viewer: Viewer, action: str, call_id: UUID, now: datetime) -> None:
        """Return when the reading stands in the log. Raises what kept it from being written."""
        self.note_all(database, [Deed(viewer, action, now, call_id)])

    def note_all(self, database: Database, deeds: Sequence[Deed]) -> None:
        """Return when these readings stand in the log, in their order. Raises what kept them from being written."""
        with self._lock:
            new = {_key(deed): deed for deed in deeds if not self._is_noted(deed)}
            if not new:
                return
            batch = self._open
            is_first = not batch.deeds
            batch.deeds.extend(new.values())
        # Whoever came first writes for all who come until the log is free: it takes one transaction after another, and
        # with one for each of many requests at once they would queue for it.
        if is_first:
            self._write(database, batch)
        else:
            batch.is_over.wait()
        if not batch.is_written:
            raise batch.error or TransientError("the reading was not written down", code="not_written")
        with self._lock:
            for key, deed in new.items():
                self._noted[key] = deed.at
                self._noted.move_to_end(key)
            while len(self._noted) > self._max_count:
                self._noted.popitem(last=False)

    def _is_noted(self, deed: Deed) -> bool:
        noted_at = self._noted.get(_key(deed))
        return noted_at is not None and noted_at <= deed.at < noted_at + ONE_READING

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


def _key(deed: Deed) -> _Key:
    return str(deed.viewer.user_id), deed.viewer.name, str(deed.action), deed.call_id
