"""Messages about recordings, read: which objects were created, and what telephony wrote of its calls. Pure.

Events come at least once and in any order, and what they say of an object may be old by the time it is read: they are a
reason to look, and what the store answers is the truth. Keys are written differently by each store, so that each object
comes with every key that it can have, the likeliest first.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic_core import from_json

from calls.errors import TerminalError
from calls.recording import ObjectRef
from ingest.event_shapes import (
    BadRecord,
    NothingAnnounced,
    event_type,
    mapping_of,
    read_blob_event,
    read_eventbridge,
    read_s3_record,
    text_of,
)

# Queues carry at most 1 MiB, brokers more: what is larger is no storage event.
MAX_EVENT_BYTES = 1 << 20
# SQS around SNS around S3, and one more for somebody's forwarder.
MAX_DEPTH = 4
# A validation code is a UUID.
_MAX_CODE_CHARS = 200

_BOM = "\ufeff"

Body = bytes | str | Mapping[str, Any] | Sequence[Any]
_Reader = Callable[..., tuple[ObjectRef, ...]]


class UnreadableEvent(TerminalError):
    """Nobody can read this message (`not_utf8`, `not_json`, `too_large`, `too_deep`, `unknown_shape`)."""

    code = "unknown_shape"


class Announced(NamedTuple):
    """One object that was created: every key that it may have, the likeliest first."""

    candidates: tuple[ObjectRef, ...]


@dataclass(slots=True)
class Announcement:
    """What one message says.

    `ignored` and `unreadable` hold a code for each record that announces nothing. `records` are telephony's own records
    of calls, as they came (`ingest.contact_records` reads them). `handshake` is the code that Event Grid wants to have
    back before it sends to an HTTP address; empty where it asks for none.
    """

    objects: list[Announced] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    records: list[Mapping[str, Any]] = field(default_factory=list)
    handshake: str = ""


def read_event(body: Body, into: Announcement | None = None) -> Announcement:
    """Read one message: S3, MinIO, RustFS, Ceph, EventBridge, Event Grid or a contact record, bare or wrapped. What it
    says is added to `into`.

    Raises UnreadableEvent when the message as a whole cannot be read; bad records do not hide the good ones.
    """
    announcement = Announcement() if into is None else into
    _read(body, announcement, depth=0)
    return announcement


def _read(body: object, into: Announcement, *, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise UnreadableEvent("wrapped more often than any known service does", code="too_deep")
    message = _decode(body) if isinstance(body, (bytes, str)) else body
    # The first question is quick, the second takes in every kind of mapping.
    if type(message) is dict or isinstance(message, Mapping):
        _read_message(message, into, depth=depth)
    elif isinstance(message, Sequence) and not isinstance(message, bytes | str):
        _read_batch(message, into, depth=depth)
    else:
        raise UnreadableEvent("no JSON object")


def _read_message(message: Mapping[str, Any], into: Announcement, *, depth: int) -> None:
    # What S3, MinIO and Ceph write, first: it is nearly all that comes.
    records = message.get("Records")
    if isinstance(records, list):
        _read_records(message, records, into, depth=depth)
        return
    kind, source = text_of(message.get("Type")), text_of(message.get("source"))
    if _is_contact_record(message):
        into.records.append(message)
    elif message.get("Event") == "s3:TestEvent":
        into.ignored.append("test_event")
    elif kind == "Notification" and "Message" in message:
        _read(message["Message"], into, depth=depth + 1)
    elif kind in {"SubscriptionConfirmation", "UnsubscribeConfirmation"}:
        into.ignored.append("subscription")
    elif source == "aws.s3" and isinstance(message.get("detail"), Mapping):
        _note_object(read_eventbridge, message, into)
    elif source == "aws.connect" and isinstance(message.get("detail"), Mapping):
        _read_connect_event(message["detail"], into)
    elif event_type(message).startswith(("Microsoft.Storage.", "Microsoft.EventGrid.")):
        _read_event_grid(message, into)
    elif _stream_data(message) is not None:
        _read(_stream_data(message), into, depth=depth + 1)
    else:
        raise UnreadableEvent("no event that is known")


def _decode(body: bytes | str) -> object:
    if len(body) > MAX_EVENT_BYTES:
        raise UnreadableEvent(f"longer than {MAX_EVENT_BYTES} bytes", code="too_large")
    try:
        # In half the time of the standard library's: what it refuses, that one says.
        return from_json(body)
    except (ValueError, TypeError):
        # TypeError: text with half of a surrogate pair, which JSON in JSON can write.
        pass
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
    except UnicodeDecodeError:
        raise UnreadableEvent("no UTF-8", code="not_utf8") from None
    try:
        # Windows' tools put a byte order mark before it.
        return json.loads(text.removeprefix(_BOM))
    except (ValueError, RecursionError):
        raise UnreadableEvent("no JSON", code="not_json") from None


def _read_batch(messages: Sequence[object], into: Announcement, *, depth: int) -> None:
    """An array, as Event Grid sends it: each event by itself. When none of them can be read, the whole cannot."""
    if not messages:
        into.ignored.append("no_records")
        return
    bad_count = 0
    for message in messages:
        try:
            _read(message if isinstance(message, Mapping) else None, into, depth=depth + 1)
        except UnreadableEvent:
            bad_count += 1
    if bad_count == len(messages):
        raise UnreadableEvent("no event that is known among them")
    into.unreadable += ["bad_record"] * bad_count


def _read_records(message: Mapping[str, Any], records: Sequence[object], into: Announcement, *, depth: int) -> None:
    if not records:
        into.ignored.append("no_records")
    # MinIO and RustFS repeat bucket and key beside the records, as they are; they send one record in a message.
    plain_address = message.get("Key") if len(records) == 1 else None
    for record in records:
        if type(record) is not dict and not isinstance(record, Mapping):
            into.unreadable.append("bad_record")
        elif _is_contact_record(record):
            into.records.append(record)
        elif _stream_data(record) is not None:
            try:
                _read(_stream_data(record), into, depth=depth + 1)
            except UnreadableEvent:
                into.unreadable.append("bad_record")
        else:
            _note_object(read_s3_record, record, into, plain_address)


def _note_object(read: _Reader, record: Mapping[str, Any], into: Announcement, *beside: object) -> None:
    try:
        into.objects.append(Announced(read(record, *beside)))
    except NothingAnnounced as reason:
        into.ignored.append(reason.code)
    except BadRecord:
        into.unreadable.append("bad_record")


def _read_event_grid(event: Mapping[str, Any], into: Announcement) -> None:
    kind = event_type(event)
    if not kind.startswith("Microsoft.EventGrid."):
        _note_object(read_blob_event, event, into)
        return
    into.ignored.append("subscription")
    if kind == "Microsoft.EventGrid.SubscriptionValidationEvent":
        code = text_of(mapping_of(event.get("data")).get("validationCode"))
        into.handshake = code if len(code) <= _MAX_CODE_CHARS else ""


def _is_contact_record(message: Mapping[str, Any]) -> bool:
    return "ContactId" in message and bool(text_of(message["ContactId"]))


def _read_connect_event(detail: Mapping[str, Any], into: Announcement) -> None:
    # Most of Connect's events name a contact and say nothing else that a call's record would.
    if _is_contact_record(detail) and ("InitiationTimestamp" in detail or "Agent" in detail):
        into.records.append(detail)
    else:
        into.ignored.append("no_contact_record")


def _stream_data(record: Mapping[str, Any]) -> bytes | None:
    """What a Kinesis record carries (Connect streams contact records): None when it is none."""
    if record.get("eventSource") != "aws:kinesis":
        return None
    encoded = text_of(record.get("data")) or text_of(mapping_of(record.get("kinesis")).get("data"))
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return b""
