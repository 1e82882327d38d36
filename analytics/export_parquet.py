"""Parquet: a folder for each table, in parts by the month, the same schema whatever the rows hold.

Facts and sums lie in `NAME/month=2026-03/part-0.parquet`; a month of more than MONTH_ROWS rows in one file a day,
`NAME/month=2026-03/day-14.parquet`, so that a day's calls cost a day's writing. Only parts whose days have changed are
written again (export_days.py).
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from analytics.export_arrow import batches, schema
from analytics.export_days import Stretch, chunks_of, digest, stretches
from analytics.export_pieces import Context, Piece
from analytics.export_tables import ColumnType, ExportTable

# To be raised when files of the same content get another form, so that all are written again.
_FORM = 4
_IN_HAND = 1
# A group of rows and a page of a column cost their writer something whatever they hold, and their reader, too.
_GROUP_BATCHES = 4
_PAGE_ROWS = 1 << 30
# Of a number with more bits, a part of a file holds about as many values as rows.
_FEW_BITS = 16
_AS_MANY_AS_ROWS = {"customer_key", "call_key"}


def pieces(context: Context) -> Iterator[Piece]:
    """The files of every table."""
    for table in context.tables:
        form = digest(f"{_FORM} {schema(table)}")
        if table.day:
            for stretch in stretches(context.days_of(table), table):
                yield _piece(table, stretch, form, stretch.state)
        elif table.chunk:
            for stretch in chunks_of(context.connection, table):
                # What people are called changes without a trace here: it is always looked at.
                yield _piece(table, stretch, form, "" if context.personal_data else stretch.state)
        else:
            yield _piece(table, None, form, "")


def _piece(table: ExportTable, stretch: Stretch | None, form: str, state: str) -> Piece:
    path = stretch.path if stretch else "part-0.parquet"
    mark = f"{form} {state}" if state else ""
    return Piece(f"parquet/{table.name}/{path}", "parquet", mark, partial(_write, table, stretch))


def _write(table: ExportTable, stretch: Stretch | None, context: Context, path: Path, _done: Mapping[str, Any]) -> int:
    part = table.part(stretch.low, stretch.high) if stretch else table
    return write_parquet(context.connection, part, path)


def write_parquet(connection: sa.Connection, table: ExportTable, path: Path) -> int:
    """Write the table's rows to one file; returns how many.

    One thread asks for the rows and takes them apart, another compresses what is there already.
    """
    texts = [column.name for column in table.columns if column.type in {ColumnType.TEXT, ColumnType.BOOLEAN}]
    few = [one.name for one in table.bits if one.width <= _FEW_BITS] + [*table.foreign_keys.keys() - _AS_MANY_AS_ROWS]
    keys = [*table.order, *(column.name for column in table.columns if column.type is ColumnType.DATETIME)]
    # A code for a value that occurs again and again; an id occurs once. Bounds are kept for what is searched by.
    coded = {name for name in (*texts, *few) if not name.endswith("_id")}
    options = {"use_dictionary": sorted(coded), "write_statistics": keys, "max_rows_per_page": _PAGE_ROWS}
    rows = 0
    with (
        pq.ParquetWriter(path, schema(table), compression="zstd", **options) as file,
        ThreadPoolExecutor(1) as behind,
        closing(batches(connection, table)) as found,
    ):
        in_hand: list[Future[None]] = []
        while group := list(islice(found, _GROUP_BATCHES)):
            if len(in_hand) == _IN_HAND:
                in_hand.pop(0).result()
            rows += sum(batch.num_rows for batch in group)
            in_hand.append(behind.submit(_append, file, group))
            # It goes when it is written, not when the next one is there.
            del group
        for written in in_hand:
            written.result()
    return rows


def _append(file: pq.ParquetWriter, group: list[pa.RecordBatch]) -> None:
    file.write_table(pa.Table.from_batches(group))
