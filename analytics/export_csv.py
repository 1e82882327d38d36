"""CSV with a `datapackage.json` (Frictionless): types, primary and foreign keys, so that a tool can join by itself."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any
from uuid import UUID

from analytics.export_tables import ColumnType, ExportTable, Rows

# A cell that begins with one of these is a formula to a spreadsheet program (OWASP, "CSV injection").
_FORMULA_STARTS = tuple("=+-@＝＋－＠")


def safe_text(value: str | UUID | None) -> str | None:
    """A text as it stands in the file; an apostrophe keeps a spreadsheet from taking it for a formula."""
    if value is None:
        return None
    text = str(value)
    is_formula = text.lstrip().startswith(_FORMULA_STARTS) or text.startswith(("\t", "\r", "\n"))
    return f"'{text}" if is_formula else text


def _moment(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _flag(value: bool | None) -> str | None:
    return None if value is None else "true" if value else "false"


# The others are written as they are: a number as its digits, a date as ISO 8601, None as nothing.
_WRITTEN: dict[ColumnType, Callable[[Any], str | None]] = {
    ColumnType.TEXT: safe_text,
    ColumnType.DATETIME: _moment,
    ColumnType.BOOLEAN: _flag,
}


def _as_written(table: ExportTable, rows: Rows) -> Iterator[Sequence[Any]]:
    columns = zip(*rows, strict=True)
    as_text = [
        values if (written := _WRITTEN.get(column.type)) is None else list(map(written, values))
        for column, values in zip(table.columns, columns, strict=True)
    ]
    return zip(*as_text, strict=True)


class CsvWriter:
    """Writes each table to `NAME.csv`, and the package's description at the end."""

    kind = "csv"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self._resources: list[dict[str, Any]] = []
        self._rows: dict[Path, int] = {}

    @contextmanager
    def table(self, table: ExportTable) -> Iterator[Callable[[Rows], None]]:
        """The function that adds rows to the table's file, which is described once it is closed."""
        path = self._folder / f"{table.name}.csv"
        self._rows[path] = 0
        with path.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(column.name for column in table.columns)

            def write(rows: Rows) -> None:
                lines.writerows(_as_written(table, rows))
                self._rows[path] += len(rows)

            yield write
        with path.open("rb") as written:
            sha256 = file_digest(written, "sha256").hexdigest()
        self._resources.append(_resource(table) | {"bytes": path.stat().st_size, "hash": f"sha256:{sha256}"})

    def finish(self, title: str, generated_at: datetime) -> dict[Path, int]:
        """Write the package's description; returns the rows of each file."""
        package = {
            "name": "callwise",
            "title": title,
            "profile": "tabular-data-package",
            "created": generated_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "resources": self._resources,
        }
        path = self._folder / "datapackage.json"
        path.write_text(json.dumps(package, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return self._rows | {path: len(self._resources)}


def _resource(table: ExportTable) -> dict[str, Any]:
    return {
        "name": table.name,
        "path": f"{table.name}.csv",
        "profile": "tabular-data-resource",
        "scheme": "file",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
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
