"""Many rows in one statement, as fast as each database takes them: intake is paced by this."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import count
from operator import attrgetter
from os import urandom
from time import time_ns
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from crm.bulk_sqlite import Columns, Piece, in_hundreds, is_constant, quoted
from crm.tables import UtcDateTime

Row = Mapping[str, Any]
_Processor = Callable[[Any], Any]


class ReadyRows(NamedTuple):
    """Rows as the driver takes them, in one or several `pieces`; `keys` are their values of the column `key`."""

    table: sa.Table
    key: str
    keys: Sequence[Any]
    pieces: Sequence[Piece]


# Four bits of version behind 48 of time, two of variant behind twelve more, and one for what the counting carries.
_NOT_RANDOM = 0xF << 76 | 0b111 << 61
_VERSION_7 = 0x7 << 76 | 0b10 << 62

# From so many rows on, trying first costs PostgreSQL less than the sixth that it saves.
_MANY = 100
# Of "2026-03-14 09:26:53.000000", without the zone.
_TIME_LENGTH = 26

_ARRAYS: tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...] = (
    (sa.Uuid, "uuid"),
    (sa.Boolean, "boolean"),
    (sa.BigInteger, "bigint"),
    (sa.SmallInteger, "smallint"),
    (sa.Integer, "integer"),
    (sa.Float, "double precision"),
    (sa.DateTime, "timestamptz"),
    (sa.JSON, "jsonb"),
    (sa.Text, "text"),
)


def insert_new(connection: sa.Connection, table: sa.Table, rows: Sequence[Row], *, key: str) -> Sequence[int]:
    """Insert the rows that no constraint forbids; returns the places in `rows` of those inserted.

    `key` is a UUID column whose values are distinct in `rows`. A column that a row does not name is left empty, one
    that no row names is left to the database.
    """
    names = sorted(set().union(*rows))
    return insert_columns(connection, table, {name: [row.get(name) for row in rows] for name in names}, key=key)


def insert_columns(connection: sa.Connection, table: sa.Table, columns: Columns, *, key: str) -> Sequence[int]:
    """The same for rows that are given column by column: a column has a value for each row. UUIDs may be given as the
    32 digits of their `hex`, a whole column of them.
    """
    return insert_ready(connection, ready_rows(connection.dialect, table, columns, key=key))


def ready_rows(dialect: sa.Dialect, table: sa.Table, columns: Columns, *, key: str) -> ReadyRows:
    """The rows of `insert_columns` for `insert_ready`, which adds nothing to what the database itself takes: while a
    transaction writes to SQLite, all others wait.
    """
    if not columns or not columns[key]:
        return ReadyRows(table, key, (), ())
    told = {name: _told(table.c[name], dialect, values) for name, values in columns.items()}
    made = _by_arrays if dialect.name == "postgresql" else in_hundreds
    return ReadyRows(table, key, told[key], made(table, told))


def insert_ready(connection: sa.Connection, rows: ReadyRows) -> Sequence[int]:
    """Insert the rows that no constraint forbids; returns the places of those inserted."""
    if not rows.keys:
        return ()
    insert = _insert_arrays if connection.dialect.name == "postgresql" else _insert_pieces
    inserted = insert(connection, rows)
    if inserted is None:
        return range(len(rows.keys))
    return [place for place, value in enumerate(rows.keys) if value in inserted]


def among(connection: sa.Connection, column: sa.Column[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """`column IN (values)` with one parameter, however many values there are: nothing is compiled anew for them."""
    told = _told(column, connection.dialect, list(values))
    if connection.dialect.name == "postgresql":
        # Joined, not compared with ANY: a plan that is kept from when the table was small would try value by value.
        listed = sa.cast(sa.bindparam(None, _array(told), type_=sa.types.NULLTYPE), ARRAY(column.type))
        return column.in_(sa.select(sa.func.unnest(listed)))
    return column.in_(sa.select(sa.literal_column("value")).select_from(sa.func.json_each(_listed(told))))


def is_none_there(
    connection: sa.Connection, columns: Sequence[sa.Column[Any]], first: str, texts: Sequence[str]
) -> bool:
    """Whether no row has `first` and one of these texts in the two columns, with which an index begins: sooner known on
    SQLite than by `among`. PostgreSQL, which is quick by `among`, is not asked: False says nothing.
    """
    if connection.dialect.name == "postgresql":
        return False
    bucket, key = (quoted(column.name) for column in columns)
    # A CROSS JOIN keeps to its order, one look into the index for each text; for IN, all of them are sorted first.
    [[found]] = connection.exec_driver_sql(
        f"SELECT EXISTS (SELECT 1 FROM json_each(?) AS told CROSS JOIN {quoted(columns[0].table.name)} AS kept"  # noqa: S608
        f" WHERE kept.{bucket} = ? AND kept.{key} = told.value)",
        (_listed(texts), first),
    )
    return not found


def time_ordered_hexes() -> Iterator[str]:
    """UUIDs of version 7 (RFC 9562) as the 32 digits of their `hex`, counted up from a random one: those of a batch lie
    side by side in an index.
    """
    stamp = time_ns() // 1_000_000 << 80 | int.from_bytes(urandom(10))
    return map("{:032x}".format, count(stamp & ~_NOT_RANDOM | _VERSION_7))


def _by_arrays(table: sa.Table, columns: Columns) -> list[Piece]:
    """PostgreSQL reads a column of many rows as one array: one parameter a column instead of one a value. A column with
    one value for all rows is sent once.
    """
    chosen, arrays, once = [], {}, {}
    for name, values in columns.items():
        kind = _array_type(table.c[name])
        if is_constant(values):
            once[name] = values[0]
            chosen.append(f"%({name})s::{kind}")
        else:
            arrays[name] = _array(values)
            chosen.append(quoted(name))
    rows = ", ".join(f"%({name})s::{_array_type(table.c[name])}[]" for name in arrays)
    source = f" FROM unnest({rows}) AS new({', '.join(map(quoted, arrays))})" if arrays else ""
    insert = f"INSERT INTO {quoted(table.name)} ({', '.join(map(quoted, columns))}) SELECT {', '.join(chosen)}{source}"
    return [(insert, {**arrays, **once})]


def _insert_arrays(connection: sa.Connection, rows: ReadyRows) -> set[str] | None:
    [(statement, given)] = rows.pieces
    if len(rows.keys) >= _MANY and _were_all_inserted(connection, statement, given):
        return None
    result = connection.exec_driver_sql(f"{statement} ON CONFLICT DO NOTHING RETURNING {quoted(rows.key)}", given)
    return {row[0].hex for row in result}


def _were_all_inserted(connection: sa.Connection, insert: str, values: Mapping[str, Any]) -> bool:
    """Try it without asking for each row whether it may be: nearly always all of a batch are new."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(insert, values)
    except sa.exc.IntegrityError:
        return False
    return True


