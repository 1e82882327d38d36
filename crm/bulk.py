"""Many rows in one statement, as fast as each database takes them: intake is paced by this."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa

Row = Mapping[str, Any]
_Processor = Callable[[Any], Any] | None

_ARRAYS: tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...] = (
    (sa.Uuid, "uuid"),
    (sa.Boolean, "boolean"),
    (sa.BigInteger, "bigint"),
    (sa.SmallInteger, "smallint"),
    (sa.Integer, "integer"),
    (sa.Float, "double precision"),
    (sa.DateTime, "timestamptz"),
    (sa.Text, "text"),
)


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[Row], *, answer: str) -> set[Any]:
    """Insert the rows that no constraint forbids; returns the values of the column `answer` of those inserted.

    `answer` is a UUID column whose values are distinct in `rows`. Columns that no row fills are left to the database.
    """
    if not rows:
        return set()
    columns = [column.name for column in table.c if any(row.get(column.name) is not None for row in rows)]
    if connection.dialect.name == "postgresql":
        return _insert_arrays(connection, table, columns, rows, answer)
    return _insert_one_by_one(connection, table, columns, rows, answer)


def _insert_arrays(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], answer: str
) -> set[Any]:
    """PostgreSQL reads a column of many rows as one array: one parameter a column instead of one a value."""
    casts, arrays = [], []
    for name in columns:
        is_json = isinstance(table.c[name].type, sa.JSON)
        process = _processor(table.c[name], connection.dialect)
        values = [row.get(name) for row in rows]
        arrays.append([None if v is None else process(v) for v in values] if process else values)
        casts.append("%s::text[]" if is_json else f"%s::{_array_type(table.c[name])}[]")
    as_told = [f"{_quoted(n)}::jsonb" if isinstance(table.c[n].type, sa.JSON) else _quoted(n) for n in columns]
    listed = ", ".join(map(_quoted, columns))
    statement = (
        f"INSERT INTO {_quoted(table.name)} ({listed}) SELECT {', '.join(as_told)}"  # noqa: S608 - our own names
        f" FROM unnest({', '.join(casts)}) AS new({listed}) ON CONFLICT DO NOTHING RETURNING {_quoted(answer)}"
    )
    return {row[0] for row in connection.exec_driver_sql(statement, tuple(arrays))}


def _insert_one_by_one(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], answer: str
) -> set[Any]:
    """SQLite runs one prepared statement row by row; it says how many were inserted, and only on demand which."""
    processors = [_processor(table.c[name], connection.dialect) for name in columns]
    values = [
        tuple(
            value if process is None or value is None else process(value)
            for process, value in zip(processors, map(row.get, columns), strict=True)
        )
        for row in rows
    ]
    statement = (
        f"INSERT INTO {_quoted(table.name)} ({', '.join(map(_quoted, columns))})"  # noqa: S608 - our own names
        f" VALUES ({', '.join('?' * len(columns))}) ON CONFLICT DO NOTHING"
    )
    attempt = connection.begin_nested()
    if connection.exec_driver_sql(statement, values).rowcount == len(rows):
        attempt.commit()
        return {row[answer] for row in rows}
    attempt.rollback()
    return {
        row[answer]
        for row, value in zip(rows, values, strict=True)
        if connection.exec_driver_sql(statement, value).rowcount
    }


def _quoted(name: str) -> str:
    return f'"{name}"'


def _array_type(column: sa.Column[Any]) -> str:
    kind = column.type
    inner = kind.impl if isinstance(kind, sa.TypeDecorator) else kind
    return next(name for of, name in _ARRAYS if isinstance(inner, of))


@cache
def _processor(column: sa.Column[Any], dialect: sa.Dialect) -> _Processor:
    kind = column.type
    if dialect.name == "postgresql" and isinstance(kind, sa.Uuid | sa.Text | sa.Boolean | sa.Integer | sa.Float):
        return str if isinstance(kind, sa.Text) else None
    return kind.dialect_impl(dialect).bind_processor(dialect)
