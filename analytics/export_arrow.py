"""Rows of the star schema as Arrow batches: what every file of tables is written from.

Bounded memory: a batch at a time, never a table. PostgreSQL sends them as binary COPY (export_copy.py); SQLite's are
taken as they are stored, a column at a time.
"""

from collections.abc import Generator, Sequence
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from analytics.export_columns import ids_of, numbers_of, texts
from analytics.export_copy import copied
from analytics.export_tables import ColumnType, ExportColumn, ExportTable

BATCH_ROWS = 16_384
_STORED_BATCH_ROWS = 5_000

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
        columns = zip(*table.fixed_rows, strict=True)
        yield pa.RecordBatch.from_arrays([texts(values) for values in columns], schema=wanted)
    elif connection.dialect.name == "postgresql":
        yield from copied(connection, table, wanted, BATCH_ROWS)
    else:
        yield from _stored(connection, table.select, table, wanted)


def _stored(
    connection: sa.Connection, select: sa.Select[Any], table: ExportTable, wanted: pa.Schema
) -> Generator[pa.RecordBatch, None, None]:
    """SQLite's rows without an object for each value: numbers, and texts for all else."""
    names = select.selected_columns
    if table.keys:
        select = select.where(names[table.day or table.chunk].between(*table.keys))
    with connection.execute(select.order_by(*(names[name] for name in table.order))) as result:
        cursor: Any = result.cursor
        while rows := cursor.fetchmany(_STORED_BATCH_ROWS):
            columns = zip(names, wanted, zip(*rows, strict=True), strict=True)
            arrays = [_array(values, column.type, field.type) for column, field, values in columns]
            yield pa.RecordBatch.from_arrays(arrays, schema=wanted)


def _array(values: Sequence[Any], stored: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(stored, sa.Uuid):
        return ids_of(values)
    if pa.types.is_string(kind):
        return texts(values)
    if pa.types.is_timestamp(kind):
        return texts(values).cast(pa.timestamp("us")).view(kind)
    return texts(values).cast(kind) if pa.types.is_date(kind) else numbers_of(values, kind)


def _in_order(batch: pa.RecordBatch, order: tuple[str, ...]) -> pa.RecordBatch:
    # Facts mostly come as they were written, which is in order already.
    if _is_in_order([batch[name] for name in order]):
        return batch
    keys = pa.RecordBatch.from_arrays([batch[name] for name in order], names=list(order))
    return batch.take(pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in order]))


def _is_in_order(keys: Sequence[pa.Array]) -> bool:
    is_tied = None
    for key in keys:
        before, after = key[:-1], key[1:]
        falls, is_same = pc.greater(before, after), pc.equal(before, after)
        if pc.any(falls if is_tied is None else pc.and_(is_tied, falls), min_count=0).as_py():
            return False
        is_tied = is_same if is_tied is None else pc.and_(is_tied, is_same)
    return True
