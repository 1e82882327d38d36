"""Which readings of calls stand in the audit log already, so that one that goes on is written down once."""

from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID

from crm.access import Viewer

# A player asks for a recording piece by piece, and a page is loaded again: within this time it is one reading.
ONE_READING = timedelta(minutes=10)


class Readings:
    """The readings that were written down lately, in this process's memory; the oldest of too many are forgotten."""

    def __init__(self, *, max_count: int = 20_000) -> None:
        self._max_count = max_count
        self._noted: OrderedDict[tuple[str, str, str, UUID], datetime] = OrderedDict()
        self._lock = Lock()

    def is_noted(self, viewer: Viewer, action: str, call_id: UUID, now: datetime) -> bool:
        """Whether this reading stands in the log already."""
        with self._lock:
            noted_at = self._noted.get(_key(viewer, action, call_id))
        return noted_at is not None and noted_at <= now < noted_at + ONE_READING

    def remember(self, viewer: Viewer, action: str, call_id: UUID, now: datetime) -> None:
        """This reading has been written down."""
        with self._lock:
            self._noted[_key(viewer, action, call_id)] = now
            self._noted.move_to_end(_key(viewer, action, call_id))
            while len(self._noted) > self._max_count:
                self._noted.popitem(last=False)


def _key(viewer: Viewer, action: str, call_id: UUID) -> tuple[str, str, str, UUID]:
    return str(viewer.user_id), viewer.name, action, call_id
