"""Rows of the star schema as Arrow batches: what every file of tables is written from.

Bounded memory: a batch at a time, never a table. PostgreSQL sends them as binary COPY (export_copy.py); any other
database row by row.
"""

from collections.abc import Generator
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from analytics.export_copy import copied
from analytics.export_tables import ColumnType, ExportColumn, ExportTable, Rows

BATCH_ROWS = 16_384
_SLOW_BATCH_ROWS = 5_000

TYPES = {
    ColumnType.INTEGER: pa.int64(),
    ColumnType.TEXT: pa.string(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.DATE: pa.date32(),
    ColumnType.DATETIME: pa.timestamp("us", tz="UTC"),
}


def schema(table: ExportTable) -> pa.Schema:
    """The Arrow schema of a table, descriptions included: the same whatever the rows hold."""
    return _schema(table.columns)


@cache
def _schema(columns: tuple[ExportColumn, ...]) -> pa.Schema:
    return pa.schema(
        [
            pa.field(
                column.name,
                TYPES[column.type],
                nullable=not column.is_required,
                metadata={"description": column.description},
            )
            for column in columns
        ]
    )


def batches(connection: sa.Connection, table: ExportTable) -> Generator[pa.RecordBatch, None, None]:
    """The rows of the table, at most BATCH_ROWS at a time, each batch in the table's order; none for an empty table."""
    found = _batches(connection, table)
    for batch in found:
        yield _in_order(batch, table.order)


def _batches(connection: sa.Connection, table: ExportTable) -> Generator[pa.RecordBatch, None, None]:
    wanted = schema(table)
    if table.select is None:
        yield _arrow(wanted, table.fixed_rows)
    elif connection.dialect.name == "postgresql":
        yield from copied(connection, table, wanted, BATCH_ROWS)
    else:
        ordered = table.select.order_by(*(table.select.selected_columns[name] for name in table.order))
        result = connection.execute(ordered, execution_options={"yield_per": _SLOW_BATCH_ROWS})
        for rows in result.partitions():
            yield _arrow(wanted, rows)


def _arrow(wanted: pa.Schema, rows: Rows) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in wanted]
    arrays = [
        pa.array([None if value is None else str(value) for value in values], pa.string())
        if field.type == pa.string()
        else pa.array(values, field.type)
        for field, values in zip(wanted, columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)


def _in_order(batch: pa.RecordBatch, order: tuple[str, ...]) -> pa.RecordBatch:
    keys = pa.RecordBatch.from_arrays([batch[name] for name in order], names=list(order))
    by = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in order])
    # Facts mostly come as they were written, which is in order already: then nothing is copied.
    is_sorted = len(by) < 2 or pc.all(pc.greater(by[1:], by[:-1])).as_py()
    return batch if is_sorted else batch.take(by)
