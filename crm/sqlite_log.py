"""SQLite's log (`-wal`), written into the database beside those who write."""

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock, Thread
from time import monotonic

from crm.forks import UNFORKED

# A page that several batches write goes into the database once: the log grows to so many pages, 64 MB, in place of
# SQLite's 1000.
LONG = 4000
# Where nobody does it beside them, since a reader holds the log or a process died, whoever commits does it.
TOO_LONG = 8000
_LOOK_S = 0.05
# What is committed meanwhile is written in the next round, which is shorter each time.
_ROUNDS = 5
# Of the log, and of each page in it: https://www.sqlite.org/fileformat2.html#walformat
_LOG_HEADER = 32
_PAGE_HEADER = 24


class LogKeeper:
    """Has a long log written into the database by a thread that lives as long as this takes: it waits for the disk,
    for which whoever committed last would wait otherwise, up to a fifth of a second.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._log = Path(f"{database}-wal")
        self._look_at = 0.0
        self._starting = Lock()
        self._thread: Thread | None = None

    def committed(self) -> None:
        """Begin where the log is long; says nothing of how it ends."""
        if monotonic() < self._look_at:
            return
        with self._starting:
            self._look_at = monotonic() + _LOOK_S
            if (self._thread is None or not self._thread.is_alive()) and has_pages(self._log, LONG):
                thread = Thread(target=self._write, name="sqlite-log")
                # A process that is at its end, or has too many, gets no thread; what was committed is committed.
                with suppress(RuntimeError):
                    thread.start()
                    self._thread = thread

    def wait(self) -> None:
        """Until nothing is being written."""
        if self._thread is not None:
            self._thread.join()

    def _write(self) -> None:
        address = f"{self._database.as_uri()}?mode=rw"
        # A full disk, say: those who write will meet it, and tell.
        with UNFORKED, suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True)) as connection:
            for _ in range(_ROUNDS):
                # PASSIVE keeps nobody from reading or writing.
                is_busy, page_count, written_count = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                if is_busy or page_count == written_count:
                    # Another process does it, or whoever writes next begins the log anew.
                    return


def has_pages(log: Path, count: int) -> bool:
    """Whether the log holds so many pages since it was begun anew. Its file does not get shorter then: pages of before
    are known by another salt than the log has now.
    """
    try:
        with log.open("rb", buffering=0) as file:
            begin = file.read(_LOG_HEADER)
            page_size = int.from_bytes(begin[8:12], "big")
            file.seek(_LOG_HEADER + (count - 1) * (_PAGE_HEADER + page_size))
            page = file.read(_PAGE_HEADER)
    except FileNotFoundError:
        return False
    return len(page) == _PAGE_HEADER and page[8:16] == begin[16:24]
