"""Many wide rows through one statement: prepared once, where SQLAlchemy would prepare each row anew.

For a row of eighty columns, that takes it longer than the database to write the row.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa


class ManyRows:
    """A statement to be executed with many rows; `types` are the SQL types of its parameters by name."""

    def __init__(self, statement: Any, types: Mapping[str, sa.types.TypeEngine[Any]]) -> None:
        self._statement = statement
        self._types = dict(types)
        self._prepared: dict[str, tuple[str, Sequence[str], list[tuple[str, Any]]]] = {}

    def execute(self, connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Execute it with every row, in which values become what the driver takes."""
        if not rows:
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
