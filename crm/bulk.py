"""Many rows in one statement, as fast as each database takes them: intake is paced by this."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

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

    `answer` is a UUID column whose values are distinct in `rows`. A column that a row does not name is left empty, one
    that no row names is left to the database.
    """
    if not rows:
        return set()
    columns = sorted(set().union(*rows))
    if connection.dialect.name == "postgresql":
        return _insert_arrays(connection, table, columns, rows, answer)
    return _insert_one_by_one(connection, table, columns, rows, answer)


def among(connection: sa.Connection, column: sa.Column[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """`column IN (values)` with one parameter, however many values there are: nothing is compiled anew for them."""
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.bindparam(None, list(values), type_=ARRAY(column.type)))
    process = _processor(column, connection.dialect)
    listed = json.dumps([process(value) if process else value for value in values])
    return column.in_(sa.select(sa.literal_column("value")).select_from(sa.func.json_each(listed)))


def _insert_arrays(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], answer: str
) -> set[Any]:
    """PostgreSQL reads a column of many rows as one array: one parameter a column instead of one a value."""
    casts, arrays = [], []
    for name in columns:
        is_json = isinstance(table.c[name].type, sa.JSON)
        process = _processor(table.c[name], connection.dialect)
        values = [row.get(name) for row in rows]
        arrays.append(_processed(process, values) if process else values)
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
    by_column = [
        _processed(process, [row.get(name) for row in rows]) if process else [row.get(name) for row in rows]
        for name, process in zip(columns, processors, strict=True)
    ]
    values = list(zip(*by_column, strict=True))
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


def _processed(process: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    # Neighbours are often the same, such as the time of the batch.
    done: list[Any] = []
    last, result = None, None
    for value in values:
        if value is not last:
            last, result = value, None if value is None else process(value)
        done.append(result)
    return done


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
