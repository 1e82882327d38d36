"""Statements prepared once whose rows stay as the driver has them: SQLAlchemy would prepare and convert each row anew.

For a row of eighty columns, that takes it longer than the database to write the row. What the two drivers tell apart:
SQLite's gives ids and moments as text, flags as 0 and 1 and JSON as text, and takes them so again. PostgreSQL's gives
and takes numbers as the server keeps them, and ids as their sixteen bytes, which are looked up in a quarter, and
written in a fifteenth, of the time that objects of ids take.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles

from crm.tables import UtcDateTime

Row = sa.Row[Any] | tuple[Any, ...]


class Among(sa.ColumnElement[bool]):
    """Whether the column is one of a list of any length that is one parameter of the statement, of that name."""

    inherit_cache = False
    # As a Boolean, SQLAlchemy would compare it with 1 on SQLite, which then reads the whole table.
    type = sa.types.NullType()  # type: ignore[assignment]

    def __init__(self, column: sa.ColumnElement[Any], name: str) -> None:
        self.column, self.name = column, name


@compiles(Among, "sqlite")
def _among_sqlite(element: Among, compiler: Any, **options: Any) -> str:
    given = compiler.process(sa.bindparam(element.name, type_=sa.Text), **options)
    return f"{compiler.process(element.column, **options)} IN (SELECT value FROM json_each({given}))"  # noqa: S608 - names of ours


@compiles(Among, "postgresql")
def _among_postgresql(element: Among, compiler: Any, **options: Any) -> str:
    given = sa.bindparam(element.name, type_=ARRAY(element.column.type))
    return f"{compiler.process(element.column, **options)} = ANY({compiler.process(given, **options)})"


class AmongPairs(sa.ColumnElement[bool]):
    """Whether the two columns of an index are a pair of two lists, in their order, each one parameter of that name.

    On SQLite also of pairs across the lists: it has the rows of the first list by the index, and leaves out those
    whose second is in none.
    """

    inherit_cache = False
    type = sa.types.NullType()  # type: ignore[assignment]

    def __init__(self, columns: Sequence[sa.ColumnElement[Any]], names: Sequence[str]) -> None:
        self.columns, self.names = columns, names


@compiles(AmongPairs, "sqlite")
def _among_pairs_sqlite(element: AmongPairs, compiler: Any, **options: Any) -> str:
    first, second = (Among(*pair) for pair in zip(element.columns, element.names, strict=True))
    # With the sign, SQLite does not look for each of the second with each of the first.
    return f"{compiler.process(first, **options)} AND +{compiler.process(second, **options)}"


@compiles(AmongPairs, "postgresql")
def _among_pairs_postgresql(element: AmongPairs, compiler: Any, **options: Any) -> str:
    given = [
        compiler.process(sa.cast(sa.bindparam(name), ARRAY(column.type)), **options)
        for column, name in zip(element.columns, element.names, strict=True)
    ]
    pair = ", ".join(compiler.process(column, **options) for column in element.columns)
    return f"({pair}) IN (SELECT * FROM unnest({', '.join(given)}))"  # noqa: S608 - names of ours


class Prepared:
    """A statement that is compiled once for each kind of database; `names` are its parameters in order."""

    def __init__(self, statement: sa.ClauseElement, names: Sequence[str] = ()) -> None:
        self._statement, self._names = statement, tuple(names)
        self._compiled: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {}

    def rows(self, connection: sa.Connection, **given: Any) -> Sequence[Any]:
        """What the statement gives; a list is for `Among`, a moment an aware one."""
        if connection.dialect.name == "sqlite":
            return self.run(connection, **given).all()
        text, _, values = self._with(connection, given)
        return _rows(connection, text, values)

    def run(self, connection: sa.Connection, **given: Any) -> sa.CursorResult[Any]:
        """Execute the statement once."""
        text, places, values = self._with(connection, given)
        return connection.exec_driver_sql(text, tuple([values[name] for name in places]) if places else values)

    def many(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """Execute the statement with each row of values, in the order of `names`."""
        if not rows:
            return
        text, places, known = self._of(connection)
        if places == self._names:
            connection.exec_driver_sql(text, list(rows))
            return
        named = [known | dict(zip(self._names, row, strict=True)) for row in rows]
        if places:
            connection.exec_driver_sql(text, [tuple([row[name] for name in places]) for row in named])
        else:
            connection.exec_driver_sql(text, named)

    def _with(self, connection: sa.Connection, given: dict[str, Any]) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        text, places, known = self._of(connection)
        return text, places, known | {name: as_stored(connection, value) for name, value in given.items()}

    def _of(self, connection: sa.Connection) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        dialect = connection.dialect
        if dialect.name not in self._compiled:
            schemas = connection.get_execution_options().get("schema_translate_map")
            options = {"schema_translate_map": schemas, "render_schema_translate": True} if schemas else {}
            is_filled = isinstance(self._statement, sa.Insert) and self._statement.select is None
            keys = list(self._names) if is_filled else None
            compiled: Any = self._statement.compile(dialect=dialect, column_keys=keys, **options)
            known = compiled.construct_params(dict.fromkeys(self._names))
            # A driver that takes names has no places.
            self._compiled[dialect.name] = str(compiled), tuple(compiled.positiontup or ()), known
        return self._compiled[dialect.name]


class Filling:
    """A plain insertion into all columns of a table, which is a copy on PostgreSQL."""

    def __init__(self, table: sa.Table) -> None:
        self._table, self._names = table, [column.name for column in table.columns]
        self._insert = Prepared(sa.insert(table), self._names)

    def many(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        """Insert these rows, with a value for each column in order."""
        if rows and connection.dialect.name == "postgresql":
            _copy(connection, named(self._table), [self._table.c[name] for name in self._names], rows)
        else:
            self._insert.many(connection, rows)


def as_stored(connection: sa.Connection, value: Any) -> Any:
    """A moment, an id or a list of numbers, ids or names, as the driver takes it; anything else as it is."""
    is_sqlite = connection.dialect.name == "sqlite"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        # Psycopg would write, and look for quotes in, one element after the other.
        first = value[0] if value else None
        write = bytes.hex if isinstance(first, bytes) else datetime.isoformat if isinstance(first, datetime) else str
        texts = map(write, value)
        return json.dumps(value) if is_sqlite else f"{{{','.join(texts)}}}"
    if is_sqlite and isinstance(value, datetime):
        return _MOMENTS.process_bind_param(value, connection.dialect).isoformat(" ", "microseconds")  # type: ignore[union-attr]
    return value


def moment_of(value: Any) -> datetime:
    """The moment that the driver has given."""
    return datetime.fromisoformat(f"{value}+00:00") if isinstance(value, str) else value


def list_of(value: Any) -> Sequence[Any]:
    """The list that the driver has given as JSON; nothing where there is none."""
    if isinstance(value, str):
        return () if value == "[]" else json.loads(value) or ()
    return value or ()


def named(table: sa.Table) -> str:
    """The table's name with its schema."""
    return f"{table.schema}.{table.name}"


