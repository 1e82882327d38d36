"""What an object store is: recordings by bucket and key, read and written whole."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from calls.recording import ObjectRef, StoredObject


class ObjectStore(Protocol):
    """One bucket of an object store.

    Keys are any text of up to 1,024 bytes: no local path is ever made from one without being checked. Every method
    raises ObjectGone (terminal) when the object is not there, TransientError when the store cannot be reached,
    EngineMisconfigured when it refuses the credentials or has no such bucket.
    """

    bucket: str

    def head(self, key: str, version_id: str = "") -> StoredObject:
        """What the store says of the object, without its bytes."""

    def tags(self, key: str) -> dict[str, str]:
        """The object's tags; none where the store keeps none."""

    def fetch(self, ref: ObjectRef, into: Path) -> None:
        """Write the object's bytes to the file `into`; it is complete or it is not there."""

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """At most `length` bytes from offset `start`."""

    def put(self, key: str, source: Path | bytes, *, metadata: Mapping[str, str] | None = None) -> StoredObject:
        """Store the bytes under `key`, all or nothing; `metadata` travels with the object."""

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectRef]:
        """Every object under `prefix`, in order of key (UTF-8 bytes), from behind the key `after`, in bounded
        memory.
        """

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is no error."""

    def erase(self, key: str) -> None:
        """Remove the object and every earlier version that the store keeps; one that is not there is no error."""
