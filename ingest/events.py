"""Storage events, read: which objects were created. Pure: nothing here asks a store or a database.

Events come at least once and in any order, and what they say of an object may be old by the time it is read: they are a
reason to look, and what the store answers is the truth. Keys are written differently by each store, so that each object
comes with every key that it can have, the likeliest first.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from calls.errors import TerminalError
from calls.recording import ObjectRef

# Queues carry at most 256 KB, brokers more: what is larger is no storage event.
MAX_EVENT_BYTES = 1 << 20
# SQS around SNS around S3, and one more for somebody's forwarder.
MAX_DEPTH = 4

Body = bytes | str | Mapping[str, Any]

# Sources whose events carry the key as it is; all others encode it as a query string.
_RAW_SOURCES = frozenset({"ceph:s3"})


class UnreadableEvent(TerminalError):
    """Nobody can read this message (`not_utf8`, `not_json`, `too_large`, `too_deep`, `unknown_shape`)."""

    code = "unknown_shape"


@dataclass(frozen=True)
class Announced:
    """One object that was created: every key that it may have, the likeliest first."""

    candidates: tuple[ObjectRef, ...]


@dataclass
class Announcement:
    """What one message says. `ignored` and `unreadable` hold a code for each record that announces nothing."""

    objects: list[Announced] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def read_event(body: Body) -> Announcement:
    """Read one message of a store: S3, MinIO, Ceph or EventBridge, bare or wrapped by SNS and SQS.

    Raises UnreadableEvent when the message as a whole cannot be read; bad records do not hide the good ones.
    """
    announcement = Announcement()
    _read(body, announcement, depth=0)
    return announcement


def _read(body: object, into: Announcement, *, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise UnreadableEvent("wrapped more often than any known service does", code="too_deep")
    message = _decode(body) if isinstance(body, bytes | str) else body
    if not isinstance(message, Mapping):
        raise UnreadableEvent("no JSON object")
    if isinstance(message.get("Records"), list):
        _read_records(message, into)
    elif message.get("Event") == "s3:TestEvent":
        into.ignored.append("test_event")
    elif message.get("Type") == "Notification" and "Message" in message:
        _read(message["Message"], into, depth=depth + 1)
    elif message.get("Type") in {"SubscriptionConfirmation", "UnsubscribeConfirmation"}:
        into.ignored.append("subscription")
    elif message.get("source") == "aws.s3" and isinstance(message.get("detail"), Mapping):
        _read_eventbridge(message, into)
    else:
        raise UnreadableEvent("no storage event that is known")


def _decode(body: bytes | str) -> object:
    if len(body) > MAX_EVENT_BYTES:
        raise UnreadableEvent(f"longer than {MAX_EVENT_BYTES} bytes", code="too_large")
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
    except UnicodeDecodeError:
        raise UnreadableEvent("no UTF-8", code="not_utf8") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadableEvent("no JSON", code="not_json") from None


def _read_records(message: Mapping[str, Any], into: Announcement) -> None:
    records: Sequence[object] = message["Records"]
    if not records:
        into.ignored.append("no_records")
    for record in records:
        if not isinstance(record, Mapping):
            into.unreadable.append("bad_record")
        elif not str(record.get("eventName", "")).removeprefix("s3:").startswith("ObjectCreated:"):
            into.ignored.append("not_created")
        else:
            # MinIO repeats bucket and key beside the records, as they are; it sends one record in a message.
            plain = message.get("Key") if len(records) == 1 else None
            _read_record(record, plain, into)


def _read_record(record: Mapping[str, Any], plain_address: object, into: Announcement) -> None:
    s3 = _mapping(record.get("s3"))
    described = _mapping(s3.get("object"))
    bucket, key = _mapping(s3.get("bucket")).get("name"), described.get("key")
    if not isinstance(bucket, str) or not isinstance(key, str) or not bucket or not key:
        into.unreadable.append("bad_record")
        return
    keys = [unquote_plus(key), key]
    if record.get("eventSource") in _RAW_SOURCES:
        keys.reverse()
    if isinstance(plain_address, str) and plain_address.startswith(f"{bucket}/"):
        keys.insert(0, plain_address.removeprefix(f"{bucket}/"))
    into.objects.append(
        _announced(bucket, keys, described, version=described.get("versionId"), etag=described.get("eTag"))
    )


def _read_eventbridge(message: Mapping[str, Any], into: Announcement) -> None:
    if message.get("detail-type") != "Object Created":
        into.ignored.append("not_created")
        return
    detail = _mapping(message["detail"])
    described = _mapping(detail.get("object"))
    bucket, key = _mapping(detail.get("bucket")).get("name"), described.get("key")
    if not isinstance(bucket, str) or not isinstance(key, str) or not bucket or not key:
        into.unreadable.append("bad_record")
        return
    keys = [key, unquote_plus(key)]
    into.objects.append(
        _announced(bucket, keys, described, version=described.get("version-id"), etag=described.get("etag"))
    )


def _announced(
    bucket: str, keys: Sequence[str], described: Mapping[str, Any], *, version: object, etag: object
) -> Announced:
    version_id = version if isinstance(version, str) and version != "null" else ""
    bare_etag = etag.strip('"') if isinstance(etag, str) else ""
    size_bytes = _size(described.get("size"))
    return Announced(
        tuple(ObjectRef(bucket, key, version_id, bare_etag, size_bytes) for key in dict.fromkeys(keys) if key)
    )


def _size(value: object) -> int | None:
    # Ceph writes the size as text.
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
