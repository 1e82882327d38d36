"""An object store that is a folder: for one machine, and for recorders that write to a share."""

import json
import mimetypes
import os
import shutil
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import md5
from heapq import merge
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import Any

from calls.errors import CallwiseError, EngineMisconfigured, ObjectGone, TerminalError, TransientError
from calls.recording import ObjectRef, StoredObject
from engines import folder_paths
from engines.object_keys import check_key

_BLOCK = 1 << 20
_REMEMBERED_ETAGS = 10_000


class FolderStore:
    """Objects as files below `root`. The eTag is the MD5 of the content: the same bytes put twice are the same object.

    Beside the objects, the hidden side folder notes each one's eTag and metadata with the size and time of its
    file: a note counts only while both still fit, so a file that somebody replaced by hand is looked at anew.
    """

    def __init__(self, root: Path, *, bucket: str) -> None:
        self.root = root
        self.bucket = bucket
        self._etags: OrderedDict[tuple[str, int, int], str] = OrderedDict()
        self._lock = Lock()

    def head(self, key: str, version_id: str = "") -> StoredObject:
        """What is known of the object. A folder keeps no versions: a version id is not found."""
        if version_id:
            raise ObjectGone(f"a folder keeps no versions: {self.bucket} has no version {version_id!r}")
        with _translated():
            path, stat = self._find(key)
            try:
                return self._describe(key, path, stat)
            except PermissionError as error:
                # Of this one file: it must not hold up the others, and is looked at again by the next scan.
                raise TerminalError("no right to read the file", code="not_readable") from error

    def tags(self, key: str) -> dict[str, str]:
        """None: a folder keeps no tags."""
        with _translated():
            self._find(key)
        return {}

    def fetch(self, ref: ObjectRef, into: Path) -> None:
        """Copy the object's bytes to `into`. Raises ObjectGone when its content is not the one that `ref` names."""
        with _translated():
            path, stat = self._find(ref.key)
            if ref.etag and self._etag(ref.key, path, stat) != ref.etag:
                raise ObjectGone("the object was replaced by another", code="object_replaced")
            part = into.with_name(f".{token_hex(8)}{folder_paths.PART_SUFFIX}")
            try:
                shutil.copyfile(path, part)
                part.replace(into)
            finally:
                part.unlink(missing_ok=True)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes from offset `start`; none behind the end."""
        with _translated():
            path, _ = self._find(key)
            with path.open("rb") as file:
                file.seek(start)
                return file.read(length)

    def put(self, key: str, source: Path | bytes, *, metadata: Mapping[str, str] | None = None) -> StoredObject:
        """Write the bytes beside and rename them into place: a watcher sees the whole object or nothing."""
        check_key(key)
        with _translated():
            path = self._place(key)
            part = path.with_name(f".{token_hex(8)}{folder_paths.PART_SUFFIX}")
            try:
                if isinstance(source, bytes):
                    part.write_bytes(source)
                else:
                    shutil.copyfile(source, part)
                stat = part.stat()
                kept = {name.lower(): value for name, value in (metadata or {}).items()}
                self._write_note(key, stat, _md5(part), kept, is_put=True)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
            for other in self._places(key):
                if other != path and self._lies(other):
                    other.unlink(missing_ok=True)
            return self.head(key)

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectRef]:
        """Every object under `prefix` behind `after`, in order of key; memory is bounded by the largest folder.

        A file that we may not read is listed without an eTag; a folder that we may not read is left out, and logged.
        """
        with _translated():
            self._require_root()
        wanted, behind = prefix.encode(), after.encode()
        both = merge(
            folder_paths.walk(self.root, wanted, behind),
            folder_paths.walk_escaped(self.root, wanted, behind),
            key=lambda pair: pair[0],
        )
        last = None
        for raw_key, entry in both:
            if raw_key == last:
                continue
            last = raw_key
            key = raw_key.decode(errors="replace")
            try:
                stat = entry.stat(follow_symlinks=False)
                etag = self._etag(key, Path(entry.path), stat)
            except FileNotFoundError:
                continue
            except PermissionError:
                etag = ""
            yield ObjectRef(self.bucket, key, etag=etag, size_bytes=stat.st_size)

    def delete(self, key: str) -> None:
        """Remove the object and what was noted about it."""
        with _translated():
            try:
                self._find(key)
            except ObjectGone:
                return
            for path in self._places(key):
                if self._lies(path):
                    path.unlink(missing_ok=True)
            self._note_path(key).unlink(missing_ok=True)

    def erase(self, key: str) -> None:
        """Remove the object and what was noted about it; a folder keeps no versions. The folders that it lay in stay:
        recorders write to them.
        """
        self.delete(key)
        with _translated():
            # A note outlives a file that somebody removed by hand.
            self._note_path(key).unlink(missing_ok=True)
        with self._lock:
            for mark in [mark for mark in self._etags if mark[0] == key]:
                del self._etags[mark]

    def key_of(self, path: Path) -> str | None:
        """The key of the object that lies at `path`; None for a path where none lies, such as an unfinished one."""
        return folder_paths.key_of(self.root, path)

    def prefix_of(self, folder: Path) -> str | None:
        """The prefix of the keys below that folder, empty for those of odd names; None where no objects lie."""
        return folder_paths.prefix_of(self.root, folder)

    def size_and_mtime(self, key: str) -> tuple[int, int] | None:
        """The file's size in bytes and its time in nanoseconds, without reading it; None when it is not there."""
        try:
            _, stat = self._find(key)
        except (CallwiseError, OSError):
            return None
        return stat.st_size, stat.st_mtime_ns

    def was_put_whole(self, key: str) -> bool:
        """Whether the file is as `put` renamed it into place, so that nobody can still be writing it."""
        try:
            _, stat = self._find(key)
        except (CallwiseError, OSError):
            return False
        note = self._read_note(key, stat)
        return note is not None and note.get("is_put") is True

    def _find(self, key: str) -> tuple[Path, os.stat_result]:
        check_key(key)
        for path in self._places(key):
            if self._lies(path):
                return path, path.stat()
        self._require_root()
        raise ObjectGone(f"{self.bucket} has no such object")

    def _places(self, key: str) -> Iterator[Path]:
        """Where the object may lie."""
        if folder_paths.may_lie(key):
            yield folder_paths.plain_path(self.root, key)
        yield folder_paths.escaped_path(self.root, key)

    def _lies(self, path: Path) -> bool:
        # A link could lead out of the folder: neither the file nor a folder above it may be one.
        return path.is_file() and path.resolve() == self.root.resolve() / path.relative_to(self.root)

    def _require_root(self) -> None:
        """Raise EngineMisconfigured when the folder is not there, and PermissionError when it may not be read."""
        try:
            os.scandir(self.root).close()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise EngineMisconfigured(f"the folder {self.root} is not there (CALLWISE_OBJECTS__FOLDER)") from error

    def _place(self, key: str) -> Path:
        if folder_paths.is_plain(key):
            path = folder_paths.plain_path(self.root, key)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                inside = path.parent.resolve() == self.root.resolve() / path.parent.relative_to(self.root)
                if inside and not path.is_dir() and not path.is_symlink():
                    return path
            except (FileExistsError, NotADirectoryError):
                pass  # `a` is a file already, so `a/b` cannot lie below it
        path = folder_paths.escaped_path(self.root, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _describe(self, key: str, path: Path, stat: os.stat_result) -> StoredObject:
        note = self._read_note(key, stat)
        etag = note["etag"] if note else self._etag(key, path, stat)
        return StoredObject(
            ObjectRef(self.bucket, key, etag=etag, size_bytes=stat.st_size),
            content_type=mimetypes.guess_type(key)[0] or "",
            metadata=note["metadata"] if note else {},
            last_modified_at=datetime.fromtimestamp(stat.st_mtime, UTC),
        )

    def _etag(self, key: str, path: Path, stat: os.stat_result) -> str:
        mark = (key, stat.st_size, stat.st_mtime_ns)
        with self._lock:
            if mark in self._etags:
                self._etags.move_to_end(mark)
                return self._etags[mark]
        note = self._read_note(key, stat)
        if note:
            etag = str(note["etag"])
        else:
            etag = _md5(path)
            if path.stat().st_mtime_ns == stat.st_mtime_ns:
                self._write_note(key, stat, etag, {})
        with self._lock:
            self._etags[mark] = etag
            if len(self._etags) > _REMEMBERED_ETAGS:
                self._etags.popitem(last=False)
        return etag

    def _note_path(self, key: str) -> Path:
        return folder_paths.escaped_path(self.root, key, under="notes")

    def _read_note(self, key: str, stat: os.stat_result) -> dict[str, Any] | None:
        try:
            note = json.loads(self._note_path(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        fits = isinstance(note, dict) and (note.get("size"), note.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns)
        return note if fits else None

    def _write_note(
        self, key: str, stat: os.stat_result, etag: str, metadata: Mapping[str, str], *, is_put: bool = False
    ) -> None:
        path = self._note_path(key)
        part = path.with_name(f".{token_hex(8)}{folder_paths.PART_SUFFIX}")
        note = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "etag": etag, "metadata": dict(metadata)}
        note |= {"is_put": True} if is_put else {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(note), encoding="utf-8")
            part.replace(path)
        except OSError:
            # A folder that we may only read: eTags are then computed anew by each process. Metadata is never dropped.
            if metadata:
                raise


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the operating system says into what an object store says."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectGone("the object is not there any more") from error
    except PermissionError as error:
        raise EngineMisconfigured(f"no right to {error.filename} (CALLWISE_OBJECTS__FOLDER)") from error
    except OSError as error:
        raise TransientError(f"the folder store says: {error.strerror}", code="store_unreachable") from error


def _md5(path: Path) -> str:
    digest = md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
