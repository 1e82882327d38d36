"""Results of PostgreSQL whose columns are described when somebody asks."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg


class DescribedLater(psycopg.Cursor[Any]):
    """SQLAlchemy takes the description of every result, and reads that of a new statement alone; psycopg makes an
    object for each column of it, which is a third of what a wide row costs.
    """

    @property
    def description(self) -> Any:
        """What DB-API 2.0 says it is; of the result that the cursor has when it is read."""
        is_result = self.pgresult is not None and self.pgresult.nfields
        return _Description(self) if is_result else None


class _Description(Sequence[psycopg.Column]):
    def __init__(self, cursor: psycopg.Cursor[Any]) -> None:
        self._cursor = cursor

    def __len__(self) -> int:
        return len(self._columns())

    def __iter__(self) -> Iterator[psycopg.Column]:
        return iter(self._columns())

    def __getitem__(self, place: Any) -> Any:
        return self._columns()[place]

    def _columns(self) -> list[psycopg.Column]:
        return psycopg.Cursor.description.fget(self._cursor) or []  # type: ignore[attr-defined]
