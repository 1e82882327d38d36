"""Genesys Cloud's export to S3: where it puts recordings and their documents, and what the documents say.

Two layouts are in use; a conversation's folder is `conversation_id=<id>` in one and `conversation_id<id>` in the other.
Beside each recording lies its own metadata; beside all recordings of a conversation may lie the conversation's.
Source: Genesys Cloud, "Working with exported recordings in AWS S3 bucket", and what its users process.
"""

import re
from collections.abc import Mapping
from typing import Any

from ingest.told import Told, tell
from ingest.values import (
    Locality,
    as_list,
    as_mapping,
    read_direction,
    read_moment,
    read_number,
    read_text,
)

SYSTEM = "genesys"

_FOLDER = r"(?:^|/)conversation_id=?(?P<conversation>[0-9a-fA-F-]{36})/"
RECORDING = re.compile(
    r"(?:year=(?P<year>\d{4})/month=(?P<month>\d{1,2})/day=(?P<day>\d{1,2})/hour=(?P<hour>\d{1,2}))?"
    + _FOLDER
    + r"(?P<recording>[0-9a-fA-F-]{36})\.(?P<suffix>\w+)$",
    re.ASCII,
)
_OF_RECORDING = re.compile(
    _FOLDER + r"(?P<recording>[0-9a-fA-F-]{36})(?:\.(?P<suffix>[A-Za-z0-9]+))?_metadata\.json$", re.ASCII
)
_OF_CONVERSATION = re.compile(_FOLDER + r"[0-9a-fA-F-]{36}(?:\.\w+)?_call_metadata\.json$", re.ASCII)

_CUSTOMERS = frozenset({"customer", "external"})
_AGENTS = frozenset({"agent", "user"})


def sidecars(found: Mapping[str, str]) -> tuple[str, ...]:
    """The names of the documents that may lie beside a recording."""
    recording, suffix = found["recording"], found["suffix"]
    return (
        f"{recording}.{suffix}_metadata.json",
        f"{recording}_metadata.json",
        f"{found['conversation']}.{suffix}_call_metadata.json",
    )


def recording_of(key: str) -> tuple[str, str] | None:
    """The key of the recording whose own metadata lie under `key`, as its stem and its suffix ("" where the name does
    not tell it); None for another object.
    """
    found = _OF_RECORDING.search(key)
    if not found:
        return None
    folder, _, _ = key.rpartition("/")
    return f"{folder}/{found['recording']}", f".{found['suffix']}" if found["suffix"] else ""


def conversation_of(key: str) -> str | None:
    """The id of the conversation whose call metadata lie under `key`; None for another object."""
    found = _OF_CONVERSATION.search(key)
    return found["conversation"] if found else None


def is_metadata(document: Mapping[str, Any]) -> bool:
    """Whether this is the metadata of one recording."""
    return "mediaType" in document and not document.keys().isdisjoint({"provider", "userIds", "recordingId"})


def is_call_metadata(document: Mapping[str, Any]) -> bool:
    """Whether this is what Genesys says of a whole conversation."""
    return isinstance(document.get("participants"), list) and not document.keys().isdisjoint(
        {"conversationStart", "originatingDirection"}
    )


def read_metadata(document: Mapping[str, Any], local: Locality) -> Told:
    """The facts of one recording's own metadata."""
    direction = read_text(document.get("initialDirection"))
    return tell(
        {
            "started_at": document.get("startTime"),
            "ended_at": document.get("endTime"),
            "direction": direction,
        },
        external_call_id=read_text(document.get("recordingId")),
        initial_call_id=read_text(document.get("conversationId")),
        direction=read_direction(direction or ""),
        started_at=read_moment(document.get("startTime"), local.zone),
        ended_at=read_moment(document.get("endTime"), local.zone),
        attributes=_attributes(document),
    )


def read_call_metadata(document: Mapping[str, Any], local: Locality) -> Told:
    """The facts of a conversation's metadata, but for what only some of its recordings can have."""
    participants = [as_mapping(one) for one in as_list(document.get("participants"))]
    agents = [one for one in participants if _purpose(one) in _AGENTS]
    customers = [one for one in participants if _purpose(one) in _CUSTOMERS]
    names = {name for one in agents if (name := _name(one))}
    direction = read_text(document.get("originatingDirection"))
    session = _session(customers)
    caller, called = session.get("ani"), session.get("dnis")
    user_ids = {user for one in agents if (user := read_text(one.get("userId")))}
    return tell(
        {
            "started_at": document.get("conversationStart"),
            "ended_at": document.get("conversationEnd"),
            "direction": direction,
            # Several agents spoke in this conversation, and nothing says which of them is on this recording.
            "agent_name": ", ".join(sorted(names)) if len(names) > 1 else None,
        },
        initial_call_id=read_text(document.get("conversationId")),
        direction=read_direction(direction or ""),
        from_number_e164=read_number(str(caller or ""), local.region),
        to_number_e164=read_number(str(called or ""), local.region),
        agent_name=names.pop() if len(names) == 1 else None,
        started_at=read_moment(document.get("conversationStart"), local.zone),
        ended_at=read_moment(document.get("conversationEnd"), local.zone),
        is_transferred=True if any(_was_transferred(one) for one in participants) else None,
        attributes=({"user_ids": ",".join(sorted(user_ids))} if user_ids else {}) | _attributes(document),
    )


def _purpose(participant: Mapping[str, Any]) -> str:
    return str(participant.get("purpose", "")).lower()


def _name(participant: Mapping[str, Any]) -> str | None:
    return read_text(participant.get("participantName")) or read_text(participant.get("name"))


def _session(participants: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The first session of these with a number in it."""
    sessions = [as_mapping(one) for who in participants for one in as_list(who.get("sessions"))]
    return next((one for one in sessions if one.get("ani") or one.get("dnis")), {})


def _was_transferred(participant: Mapping[str, Any]) -> bool:
    sessions = [as_mapping(one) for one in as_list(participant.get("sessions"))]
    segments = [as_mapping(one) for session in sessions for one in as_list(session.get("segments"))]
    return any("transfer" in str(segment.get("disconnectType", "")).lower() for segment in segments)


def _attributes(document: Mapping[str, Any]) -> dict[str, str]:
    texts = {
        "media_type": read_text(document.get("mediaType")),
        "media_subtype": read_text(document.get("mediaSubtype")),
        "provider": read_text(document.get("provider")),
        "user_ids": _joined(document.get("userIds")),
        "queue_ids": _joined(document.get("queueIds")),
    }
    return {name: text for name, text in texts.items() if text}


def _joined(values: object) -> str:
    return ",".join(text for value in as_list(values) if (text := read_text(value)))
