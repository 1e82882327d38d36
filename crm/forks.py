"""No process is forked while a thread of it holds what the child would find held for ever, by a thread it has not got.

So with SQLite, which keeps a process's own locks in its memory, for all connections to a file: the child would never
write (https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_across_a_fork_). So with a line of the log
that is being written: the child would wait with its first line.
"""

import os
from threading import Condition
from typing import Self

# By then something hangs: the child may be of no use, but whoever forks goes on.
_LONGEST_WAIT_S = 60.0


class _Unforked:
    """While anybody is inside, `os.fork` waits."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._inside = 0
        os.register_at_fork(before=self._before, after_in_parent=self._in_parent, after_in_child=self._in_child)

    def __enter__(self) -> Self:
        with self._changed:
            self._inside += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def _before(self) -> None:
        self._changed.acquire()
        self._changed.wait_for(lambda: self._inside <= 0, timeout=_LONGEST_WAIT_S)

    def _in_parent(self) -> None:
        self._changed.release()

    def _in_child(self) -> None:
        self._changed, self._inside = Condition(), 0


UNFORKED = _Unforked()
