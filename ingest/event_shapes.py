"""What each store writes of a created object, turned into the keys that the object may have. Pure.

Every reader takes one record and returns the object once for each key that it can have, the likeliest first. What
announces nothing raises NothingAnnounced; what is no record of that store raises BadRecord, and nothing else is raised.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, unquote_plus, unquote_to_bytes

from calls.recording import ObjectRef

# S3's own limit. A longer key can name nothing, and asking a store for it is answered with an error of another kind.
MAX_KEY_BYTES = 1024
# Bucket, version and eTag are a few dozen characters wherever they are known from.
MAX_NAME_CHARS = 1024

# Whose events carry the key as it is; all others encode it as a form does, MinIO and RustFS even the slashes.
_RAW_SOURCE = "ceph:s3"
# A data lake tells of a file when it is opened for writing; a second event, FlushWithClose or SftpCommit, ends it.
_OPENING_CALLS = frozenset({"CreateFile", "SftpCreate"})
_CREATED = ("ObjectCreated:", "s3:ObjectCreated:")
# In a data lake a file may get its name when it is whole: the rename is all that tells of it.
_BLOB_EVENTS = frozenset({"Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobRenamed"})
_CONTAINERS, _BLOBS = "/blobServices/default/containers/", "/blobs/"


class NothingAnnounced(Exception):
    """The record is well and tells of no new object; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class BadRecord(Exception):
    """The record is none that its source writes."""


def read_s3_record(record: Mapping[str, Any], plain_address: object = None) -> tuple[ObjectRef, ...]:
    """One of S3's `Records`, by whichever store; `plain_address` is MinIO's `bucket/key` beside the records."""
    if not text_of(record.get("eventName")).startswith(_CREATED):
        raise NothingAnnounced("not_created")
    s3 = mapping_of(record.get("s3"))
    described = mapping_of(s3.get("object"))
    bucket, key = text_of(mapping_of(s3.get("bucket")).get("name")), text_of(described.get("key"))
    decoded = _decoded(key)
    keys = [key, decoded] if record.get("eventSource") == _RAW_SOURCE else [decoded, key]
    if plain_address:
        plain = text_of(plain_address)
        if bucket and plain.startswith(f"{bucket}/"):
            keys.insert(0, plain.removeprefix(f"{bucket}/"))
    return _named(bucket, keys, described.get("size"), described.get("eTag"), described.get("versionId"))


def read_eventbridge(message: Mapping[str, Any]) -> tuple[ObjectRef, ...]:
    """One event of S3 by way of EventBridge, which writes keys as they are."""
    if message.get("detail-type") != "Object Created":
        raise NothingAnnounced("not_created")
    detail = mapping_of(message.get("detail"))
    described = mapping_of(detail.get("object"))
    bucket, key = text_of(mapping_of(detail.get("bucket")).get("name")), text_of(described.get("key"))
    keys = [key, unquote_plus(key)]
    return _named(bucket, keys, described.get("size"), described.get("etag"), described.get("version-id"))


def read_blob_event(event: Mapping[str, Any]) -> tuple[ObjectRef, ...]:
    """One event of Azure Storage by way of Event Grid, in its own schema or as a CloudEvent."""
    if event_type(event) not in _BLOB_EVENTS:
        raise NothingAnnounced("not_created")
    told = mapping_of(event.get("data"))
    size = told.get("contentLength")
    if text_of(told.get("api")) in _OPENING_CALLS and not _size(size):
        raise NothingAnnounced("not_finished")
    container, path = _subject_parts(text_of(event.get("subject")))
    container, in_url = _url_parts(text_of(told.get("destinationUrl") or told.get("url")), container)
    # The URL is encoded by definition, the subject is not; whoever writes either differently is found by the rest.
    keys = [unquote(in_url), path, unquote(path), in_url]
    return _named(container, keys, size, told.get("eTag"), None)


def event_type(event: Mapping[str, Any]) -> str:
    """The type of an event of Event Grid (`eventType`) or of a CloudEvent (`type`); empty when it is neither."""
    if text_of(event.get("specversion")).startswith("1."):
        return text_of(event.get("type"))
    return text_of(event.get("eventType"))


def text_of(value: object) -> str:
    """The value where it is text that can be stored and sent on, else nothing."""
    if isinstance(value, str) and "\0" not in value and (value.isascii() or _is_unicode(value)):
        return value
    return ""


def mapping_of(value: object) -> Mapping[str, Any]:
    """The value where it is a JSON object, else an empty one."""
    # The first question is quick, the second takes in every kind of mapping.
    return value if type(value) is dict or isinstance(value, Mapping) else {}


def _decoded(key: str) -> str:
    # In most keys nothing else is encoded, and each of the two is soon found.
    key = key.replace("%2F", "/").replace("%3A", ":")
    if "%" not in key and "+" not in key:
        return key
    # What unquote_plus does, which looks for other letters in every key.
    return unquote_to_bytes(key.replace("+", " ")).decode(errors="replace") if key.isascii() else unquote_plus(key)


def _named(bucket: str, keys: Sequence[str], size: object, etag: object, version: object) -> tuple[ObjectRef, ...]:
    size_bytes = _size(size)
    version_id = text_of(version)[:MAX_NAME_CHARS] if version else ""
    bare_etag = text_of(etag)[:MAX_NAME_CHARS].strip('"')
    if version_id == "null":
        version_id = ""
    refs = []
    for key in dict.fromkeys(keys):
        if key and "\0" not in key and len(key if key.isascii() else key.encode()) <= MAX_KEY_BYTES:
            refs.append(ObjectRef(bucket, key, version_id, bare_etag, size_bytes))
    if not refs or not bucket or len(bucket) > MAX_NAME_CHARS:
        raise BadRecord
    return tuple(refs)


def _subject_parts(subject: str) -> tuple[str, str]:
    if not subject.startswith(_CONTAINERS):
        return "", ""
    container, _, path = subject.removeprefix(_CONTAINERS).partition(_BLOBS)
    return container, path


def _url_parts(url: str, container: str) -> tuple[str, str]:
    """Container and path of a blob's address; an emulator's has the account's name before them."""
    _, _, rest = url.partition("://")
    _, _, path = rest.partition("/")
    first, _, behind = path.partition("/")
    if container and first != container and behind.startswith(f"{container}/"):
        return container, behind.removeprefix(f"{container}/")
    return container or first, behind if container in {"", first} else ""


def _size(value: object) -> int | None:
    if type(value) is int:
        return value if 0 <= value < 10**18 else None
    # Ceph writes the size as text.
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
    return None


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair, which JSON can write and UTF-8 cannot.
        return False
    return True
