"""CSV with a `datapackage.json` (Frictionless): types, primary and foreign keys, so that a tool can join by itself."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from analytics.export_arrow import batches, schema
from analytics.export_days import digest, whole_state
from analytics.export_pieces import Context, Entry, Piece
from analytics.export_tables import ColumnType, ExportTable

_FORM = 2
# A cell that begins with one of these is a formula to a spreadsheet program (OWASP, "CSV injection").
_FORMULA_STARTS = tuple("=+-@＝＋－＠")
# The same as RE2 says it.
_FORMULA = r"^([\s\p{Z}\x0b\x1c-\x1f\x{85}]*[=+\-@＝＋－＠]|[\t\r\n])"


def safe_text(value: str | UUID | None) -> str | None:
    """A text as it stands in the file; an apostrophe keeps a spreadsheet from taking it for a formula."""
    if value is None:
        return None
    text = str(value)
    is_formula = text.lstrip().startswith(_FORMULA_STARTS) or text.startswith(("\t", "\r", "\n"))
    return f"'{text}" if is_formula else text


def safe_texts(values: pa.Array) -> pa.Array:
    """The same for a column of texts."""
    is_formula = pc.match_substring_regex(values, _FORMULA)
    if not pc.any(is_formula, min_count=0).as_py():
        return values
    return pc.replace_substring_regex(values, pattern=_FORMULA, replacement=r"'\1")


def pieces(context: Context) -> Iterator[Piece]:
    """The file of each table, and the package's description at the end."""
    for table in context.tables:
        state = digest(f"{_FORM} {schema(table)}", whole_state(context.days_of(table))) if table.day else ""
        yield Piece(f"csv/{table.name}.csv", "csv", state, partial(_write, table))
    yield Piece("csv/datapackage.json", "csv", "", _describe)


def _write(table: ExportTable, context: Context, path: Path, _done: Mapping[str, Entry]) -> int:
    rows = 0
    written = pa.schema([pa.field(field.name, _written_type(field.type)) for field in schema(table)])
    with csv.CSVWriter(path, written) as file, closing(batches(context.connection, table)) as found:
        for batch in found:
            file.write_batch(
                pa.RecordBatch.from_arrays([_as_written(values) for values in batch.columns], written.names)
            )
            rows += batch.num_rows
    return rows


def _written_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _as_written(values: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(values.type):
        return pc.strftime(values, "%Y-%m-%dT%H:%M:%SZ")
    return safe_texts(values) if pa.types.is_string(values.type) else values


def _describe(context: Context, path: Path, done: Mapping[str, Entry]) -> int:
    package = {
        "name": "callwise",
        "title": context.title,
        "description": f"Days, weeks, months and hours are of {context.zone}; moments are UTC.",
        "profile": "tabular-data-package",
        "created": context.now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "resources": [_resource(table, done[f"csv/{table.name}.csv"]) for table in context.tables],
    }
    path.write_text(json.dumps(package, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(context.tables)


def _resource(table: ExportTable, entry: Entry) -> dict[str, Any]:
    return {
        "name": table.name,
        "path": f"{table.name}.csv",
        "profile": "tabular-data-resource",
        "scheme": "file",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "bytes": entry["bytes"],
        "hash": f"sha256:{entry['sha256']}",
        "schema": {
            "fields": [
                {
                    "name": column.name,
                    "type": column.type.value,
                    "description": column.description,
                    # An empty text and none look alike in CSV, so that a text is never required.
                    **({"constraints": {"required": True}} if _is_required(column.type, column.is_required) else {}),
                }
                for column in table.columns
            ],
            "primaryKey": list(table.primary_key),
            "foreignKeys": [
                {"fields": [column], "reference": {"resource": to_table, "fields": [to_column]}}
                for column, (to_table, to_column) in table.foreign_keys.items()
            ],
        },
    }


def _is_required(kind: ColumnType, is_required: bool) -> bool:
    return is_required and kind is not ColumnType.TEXT
