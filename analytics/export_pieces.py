"""What an export is made of: pieces, one file each, that say beforehand whether they would be what they were."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from analytics.export_days import Day, days
from analytics.export_tables import ExportTable
from analytics.zoned import site_zone
from calls.redaction import SensitiveFinder, find_sensitive

Entry = dict[str, Any]


@dataclass
class Context:
    """The moment that is exported: the connection that sees it, and how it is to be written.

    `place` is the folder or address that is written to. `server` (host:port) and `database_name` say where a BI tool
    finds the database itself; "" where it is a file. What `find` finds leaves with personal data only.
    """

    connection: sa.Connection
    tables: tuple[ExportTable, ...]
    title: str
    now: datetime
    personal_data: bool
    find: SensitiveFinder = find_sensitive
    place: str = ""
    server: str = ""
    database_name: str = ""
    _days: dict[int, Day] | None = field(default=None, repr=False)

    @property
    def zone(self) -> str:
        """The zone in which the days were cut."""
        return site_zone(self.connection)

    @property
    def days(self) -> dict[int, Day]:
        """The state of every day with calls."""
        if self._days is None:
            self._days = days(self.connection)
        return self._days

    def days_of(self, _table: ExportTable) -> dict[int, Day]:
        """The state of the days that the table has rows of."""
        return self.days


@dataclass(frozen=True)
class Piece:
    """One file: where it goes (relative, `/` between folders), and how it is written.

    `state` is another when the content may be another: a piece whose state is that of the file already there is not
    written again. "": nobody can tell beforehand. `write(context, path, done)` writes the file and returns the rows it
    holds; `done` has the manifest's entries of the pieces before it, by path.
    """

    path: str
    kind: str
    state: str
    write: Callable[[Context, Path, Mapping[str, Entry]], int]
