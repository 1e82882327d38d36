"""Many rows into SQLite in few statements."""

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from operator import is_
from typing import Any

import sqlalchemy as sa

Columns = dict[str, Sequence[Any]]
# A statement, and what the driver is given with it.
Piece = tuple[str, Any]

# Rows in one statement: with more, little is won.
_TOGETHER = 100


def in_hundreds(table: sa.Table, columns: Columns) -> list[Piece]:
    """SQLite runs a prepared statement of _TOGETHER rows for so many after the other, and one of a single row for each
    of the rest. With each statement it opens every index, of which `call` has 17, and what all rows share is handed
    over once.

    A column that is empty in all rows is left out: for each None the driver looks whether somebody has told it what
    that is.
    """
    told = {
        name: values
        for name, values in columns.items()
        if values[0] is not None or table.c[name].server_default is not None or not is_constant(values)
    }
    row_count = len(next(iter(told.values())))
    many = row_count - row_count % _TOGETHER
    pieces = _together(table, told, many) if many else []
    if many < row_count:
        rest = list(zip(*(values[many:] for values in told.values()), strict=True))
        pieces.append((_insert(table, told, [f"({', '.join('?' * len(told))})"]), rest))
    return pieces


def _together(table: sa.Table, told: Columns, many: int) -> list[Piece]:
    shared = {name: values[0] for name, values in told.items() if is_constant(values)}
    own = {name: values for name, values in told.items() if name not in shared}
    row = ", ".join([*(f"?{place}" for place in range(1, len(shared) + 1)), *["?"] * len(own)])
    statement = _insert(table, [*shared, *own], [f"({row})"] * _TOGETHER)
    pieces: list[Piece] = []
    for start in range(0, many, _TOGETHER):
        rows = zip(*(values[start : start + _TOGETHER] for values in own.values()), strict=True)
        pieces.append((statement, (*shared.values(), *chain.from_iterable(rows))))
    return pieces


def _insert(table: sa.Table, names: Iterable[str], rows: Iterable[str]) -> str:
    # OR FAIL: where a row is refused, what was written before it goes with the whole transaction. To undo no more than
    # the statement, SQLite would keep a copy of each page that it writes.
    return (
        f"INSERT OR FAIL INTO {quoted(table.name)} ({', '.join(map(quoted, names))})"  # noqa: S608 - our own names
        f" VALUES {', '.join(rows)} ON CONFLICT DO NOTHING"
    )


def is_constant(values: Sequence[Any]) -> bool:
    """Whether it is one value, the very same, for all rows."""
    return all(map(is_, values, repeat(values[0])))


def quoted(name: str) -> str:
    """The name of a table or a column in a statement."""
    return f'"{name}"'