def _insert_pieces(connection: sa.Connection, rows: ReadyRows) -> set[str] | None:
    """SQLite says how many rows were inserted, and only on demand which."""
    name = quoted(rows.table.name)
    [[last]] = connection.exec_driver_sql(f"SELECT coalesce(max(rowid), 0) FROM {name}")  # noqa: S608
    counts = [connection.exec_driver_sql(statement, given).rowcount for statement, given in rows.pieces]
    if sum(counts) == len(rows.keys):
        return None
    # Nobody else writes meanwhile: what lies behind the row that was the last is what has just come.
    behind = connection.exec_driver_sql(f"SELECT {quoted(rows.key)} FROM {name} WHERE rowid > ?", (last,))  # noqa: S608
    return set(behind.scalars())


def _told(column: sa.Column[Any], dialect: sa.Dialect, values: Sequence[Any]) -> Sequence[Any]:
    """The values as the driver takes them; as text where that is PostgreSQL's."""
    process = _processor(column, dialect)
    if not values or process is None or (isinstance(column.type, sa.Uuid) and type(values[0]) is str):
        return values
    if is_constant(values):
        return [None if values[0] is None else process(values[0])] * len(values)
    return [None if value is None else process(value) for value in values]


def _listed(values: Sequence[Any]) -> str:
    """The values as a JSON array."""
    if values and type(values[0]) is str:
        joined = _joined(values)
        if joined and joined.isprintable():
            return f"[{joined}]"
    return json.dumps(values)


def _array(texts: Sequence[str | None]) -> str:
    """An array as PostgreSQL reads it; the driver would look for each element's type by itself."""
    joined = _joined(texts) if texts and None not in texts else None  # type: ignore[arg-type]
    if joined:
        return f"{{{joined}}}"
    return "{" + ",".join(["NULL" if text is None else _element(text) for text in texts]) + "}"


def _joined(texts: Sequence[str]) -> str | None:
    """The texts in quotes; None where one has to be escaped. Hardly one has: all are looked at in one go."""
    joined = '","'.join(texts)
    is_plain = "\\" not in joined and joined.count('"') == 2 * (len(texts) - 1)
    return f'"{joined}"' if is_plain else None


def _element(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _array_type(column: sa.Column[Any]) -> str:
    kind = column.type
    inner = kind.impl if isinstance(kind, sa.TypeDecorator) else kind
    return next(name for of, name in _ARRAYS if isinstance(inner, of))


@cache
def _processor(column: sa.Column[Any], dialect: sa.Dialect) -> _Processor | None:
    kind = column.type
    if isinstance(kind, sa.Text):
        # An enumeration's member as well: the driver would ask what it is.
        return str
    if isinstance(kind, sa.Uuid):
        return attrgetter("hex")
    if isinstance(kind, sa.JSON):
        return json.dumps
    if isinstance(kind, UtcDateTime):
        return _sqlite_time if dialect.name == "sqlite" else _postgresql_time
    if dialect.name != "sqlite":
        return str
    if isinstance(kind, sa.Boolean | sa.Integer):
        # Of a truth value, or an enumeration's member, SQLite's driver would ask what it is as well.
        return int
    return kind.dialect_impl(dialect).bind_processor(dialect)


@lru_cache(maxsize=4096)
def _sqlite_time(moment: datetime) -> str:
    """What SQLAlchemy would write, sooner; a call that has its time in two columns asks once."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be stored")
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(" ", "microseconds")[:_TIME_LENGTH]


def _postgresql_time(moment: datetime) -> str:
    return f"{_sqlite_time(moment)}+00"
