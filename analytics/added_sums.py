"""Sums that are added to those of a table, as arrays; and how PostgreSQL takes them.

A row of such a table is numbers alone, but for how it begins: their bytes are put together for all rows at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from analytics.many_rows import as_stored, driver_of, named
from analytics.parts import PART_NAMES

# Of PostgreSQL's manual, COPY, "Binary Format": big-endian numbers, each with its length before it.
_HEADER, _TRAILER = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_COUNT, _LENGTH, _NUMBER = ">i2", ">i4", ">i8"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Added:
    """Sums of some rows: the keys of all begin with `head`, `keys` is the rest of each, and `amounts` has the amounts
    of each in the order of PARTS; arrays with a row for each.
    """

    head: tuple[str, ...]
    keys: Any
    amounts: Any

    def keys_where(self, chosen: Any) -> list[tuple[Any, ...]]:
        """The whole keys of the rows that an array of flags says."""
        return [(*self.head, *key) for key in self.keys[chosen].tolist()]

    def rows(self) -> list[tuple[Any, ...]]:
        """Each row as the values of its columns."""
        return [
            (*self.head, *key, *amounts) for key, amounts in zip(self.keys.tolist(), self.amounts.tolist(), strict=True)
        ]


def make_room(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Let PostgreSQL have a table beside each of these for what is to be added: for as long as the connection, empty
    between transactions.
    """
    room = "CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE {}) ON COMMIT DELETE ROWS"
    made = "; ".join(room.format(_given(table), named(table)) for table in tables)
    with driver_of(connection, made) as driver:
        driver.execute(made, prepare=False)


def add_sums(connection: sa.Connection, table: sa.Table, sums: Sequence[Added], now: datetime) -> None:
    """Add these sums to a PostgreSQL table by one statement, which makes the rows that are not there yet."""
    packed = [_packed(table, some, now) for some in sums if len(some.keys)]
    if not packed:
        return
    keys = [column.name for column in table.primary_key]
    names = ", ".join([*keys, *PART_NAMES, "modified_at_utc"])
    added = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in PART_NAMES)
    given = _given(table)
    copy = f"COPY {given} ({names}) FROM STDIN (FORMAT binary)"
    with driver_of(connection, copy) as driver, driver.cursor() as cursor, cursor.copy(copy) as copied:
        copied.write(b"".join([_HEADER, *packed, _TRAILER]))
    connection.exec_driver_sql(
        f"INSERT INTO {named(table)} AS {table.name} ({names}) SELECT {names} FROM {given} "  # noqa: S608 - names of ours
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {added}, modified_at_utc = excluded.modified_at_utc"
    )


def delete_many(connection: sa.Connection, table: sa.Table, condition: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Delete the rows of a PostgreSQL table that have one of these primary keys and fulfil the condition."""
    keys = [column.name for column in table.primary_key]
    kinds = (table.c[name].type.compile(connection.dialect) for name in keys)
    listed = ", ".join(f"CAST(%({name})s AS {kind}[])" for name, kind in zip(keys, kinds, strict=True))
    same = " AND ".join(f"held.{name} = gone.{name}" for name in keys)
    columns = zip(*rows, strict=True)
    connection.exec_driver_sql(
        f"DELETE FROM {named(table)} AS held USING unnest({listed}) AS gone({', '.join(keys)}) "  # noqa: S608 - names of ours
        f"WHERE {same} AND {condition}",
        {name: as_stored(connection, list(values)) for name, values in zip(keys, columns, strict=True)},
    )


def _given(table: sa.Table) -> str:
    # Another version's has other columns.
    return f"added_to_{table.name}_{len(table.columns)}"


def _packed(table: sa.Table, sums: Added, now: datetime) -> bytes:
    """The rows as a binary copy has them: of the primary key, of PARTS and of the moment, in this order."""
    keys = list(table.primary_key)
    head = [text.encode() for text in sums.head]
    kinds = [f"S{len(text)}" for text in head]
    kinds += ["u1" if isinstance(key.type, sa.Boolean) else ">i4" for key in keys[len(head) :]]
    fields: list[Any] = [("columns", _COUNT)]
    fields += [(str(n), [("length", _LENGTH), ("value", kind)]) for n, kind in enumerate(kinds)]
    fields.append(("amounts", [("length", _LENGTH), ("value", _NUMBER)], (len(PART_NAMES),)))
    fields.append(("moment", [("length", _LENGTH), ("value", _NUMBER)]))
    rows = np.zeros(len(sums.keys), fields)
    rows["columns"] = len(keys) + len(PART_NAMES) + 1
    values = [*head, *sums.keys.T, sums.amounts, (now - _EPOCH) // timedelta(microseconds=1)]
    for (name, *_), value in zip(fields[1:], values, strict=True):
        rows[name]["length"] = rows.dtype[name].base["value"].itemsize
        rows[name]["value"] = value
    return rows.tobytes()
