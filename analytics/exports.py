"""Files for BI tools: CSV, Parquet, Excel. Written beside, renamed into place, the manifest last.

One export shows one moment: everything is read in one view of the database. A reader who waits for `manifest.json` and
compares its checksums never takes half an export for a whole one.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
import structlog

from analytics.export_csv import CsvWriter
from analytics.export_parquet import ParquetWriter
from analytics.export_tables import ExportTable, Rows, export_tables
from analytics.export_xlsx import write_workbook
from analytics.rollup import refresh
from calls.errors import CallwiseError
from crm.database import Database

log = structlog.get_logger()

KINDS = ("csv", "parquet", "xlsx")
MANIFEST = "manifest.json"
WORKBOOK = "callwise.xlsx"


class ExportFailed(CallwiseError):
    """The files could not be written; what was there before is still there."""

    code = "export_failed"


@dataclass(frozen=True)
class ExportedFile:
    """One file that was written; `rows` counts what it holds (of a description: the tables it describes)."""

    path: Path
    kind: str
    rows: int
    bytes: int
    sha256: str


class TableWriter(Protocol):
    """One file format that takes whole tables."""

    kind: str

    def table(self, table: ExportTable) -> AbstractContextManager[Callable[[Rows], None]]:
        """The function that adds rows to this table."""

    def finish(self, title: str, generated_at: datetime) -> dict[Path, int]:
        """Write what describes the tables; returns every file with its rows."""


def export(
    database: Database,
    kinds: Collection[str],
    out: Path,
    *,
    zone: str,
    personal_data: bool = False,
    title: str = "Callwise",
    now: datetime | None = None,
) -> tuple[ExportedFile, ...]:
    """Write the kinds (`csv`, `parquet`, `xlsx`) below the folder `out`; returns the files, without the manifest.

    The roll-ups are brought up to date first. Customers' names and numbers leave with `personal_data` only. Files of
    the last export that this one does not write again (a month that is empty now) are removed; other kinds stay as
    they are. Raises ExportFailed when the folder cannot be written.
    """
    now = now or datetime.now(UTC)
    refresh(database, zone, now)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix=".writing-") as beside:
            rows = _write(database, kinds, Path(beside), title=title, now=now, personal_data=personal_data)
            files = [_described(path, Path(beside), count) for path, count in rows.items()]
            _put_in_place(files, Path(beside), out)
        placed = tuple(ExportedFile(out / file.path, file.kind, file.rows, file.bytes, file.sha256) for file in files)
        _close_manifest(placed, kinds, out, title=title, now=now, personal_data=personal_data)
    except OSError as error:
        raise ExportFailed(f"cannot write to {out}: {error.strerror or type(error).__name__}") from error
    log.info("exported", kinds=sorted(kinds), file_count=len(placed), row_count=sum(file.rows for file in placed))
    return placed


def _write(
    database: Database, kinds: Collection[str], beside: Path, *, title: str, now: datetime, personal_data: bool
) -> dict[Path, int]:
    makers: Mapping[str, Callable[[Path], TableWriter]] = {"csv": CsvWriter, "parquet": ParquetWriter}
    writers = [make(beside / kind) for kind, make in makers.items() if kind in kinds]
    rows: dict[Path, int] = {}
    with database.read() as connection:
        _hold_still(connection)
        if writers:
            for table in export_tables(personal_data=personal_data):
                _write_table(connection, table, writers)
        for writer in writers:
            rows |= writer.finish(title, now)
        if "xlsx" in kinds:
            path = beside / WORKBOOK
            sheets = write_workbook(connection, path, title=title, now=now, personal_data=personal_data)
            rows[path] = sum(sheets.values())
    return rows


def _hold_still(connection: sa.Connection) -> None:
    """One view for all statements; SQLite's read transaction is one anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


def _write_table(connection: sa.Connection, table: ExportTable, writers: Collection[TableWriter]) -> None:
    with ExitStack() as stack:
        writes = [stack.enter_context(writer.table(table)) for writer in writers]
        for batch in filter(None, table.batches(connection)):
            for write in writes:
                write(batch)


def _described(path: Path, beside: Path, rows: int) -> ExportedFile:
    with path.open("rb") as file:
        sha256 = file_digest(file, "sha256").hexdigest()
    relative = path.relative_to(beside)
    kind = "xlsx" if relative.name == WORKBOOK else relative.parts[0]
    return ExportedFile(relative, kind, rows, path.stat().st_size, sha256)


def _put_in_place(files: Collection[ExportedFile], beside: Path, out: Path) -> None:
    for file in files:
        (out / file.path).parent.mkdir(parents=True, exist_ok=True)
        (beside / file.path).replace(out / file.path)


def _close_manifest(
    placed: Collection[ExportedFile],
    kinds: Collection[str],
    out: Path,
    *,
    title: str,
    now: datetime,
    personal_data: bool,
) -> None:
    """Remove what the last export left and this one did not write, then say what is there."""
    entries = [
        {
            "path": file.path.relative_to(out).as_posix(),
            "kind": file.kind,
            "rows": file.rows,
            "bytes": file.bytes,
            "sha256": file.sha256,
            "generated_at": now.astimezone(UTC).isoformat(),
            "personal_data": personal_data,
        }
        for file in placed
    ]
    written = {entry["path"] for entry in entries}
    for old in _last_entries(out):
        if old.get("kind") not in kinds:
            entries.append(old)
        elif old["path"] not in written:
            _remove(out, str(old["path"]))
    document = {"title": title, "files": sorted(entries, key=lambda entry: str(entry["path"]))}
    beside = out / f".{MANIFEST}.writing"
    beside.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    beside.replace(out / MANIFEST)


def _last_entries(out: Path) -> list[dict[str, Any]]:
    try:
        document = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        return [entry for entry in document["files"] if isinstance(entry["path"], str)]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return []


def _remove(out: Path, relative: str) -> None:
    path = (out / relative).resolve()
    # The manifest is a file that anybody may have edited: nothing outside the folder is touched.
    if path.is_relative_to(out.resolve()) and path.is_file():
        path.unlink()
        if path.parent.name.startswith("month="):
            shutil.rmtree(path.parent, ignore_errors=True)
