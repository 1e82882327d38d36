"""Parquet: a folder for each table, the facts partitioned by month, the same schema whatever the rows hold."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import partial
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analytics.export_tables import ColumnType, ExportTable, Rows

_TYPES = {
    ColumnType.INTEGER: pa.int64(),
    ColumnType.TEXT: pa.string(),
    ColumnType.BOOLEAN: pa.bool_(),
    ColumnType.DATE: pa.date32(),
    ColumnType.DATETIME: pa.timestamp("us", tz="UTC"),
}
_PARTITIONED = "fact_call"


class ParquetWriter:
    """Writes each table to `NAME/part-0.parquet`, the facts to `fact_call/month=2026-03/part-0.parquet`."""

    kind = "parquet"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self._rows: dict[Path, int] = {}

    @contextmanager
    def table(self, table: ExportTable) -> Iterator[Callable[[Rows], None]]:
        """The function that adds rows, facts in order of their day, to the table's files."""
        folder = self._folder / table.name
        with ExitStack() as files:
            if table.name != _PARTITIONED:
                only = self._open(folder / "part-0.parquet", table)
                yield partial(self._add, files.enter_context(only), table)
                return
            months: dict[int, pq.ParquetWriter] = {}
            day = table.position("date_key")

            def write(rows: Rows) -> None:
                for month, some in groupby(rows, key=lambda row: row[day] // 100):
                    if month not in months:
                        # The month before is complete: no more than one file is open.
                        files.close()
                        path = folder / f"month={month // 100:04}-{month % 100:02}" / "part-0.parquet"
                        months[month] = files.enter_context(self._open(path, table))
                    self._add(months[month], table, list(some))

            yield write

    def finish(self, _title: str, _generated_at: datetime) -> dict[Path, int]:
        """The rows of each file."""
        return self._rows

    def _open(self, path: Path, table: ExportTable) -> pq.ParquetWriter:
        path.parent.mkdir(parents=True)
        self._rows[path] = 0
        return pq.ParquetWriter(path, schema(table), compression="zstd")

    def _add(self, file: pq.ParquetWriter, table: ExportTable, rows: Rows) -> None:
        file.write_table(_arrow(table, rows))
        self._rows[Path(file.where)] += len(rows)


def schema(table: ExportTable) -> pa.Schema:
    """The Arrow schema of a table, descriptions included."""
    return pa.schema(
        [
            pa.field(
                column.name,
                _TYPES[column.type],
                nullable=not column.is_required,
                metadata={"description": column.description},
            )
            for column in table.columns
        ]
    )


def _arrow(table: ExportTable, rows: Rows) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in table.columns]
    arrays = [
        pa.array([None if value is None else str(value) for value in values], pa.string())
        if column.type is ColumnType.TEXT
        else pa.array(values, _TYPES[column.type])
        for column, values in zip(table.columns, columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema(table))
