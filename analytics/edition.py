"""The exports that are there: what their manifest lists, and nothing else of the folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analytics.export_targets import MANIFEST
from calls.errors import CallwiseError

_KEYS = {
    "path": str,
    "kind": str,
    "rows": int,
    "bytes": int,
    "sha256": str,
    "generated_at": str,
    "personal_data": bool,
}


class NoSuchExport(CallwiseError):
    """The manifest lists no file of that path, or it is gone."""

    code = "no_such_export"


def folder_of(place: str) -> Path | None:
    """The folder of an exports' place; None for a bucket, whose files its readers fetch from there."""
    return None if place.startswith("s3://") else Path(place)


def listed_files(out: Path | None) -> list[dict[str, Any]]:
    """What the manifest in `out` lists, by path; nothing where there is none yet or it cannot be read."""
    if out is None:
        return []
    try:
        document = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
        entries = [entry for entry in document["files"] if _is_whole(entry)]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [{key: entry[key] for key in _KEYS} for entry in sorted(entries, key=lambda entry: str(entry["path"]))]


def listed_file(out: Path | None, relative: str) -> tuple[Path, dict[str, Any]]:
    """The file of that path and its entry. Raises NoSuchExport, also for one that lies outside of `out`."""
    entry = next((entry for entry in listed_files(out) if entry["path"] == relative), None)
    if entry is None or out is None:
        raise NoSuchExport(f"no export has the path {relative!r}")
    # The manifest is a file that anybody may have edited: nothing outside the folder is given away.
    path = (out / relative).resolve()
    if not path.is_relative_to(out.resolve()) or not path.is_file():
        raise NoSuchExport(f"no export has the path {relative!r}")
    return path, entry


def _is_whole(entry: Any) -> bool:
    return isinstance(entry, Mapping) and all(isinstance(entry.get(key), kind) for key, kind in _KEYS.items())
