"""Many wide rows through one statement: prepared once, where SQLAlchemy would prepare each row anew.

For a row of eighty columns, that takes it longer than the database to write the row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa


class ManyRows:
    """A statement to be executed with many rows; `types` are the SQL types of its parameters by name.

    `statement` may be a function of the connection that makes it. `fills` is the table that a plain insertion fills: on
    PostgreSQL its rows are copied.
    """

    def __init__(
        self, statement: Any, types: Mapping[str, sa.types.TypeEngine[Any]], fills: sa.Table | None = None
    ) -> None:
        self._statement = statement
        self._types = dict(types)
        self._fills = fills
        self._prepared: dict[str, tuple[str, Sequence[str], list[tuple[str, Any]]]] = {}

    def execute(self, connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Execute it with every row, in which values become what the driver takes."""
        if not rows:
            return
        if self._fills is not None and connection.dialect.name == "postgresql":
            _copy(connection, self._fills, list(self._types), rows)
            return
        text, places, converts = self._of(connection)
        for row in rows:
            for name, convert in converts:
                row[name] = convert(row[name])
        if places:
            connection.exec_driver_sql(text, [tuple([row[name] for name in places]) for row in rows])
        else:
            connection.exec_driver_sql(text, list(rows))

    def _of(self, connection: sa.Connection) -> tuple[str, Sequence[str], list[tuple[str, Any]]]:
        dialect = connection.dialect
        if dialect.name not in self._prepared:
            schemas = connection.get_execution_options().get("schema_translate_map")
            options = {"schema_translate_map": schemas, "render_schema_translate": True} if schemas else {}
            made = self._statement(connection) if callable(self._statement) else self._statement
            compiled = made.compile(dialect=dialect, column_keys=list(self._types), **options)
            converts = [
                (name, kind.dialect_impl(dialect).bind_processor(dialect)) for name, kind in self._types.items()
            ]
            # A driver that takes names has no places.
            self._prepared[dialect.name] = (
                str(compiled),
                compiled.positiontup or (),
                [(name, convert) for name, convert in converts if convert is not None],
            )
        return self._prepared[dialect.name]


def all_of(table: sa.Table) -> dict[str, sa.types.TypeEngine[Any]]:
    """The types of a table's columns."""
    return {column.name: column.type for column in table.columns}


def add_many(
    connection: sa.Connection, table: sa.Table, adds: Sequence[str], columns: Mapping[str, Sequence[Any]]
) -> None:
    """Insert these columns into a PostgreSQL table by one statement; where a key is there, the columns `adds` are added
    to, and the others replaced.
    """
    name, keys = f"{table.schema}.{table.name}", [column.name for column in table.primary_key]
    kinds = {column.name: column.type.compile(connection.dialect) for column in table.columns}
    arrays = ", ".join(f"CAST(%({column})s AS {kinds[column]}[])" for column in columns)
    changes = ", ".join(
        f"{column} = {table.name}.{column} + excluded.{column}" if column in adds else f"{column} = excluded.{column}"
        for column in columns
        if column not in keys
    )
    connection.exec_driver_sql(
        f"INSERT INTO {name} AS {table.name} ({', '.join(columns)}) SELECT * FROM unnest({arrays}) "  # noqa: S608 - names of ours
        f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}",
        {column: _array(values) for column, values in columns.items()},
    )


def _array(values: Sequence[Any]) -> Any:
    # The driver writes a list one element after the other; these are nothing but numbers.
    return "{" + ",".join(map(str, values)) + "}" if isinstance(values[0], int) else list(values)


def _copy(connection: sa.Connection, table: sa.Table, names: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    statement = f"COPY {table.schema}.{table.name} ({', '.join(names)}) FROM STDIN"
    lost = connection.dialect.dbapi.OperationalError if connection.dialect.dbapi else OSError
    driver: Any = connection.connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copied:
            for row in rows:
                copied.write_row([row[name] for name in names])
    except lost as error:
        raise sa.exc.OperationalError(statement, None, error) from error
