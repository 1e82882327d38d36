"""An object store in memory: the fake of the others, under the same contract tests."""

import mimetypes
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from threading import Lock

from calls.errors import ObjectGone
from calls.recording import ObjectRef, StoredObject
from engines.object_keys import check_key


class MemoryStore:
    """Objects that live as long as this object does."""

    def __init__(self, bucket: str = "recordings") -> None:
        self.bucket = bucket
        self._objects: dict[str, tuple[bytes, StoredObject]] = {}
        self._lock = Lock()

    def head(self, key: str, version_id: str = "") -> StoredObject:
        """What is known of the object. There are no versions: a version id is not found."""
        if version_id:
            raise ObjectGone(f"{self.bucket} keeps no versions")
        return self._find(key)[1]

    def tags(self, key: str) -> dict[str, str]:
        """None: memory keeps no tags."""
        self._find(key)
        return {}

    def fetch(self, ref: ObjectRef, into: Path) -> None:
        """Write the object's bytes to `into`. Raises ObjectGone when its content is not the one that `ref` names."""
        content, stored = self._find(ref.key)
        if ref.etag and ref.etag != stored.ref.etag:
            raise ObjectGone("the object was replaced by another", code="object_replaced")
        into.write_bytes(content)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes from offset `start`; none behind the end."""
        return self._find(key)[0][start : start + length]

    def put(self, key: str, source: Path | bytes, *, metadata: Mapping[str, str] | None = None) -> StoredObject:
        """Keep the bytes under `key`."""
        check_key(key)
        content = source if isinstance(source, bytes) else source.read_bytes()
        stored = StoredObject(
            ObjectRef(self.bucket, key, etag=md5(content, usedforsecurity=False).hexdigest(), size_bytes=len(content)),
            content_type=mimetypes.guess_type(key)[0] or "",
            metadata={name.lower(): value for name, value in (metadata or {}).items()},
            last_modified_at=datetime.now(UTC),
        )
        with self._lock:
            self._objects[key] = (content, stored)
        return stored

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectRef]:
        """Every object under `prefix` behind `after`, in order of key."""
        with self._lock:
            found = [stored.ref for key, (_, stored) in self._objects.items() if key.startswith(prefix)]
        for ref in sorted(found, key=lambda ref: ref.key.encode()):
            if ref.key.encode() > after.encode():
                yield ref

    def delete(self, key: str) -> None:
        """Forget the object."""
        with self._lock:
            self._objects.pop(key, None)

    def erase(self, key: str) -> None:
        """Forget the object: there are no versions."""
        self.delete(key)

    def _find(self, key: str) -> tuple[bytes, StoredObject]:
        check_key(key)
        with self._lock:
            found = self._objects.get(key)
        if found is None:
            raise ObjectGone(f"{self.bucket} has no such object")
        return found
