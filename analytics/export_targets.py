"""Where an export goes: a folder, or a bucket of an object store. What is written so far is noted, so that an export
that was cut off goes on where it stood.

A reader who waits for the manifest and compares its checksums never takes half an export for a whole one. In a folder,
everything is written beside first and renamed at the end. In a bucket, an object is there whole or not at all.
"""

import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from analytics.export_pieces import Entry
from calls.errors import CallwiseError, ObjectGone
from engines.objects import ObjectStore

MANIFEST = "manifest.json"
_BESIDE = ".writing"
_JOURNAL = "journal.jsonl"
# An upload that is lost with its note is done again: no note is longer in coming than this.
_NOTE_EVERY_S = 1.0


class ExportFailed(CallwiseError):
    """The files could not be written; what was there before is still there."""

    code = "export_failed"


class Target(Protocol):
    """One place for exports. Paths are relative, with `/`. Raises OSError or what an object store raises."""

    place: str

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the place for one export. Raises ExportFailed when another export is writing there."""
        yield

    def listed(self) -> dict[str, Entry]:
        """The last manifest's entries by path."""

    def known(self) -> dict[str, Entry]:
        """What is there, by path: the last manifest's entries, and over them what an export cut off has written."""

    def has(self, entry: Entry) -> bool:
        """Whether the file of this entry of `known` is there, with its size."""

    def beside(self, path: str) -> Path:
        """The file on this machine into which the content of `path` is to be written."""

    def keep(self, entry: Entry) -> None:
        """The file beside is whole: keep it, and note that it is."""

    def drop(self, path: str) -> None:
        """The file beside is what is there already."""

    def close(self, manifest: Mapping[str, Any], stale: Collection[str]) -> None:
        """Put what was kept in place, remove the stale files, then write the manifest."""


