"""The Parquet folder as a lake: the statements by which DuckDB, Spark, Trino and Athena see the same star schema.

All of them read the folder as it is, hive partitions by month and all. Trino and Athena have to be told of new months:
the statement for it stands at the end of theirs.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from analytics.export_pieces import Context, Entry, Piece
from analytics.export_tables import ColumnType, ExportColumn, ExportTable
from analytics.measures import MEASURES, Kind

_SPARK = {
    ColumnType.INTEGER: "BIGINT",
    ColumnType.TEXT: "STRING",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.DATE: "DATE",
    ColumnType.DATETIME: "TIMESTAMP",
}
# The hive connector has no type with a zone: it reads an instant as a TIMESTAMP in UTC.
_TRINO = _SPARK | {ColumnType.TEXT: "VARCHAR", ColumnType.DATETIME: "TIMESTAMP"}


def pieces(_context: Context) -> Iterator[Piece]:
    """The statements for each engine."""
    for engine, render in _ENGINES.items():
        yield Piece(f"lake/{engine}.sql", "lake", "", partial(_write, render))


Render = Callable[[tuple[ExportTable, ...], str], str]


def _write(render: Render, context: Context, path: Path, _done: Mapping[str, Entry]) -> int:
    path.write_text(render(context.tables, f"{context.place}/parquet"), encoding="utf-8")
    return len(context.tables)


def duckdb(tables: tuple[ExportTable, ...], place: str) -> str:
    """Views over the files, and one over facts by month with every measure. For S3, DuckDB wants its httpfs loaded."""
    lines = ["CREATE SCHEMA IF NOT EXISTS bi;"]
    for table in tables:
        partitioned = ", hive_partitioning = true, hive_types_autocast = false" if table.day else ""
        lines.append(
            f"CREATE OR REPLACE VIEW bi.{table.name} AS\n"
            f"SELECT * FROM read_parquet('{_quoted(place)}/{table.name}/**/*.parquet'{partitioned});"
        )
    measures = ",\n".join(f"  {m.sql()} AS {m.slug}" for m in MEASURES if m.kind is not Kind.SHARE)
    lines.append(f"CREATE OR REPLACE VIEW bi.month AS\nSELECT month,\n{measures}\nFROM bi.fact_call GROUP BY month;")
    return "\n\n".join(lines) + "\n"


def spark(tables: tuple[ExportTable, ...], place: str) -> str:
    """External tables of Spark SQL; it finds the months of a partitioned one by itself when told to."""
    lines = ["CREATE DATABASE IF NOT EXISTS bi;"]
    for table in tables:
        columns = ",\n".join(_column(column, _SPARK, "COMMENT") for column in table.columns)
        month = ",\n  month STRING" if table.day else ""
        cut = "\nPARTITIONED BY (month)" if table.day else ""
        lines.append(
            f"CREATE TABLE IF NOT EXISTS bi.{table.name} (\n{columns}{month}\n) USING PARQUET{cut}\n"
            f"LOCATION '{_quoted(place)}/{table.name}';"
        )
        if table.day:
            lines.append(f"MSCK REPAIR TABLE bi.{table.name};")
    return "\n\n".join(lines) + "\n"


def trino(tables: tuple[ExportTable, ...], place: str) -> str:
    """External tables of Trino's hive connector, in a catalog named `hive`."""
    lines = ["CREATE SCHEMA IF NOT EXISTS hive.bi;"]
    for table in tables:
        columns = ",\n".join(_column(column, _TRINO, "COMMENT") for column in table.columns)
        month = ",\n  month VARCHAR" if table.day else ""
        options = [f"external_location = '{_quoted(place)}/{table.name}'", "format = 'PARQUET'"]
        options += ["partitioned_by = ARRAY['month']"] if table.day else []
        lines.append(
            f"CREATE TABLE IF NOT EXISTS hive.bi.{table.name} (\n{columns}{month}\n)\nWITH ({', '.join(options)});"
        )
        if table.day:
            lines.append(f"CALL hive.system.sync_partition_metadata('bi', '{table.name}', 'FULL');")
    return "\n\n".join(lines) + "\n"


def athena(tables: tuple[ExportTable, ...], place: str) -> str:
    """External tables of Athena, to be run one statement at a time."""
    lines = ["CREATE DATABASE IF NOT EXISTS bi;"]
    for table in tables:
        columns = ",\n".join(_column(column, _SPARK, "COMMENT", quote="`") for column in table.columns)
        cut = "\nPARTITIONED BY (month STRING)" if table.day else ""
        lines.append(
            f"CREATE EXTERNAL TABLE IF NOT EXISTS bi.{table.name} (\n{columns}\n){cut}\nSTORED AS PARQUET\n"
            f"LOCATION '{_quoted(place)}/{table.name}/';"
        )
        if table.day:
            lines.append(f"MSCK REPAIR TABLE bi.{table.name};")
    return "\n\n".join(lines) + "\n"


_ENGINES: Mapping[str, Render] = {"duckdb": duckdb, "spark": spark, "trino": trino, "athena": athena}


def _column(column: ExportColumn, types: Mapping[ColumnType, str], comment: str, quote: str = "") -> str:
    name = f"{quote}{column.name}{quote}" if quote else column.name
    return f"  {name} {types[column.type]} {comment} '{_quoted(column.description)}'"


def _quoted(text: str) -> str:
    return text.replace("'", "''")
