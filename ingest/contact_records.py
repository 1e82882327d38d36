"""Amazon Connect's contact records: alone beside a recording, or many together as a stream delivers them.

Source: Amazon Connect, "Data model for contact records": delivered at least once, sent again when anything changes, and
new fields come at any time.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calls.recording import Direction
from calls.telling import Rank, Telling
from ingest.told import Told, storable, tell
from ingest.values import (
    Locality,
    as_list,
    as_mapping,
    as_texts,
    read_count,
    read_moment,
    read_number,
    read_seconds,
    read_text,
)

SYSTEM = "connect"
# What a stream writes into one object: Firehose gathers 5 MB where nothing else is set.
MAX_RECORDS_BYTES = 8 << 20
# Records that cannot be read; behind these a file is no file of records.
_MAX_BROKEN = 100
_ORIGIN = "contact_record"
_START = re.compile(r"[^\s,]")
_NEXT_LINE = re.compile(r"\n")

_DIRECTIONS = {
    "INBOUND": Direction.INBOUND,
    "TRANSFER": Direction.INBOUND,
    "QUEUE_TRANSFER": Direction.INBOUND,
    "WEBRTC_API": Direction.INBOUND,
    "OUTBOUND": Direction.OUTBOUND,
    "EXTERNAL_OUTBOUND": Direction.OUTBOUND,
    "CALLBACK": Direction.OUTBOUND,
}


@dataclass(frozen=True)
class Record:
    """What telephony's own record says of the call that `source_system` knows as `external_call_id`."""

    source_system: str
    external_call_id: str
    telling: Telling


def read_records(raw: bytes | Mapping[str, Any] | Sequence[Any], local: Locality) -> list[Record]:
    """The contact records in this, in order; none when it is something else.

    One record, a list, `{"Records": [...]}`, a line for each, or one behind the other with nothing between them, as
    Firehose writes them. A record that breaks off or cannot be read costs the others nothing.
    """
    documents = _documents(raw) if isinstance(raw, bytes) else iter([raw])
    records = (_record(document, local) for group in documents for document in _unwrapped(group))
    return [record for record in records if record]


def is_contact_record(document: object) -> bool:
    """Whether this is one contact record."""
    return isinstance(document, Mapping) and read_text(document.get("ContactId")) is not None


def read_contact_record(record: Mapping[str, Any], local: Locality) -> Told:
    """The facts of one contact record; fields that came later than this reader are left alone."""
    agent, queue = as_mapping(record.get("Agent")), as_mapping(record.get("Queue"))
    direction = _DIRECTIONS.get(str(record.get("InitiationMethod")))
    customer, ours = (_number(record.get(side), local) for side in ("CustomerEndpoint", "SystemEndpoint"))
    outbound = direction is Direction.OUTBOUND
    moments = {
        "queued_at": queue.get("EnqueueTimestamp"),
        "started_at": record.get("InitiationTimestamp"),
        "answered_at": agent.get("ConnectedToAgentTimestamp"),
        "ended_at": record.get("DisconnectTimestamp"),
    }
    return tell(
        moments,
        external_call_id=read_text(record.get("ContactId")),
        initial_call_id=read_text(record.get("InitialContactId")),
        previous_call_id=read_text(record.get("PreviousContactId")),
        direction=direction,
        from_number_e164=ours if outbound else customer,
        to_number_e164=customer if outbound else ours,
        agent_name=read_text(agent.get("Username")),
        team_name=_team(agent),
        queue_name=read_text(queue.get("Name")),
        **{name: read_moment(value, local.zone) for name, value in moments.items()},
        hold_time_s=read_seconds(agent.get("CustomerHoldDuration")),
        hold_count=read_count(agent.get("NumberOfHolds")),
        acw_time_s=read_seconds(agent.get("AfterContactWorkDuration")),
        is_transferred=_is_transferred(record),
        disconnect_reason=read_text(record.get("DisconnectReason")),
        # Source: Amazon Connect, "Recordings and transcripts": the customer is on channel 0.
        agent_channel=1,
        attributes=_attributes(record),
    )


def _record(document: object, local: Locality) -> Record | None:
    if not isinstance(document, Mapping) or not is_contact_record(document):
        return None
    told = storable(read_contact_record(document, local))
    if not told.facts.external_call_id:
        return None
    as_of = read_moment(document.get("LastUpdateTimestamp"), local.zone)
    return Record(SYSTEM, told.facts.external_call_id, Telling(_ORIGIN, Rank.RECORD, told.facts, as_of, SYSTEM, SYSTEM))


def _documents(raw: bytes) -> Iterator[object]:
    """The JSON documents that stand in a text one behind the other, with or without blanks between them."""
    if len(raw) > MAX_RECORDS_BYTES:
        return
    text = raw.decode("utf-8-sig", errors="replace")
    decoder, at, broken_count = json.JSONDecoder(), 0, 0
    while (start := _START.search(text, at)) is not None:
        try:
            document, at = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            broken_count += 1
            line = _NEXT_LINE.search(text, start.start())
            if broken_count > _MAX_BROKEN or line is None:
                return
            at = line.end()
            continue
        if isinstance(document, Mapping | list):
            yield document


def _unwrapped(document: object) -> Sequence[object]:
    if isinstance(document, Mapping) and "ContactId" not in document:
        return as_list(document.get("Records"))
    return document if isinstance(document, list) else [document]


def _number(endpoint: object, local: Locality) -> str | None:
    given = as_mapping(endpoint)
    # Other types are addresses of e-mail, of a contact flow, of a queue: nothing to call.
    if given.get("Type") not in (None, "TELEPHONE_NUMBER"):
        return None
    return read_number(str(given.get("Address") or ""), local.region)


def _team(agent: Mapping[str, Any]) -> str | None:
    """The agent's group at the lowest level of the hierarchy that is filled in."""
    groups = as_mapping(agent.get("HierarchyGroups"))
    levels = [as_mapping(groups.get(f"Level{level}")) for level in range(5, 0, -1)]
    return next((name for level in levels if (name := read_text(level.get("GroupName")))), None)


def _is_transferred(record: Mapping[str, Any]) -> bool | None:
    signs = ("NextContactId", "TransferCompletedTimestamp", "TransferredToEndpoint")
    if "TRANSFER" in str(record.get("InitiationMethod")) or any(record.get(sign) for sign in signs):
        return True
    # A record of a contact that is over and names these fields as empty says that there was none.
    is_over = bool(record.get("DisconnectTimestamp"))
    return False if is_over and any(sign in record for sign in signs) else None


def _attributes(record: Mapping[str, Any]) -> dict[str, str]:
    attributes = as_texts(as_mapping(record.get("Attributes")))
    channel = read_text(record.get("Channel"))
    if channel and channel != "VOICE":
        attributes["channel"] = channel
    return attributes