class FolderTarget:
    """A folder on this machine or a share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = str(folder)
        self._beside = folder / _BESIDE
        self._kept: dict[str, Entry] = {}

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the folder by a lock that ends with this process."""
        self._beside.mkdir(parents=True, exist_ok=True)
        with (self._beside / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ExportFailed(f"another export is writing to {self.place}") from None
            yield

    def listed(self) -> dict[str, Entry]:
        """The manifest's entries."""
        return _entries_of(_read(self._folder / MANIFEST))

    def known(self) -> dict[str, Entry]:
        """The manifest's entries, and what the journal says."""
        self._kept = _noted(_read(self._beside / _JOURNAL))
        return self.listed() | self._kept

    def has(self, entry: Entry) -> bool:
        """Beside, or in place already."""
        path = entry["path"]
        places = [self._folder, self._beside] if path in self._kept else [self._folder]
        return _is_plain(path) and any(_size(f"{place}/{path}") == entry.get("bytes") for place in places)

    def beside(self, path: str) -> Path:
        """Its place below the folder beside."""
        found = self._beside / path
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def keep(self, entry: Entry) -> None:
        """Note it in the journal."""
        self._kept[entry["path"]] = entry
        with (self._beside / _JOURNAL).open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(entry) + "\n")

    def drop(self, path: str) -> None:
        """Remove the file beside, unless it is the one that an export cut off has kept: nothing else is there then."""
        if path not in self._kept:
            (self._beside / path).unlink(missing_ok=True)

    def close(self, manifest: Mapping[str, Any], stale: Collection[str]) -> None:
        """Rename, remove, write the manifest."""
        for path in self._kept:
            source = self._beside / path
            if source.is_file() and path not in stale:
                (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
                source.replace(self._folder / path)
        for path in stale:
            self._remove(path)
        text = self._beside / MANIFEST
        text.write_text(_as_text(manifest), encoding="utf-8")
        text.replace(self._folder / MANIFEST)
        shutil.rmtree(self._beside, ignore_errors=True)

    def _inside(self, relative: str) -> Path | None:
        path = (self._folder / relative).resolve()
        return path if path.is_relative_to(self._folder.resolve()) else None

    def _remove(self, relative: str) -> None:
        # The manifest is a file that anybody may have edited: nothing outside the folder is touched.
        path = self._inside(relative)
        if path is not None and path.is_file():
            path.unlink()
            folder = path.parent
            while folder != self._folder.resolve() and not any(folder.iterdir()):
                folder.rmdir()
                folder = folder.parent


class BucketTarget:
    """The keys of a bucket below `prefix`; one export at a time is the caller's care."""

    def __init__(self, store: ObjectStore, prefix: str, *, place: str) -> None:
        self._store = store
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self.place = place.rstrip("/")
        self._kept: dict[str, Entry] = {}
        self._noted_at = 0.0
        self._here: Path | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """A folder for the files on their way."""
        with tempfile.TemporaryDirectory(prefix="callwise-export-") as here:
            self._here = Path(here)
            yield

    def listed(self) -> dict[str, Entry]:
        """The manifest's entries."""
        return _entries_of(self._read(MANIFEST))

    def known(self) -> dict[str, Entry]:
        """The manifest's entries, and what the journal says."""
        self._kept = _noted(self._read(f"{_BESIDE}/{_JOURNAL}"))
        return self.listed() | self._kept

    def has(self, entry: Entry) -> bool:
        """Whether the object has that size."""
        if not _is_plain(entry["path"]):
            return False
        try:
            return self._store.head(self._prefix + entry["path"]).ref.size_bytes == entry.get("bytes")
        except ObjectGone:
            return False

    def beside(self, path: str) -> Path:
        """A file in the folder for those on their way."""
        if self._here is None:
            raise ValueError("the target is not opened")
        found = self._here / path
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    def keep(self, entry: Entry) -> None:
        """Upload it, and note it in time."""
        path = self.beside(entry["path"])
        self._store.put(self._prefix + entry["path"], path)
        path.unlink()
        self._kept[entry["path"]] = entry
        if monotonic() - self._noted_at > _NOTE_EVERY_S:
            lines = "".join(json.dumps(kept) + "\n" for kept in self._kept.values())
            self._store.put(f"{self._prefix}{_BESIDE}/{_JOURNAL}", lines.encode())
            self._noted_at = monotonic()

    def drop(self, path: str) -> None:
        """Remove the file on its way."""
        self.beside(path).unlink(missing_ok=True)

    def close(self, manifest: Mapping[str, Any], stale: Collection[str]) -> None:
        """Write the manifest; then nothing points to the stale objects."""
        self._store.put(self._prefix + MANIFEST, _as_text(manifest).encode())
        for path in stale:
            if _is_plain(path):
                self._store.delete(self._prefix + path)
        self._store.delete(f"{self._prefix}{_BESIDE}/{_JOURNAL}")

    def _read(self, path: str) -> str:
        try:
            size = self._store.head(self._prefix + path).ref.size_bytes or 0
            return self._store.read_range(self._prefix + path, 0, size).decode(errors="replace")
        except ObjectGone:
            return ""


def _as_text(manifest: Mapping[str, Any]) -> str:
    """A file a line: a manifest of thousands of files is still read by people, and quickly written."""
    about = {key: value for key, value in manifest.items() if key != "files"}
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in manifest["files"])
    return f'{json.dumps(about, ensure_ascii=False)[:-1]}, "files": [\n{lines}\n]}}\n'


def _is_plain(path: str) -> bool:
    return not path.startswith("/") and ".." not in path.split("/")


def _size(path: str) -> int | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - asked of thousands of files, and a Path costs more than the question
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _entries_of(text: str) -> dict[str, Entry]:
    try:
        return {entry["path"]: entry for entry in json.loads(text)["files"] if isinstance(entry["path"], str)}
    except (ValueError, KeyError, TypeError):
        return {}


def _noted(text: str) -> dict[str, Entry]:
    """The lines of a journal; one that was cut off is none."""
    found = {}
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            found[str(entry["path"])] = dict(entry)
        except (ValueError, KeyError, TypeError):
            continue
    return found