def _rows(connection: sa.Connection, statement: str, values: dict[str, Any]) -> Sequence[Any]:
    """The rows of a statement as PostgreSQL keeps them: neither side makes text of a number."""
    psycopg: Any = connection.dialect.dbapi
    names = psycopg.rows.namedtuple_row
    with driver_of(connection, statement) as driver, driver.cursor(binary=True, row_factory=names) as cursor:
        as_bytes = driver.adapters.get_loader(driver.adapters.types["bytea"].oid, psycopg.pq.Format.BINARY)
        cursor.adapters.register_loader("uuid", as_bytes)
        found: Sequence[Any] = cursor.execute(statement, values).fetchall()
        return found


def _copy(connection: sa.Connection, into: str, columns: Sequence[sa.Column[Any]], rows: Sequence[Row]) -> None:
    """Write the rows into a PostgreSQL table as the server keeps them: neither side makes text of a number."""
    statement = f"COPY {into} ({', '.join(column.name for column in columns)}) FROM STDIN (FORMAT binary)"
    kinds = [column.type.compile(connection.dialect).lower() for column in columns]
    with driver_of(connection, statement) as driver, driver.cursor() as cursor, cursor.copy(statement) as copied:
        # An id is its bytes already.
        copied.set_types(["bytea" if kind == "uuid" else kind for kind in kinds])
        for row in rows:
            copied.write_row(row)


@contextmanager
def driver_of(connection: sa.Connection, statement: str) -> Iterator[Any]:
    """The driver's connection, whose loss is told as SQLAlchemy tells it."""
    lost = connection.dialect.dbapi.OperationalError if connection.dialect.dbapi else OSError
    try:
        yield connection.connection
    except lost as error:
        raise sa.exc.OperationalError(statement, None, error) from error


_MOMENTS = UtcDateTime()
