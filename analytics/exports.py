"""Files for BI tools, to a folder or a bucket: written beside, put into place, the manifest last.

One export shows one moment: everything is read in one view of the database. A file whose rows cannot have changed since
the last export stays as it is; an export that was cut off goes on where it stood.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path

import sqlalchemy as sa
import structlog

from analytics import export_csv, export_parquet, export_xlsx, hyper, lake, ossie, powerbi
from analytics.export_pieces import Context, Entry, Piece
from analytics.export_tables import export_tables
from analytics.export_targets import MANIFEST, ExportFailed, FolderTarget, Target
from analytics.rollup import refresh
from calls.redaction import SensitiveFinder, find_sensitive
from crm.database import Database

log = structlog.get_logger()


def _vcon(context: Context) -> Iterator[Piece]:
    # What reads a whole call is loaded only where whole calls leave.
    from analytics.interchange import vcon_pieces

    return vcon_pieces(context)


def _pca(context: Context) -> Iterator[Piece]:
    from analytics.interchange import pca_pieces

    return pca_pieces(context)


_KINDS: Mapping[str, Callable[[Context], Iterator[Piece]]] = {
    "csv": export_csv.pieces,
    "parquet": export_parquet.pieces,
    "xlsx": export_xlsx.pieces,
    "vcon": _vcon,
    "pca": _pca,
    "powerbi": powerbi.pieces,
    "ossie": ossie.pieces,
    "lake": lake.pieces,
    "hyper": hyper.pieces,
}
KINDS = tuple(_KINDS)
# A few files about all calls; the others write a file for each call, or need a library that few have.
COMMON_KINDS = ("csv", "parquet", "xlsx", "powerbi", "ossie", "lake")
WORKBOOK = export_xlsx.WORKBOOK

__all__ = ["COMMON_KINDS", "KINDS", "MANIFEST", "WORKBOOK", "ExportFailed", "ExportedFile", "export"]


@dataclass(frozen=True)
class ExportedFile:
    """One file of the export; `rows` counts what it holds (of a description: the tables it describes).

    `path` is relative to the place, `place` says where it lies; `is_new` is False when it stayed as it was.
    """

    path: str
    place: str
    kind: str
    rows: int
    bytes: int
    sha256: str
    is_new: bool


def export(
    database: Database,
    kinds: Collection[str],
    out: Path | Target,
    *,
    zone: str | None,
    personal_data: bool = False,
    title: str = "Callwise",
    now: datetime | None = None,
    full: bool = False,
    find: SensitiveFinder = find_sensitive,
) -> tuple[ExportedFile, ...]:
    """Write the kinds (KINDS) below `out`; returns the files, without the manifest.

    The roll-ups are brought up to date first, by the site's `zone` (see `refresh`). Customers' names and numbers, and
    what was said, leave with `personal_data` only, and without it what `find` finds is marked. Files whose rows have
    not changed stay, unless `full`. Files of the last export that this one does not have any more (a month that is
    empty now) are removed; other kinds stay as they are. Raises ExportFailed when the place cannot be written, or
    another export is writing there.
    """
    now = now or datetime.now(UTC)
    target = FolderTarget(out) if isinstance(out, Path) else out
    refresh(database, zone, now)
    try:
        with target.opened(), database.read() as connection:
            _hold_still(connection)
            context = Context(
                connection,
                export_tables(personal_data=personal_data),
                title=title,
                now=now,
                personal_data=personal_data,
                find=find,
                place=target.place,
                server=_server(database),
                database_name="" if database.is_sqlite else database.url.database or "",
            )
            files = _write(context, [kind for kind in KINDS if kind in kinds], target, full=full)
    except OSError as error:
        raise ExportFailed(f"cannot write to {target.place}: {error.strerror or type(error).__name__}") from error
    new = sum(file.is_new for file in files)
    log.info("exported", kinds=sorted(kinds), file_count=len(files), written=new, rows=sum(file.rows for file in files))
    return files


def _server(database: Database) -> str:
    """Where others find the database, host:port; "" for a file. Never a name or a password."""
    url = database.url
    return "" if database.is_sqlite or not url.host else f"{url.host}:{url.port or 5432}"


def _hold_still(connection: sa.Connection) -> None:
    """One view for all statements; SQLite's read transaction is one anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


def _write(context: Context, kinds: Collection[str], target: Target, *, full: bool) -> tuple[ExportedFile, ...]:
    known = target.known()
    done: dict[str, Entry] = {}
    new: set[str] = set()
    for kind in kinds:
        for piece in _KINDS[kind](context):
            before = known.get(piece.path)
            if before is not None and not target.has(before):
                before = None
            if full or before is None or not _may_stay(before, piece, context):
                entry = _written(piece, context, target, done)
                if before is not None and _is_same(before, entry):
                    target.drop(piece.path)
                else:
                    target.keep(entry)
                    new.add(piece.path)
                before = entry
            done[piece.path] = before
    others = [entry for path, entry in known.items() if path not in done and entry.get("kind") not in kinds]
    stale = [path for path, entry in known.items() if path not in done and entry.get("kind") in kinds]
    listed = sorted([*done.values(), *others], key=lambda entry: str(entry["path"]))
    target.close({"title": context.title, "time_zone": context.zone, "files": listed}, stale)
    return tuple(
        ExportedFile(
            path,
            f"{context.place}/{path}",
            entry["kind"],
            entry["rows"],
            entry["bytes"],
            entry["sha256"],
            is_new=path in new,
        )
        for path, entry in done.items()
    )


def _may_stay(before: Entry, piece: Piece, context: Context) -> bool:
    return (
        piece.state != ""
        and before.get("state") == piece.state
        and before.get("personal_data") is context.personal_data
        and {"kind", "rows", "bytes", "sha256"} <= before.keys()
    )


def _is_same(before: Entry, entry: Entry) -> bool:
    return (before.get("bytes"), before.get("sha256")) == (entry["bytes"], entry["sha256"])


def _written(piece: Piece, context: Context, target: Target, done: Mapping[str, Entry]) -> Entry:
    path = target.beside(piece.path)
    rows = piece.write(context, path, done)
    with path.open("rb") as file:
        sha256 = file_digest(file, "sha256").hexdigest()
    return {
        "path": piece.path,
        "kind": piece.kind,
        "rows": rows,
        "bytes": path.stat().st_size,
        "sha256": sha256,
        "generated_at": context.now.astimezone(UTC).isoformat(),
        "personal_data": context.personal_data,
        "state": piece.state,
    }
