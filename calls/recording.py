"""A recording in an object store, and what telephony says about its call."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha1, sha256
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

# Objects under this prefix are ours (playback copies and the peaks of their sound): never recordings.
OWN_PREFIX = ".callwise/"
# What a conversation that comes as text is named: no player can play it.
TEXT_SUFFIXES = (".json", ".vcon", ".vcon.json", ".vtt", ".srt")

# What stands in the names of the copies that Amazon Connect redacts:
# https://docs.aws.amazon.com/connect/latest/adminguide/example-contact-lens-output-locations.html
REDACTED_SOUND = "_call_recording_redacted_"
_REDACTED_TEXT = "_analysis_redacted_"

# The copy of a recording that every browser plays, and the outline of its sound.
PLAYBACK = "playback"
PEAKS = "peaks"
# The playback copy for those who may not hear what must not leave.
SILENCED = "silenced"
_OWN_SUFFIXES = {PLAYBACK: "mp3", PEAKS: "json", SILENCED: "mp3"}
OWN_KINDS = tuple(_OWN_SUFFIXES)

_CALLS = UUID("6b1f6a2e-3f0c-5c7e-9d53-0c1f6f9a7c11")
_IN_CALLS = sha1(_CALLS.bytes, usedforsecurity=False)
_VARIANT = {digit: f"{int(digit, 16) & 0b11 | 0b1000:x}" for digit in "0123456789abcdef"}
_NONE: Mapping[str, str] = MappingProxyType({})


def is_redacted_copy(key: str) -> bool:
    """Whether the object is Amazon Connect's copy of a recording, or of its transcript, without what must not leave.

    The original is an object of its own, or is not kept.
    """
    return REDACTED_SOUND in key or _REDACTED_TEXT in key


class Direction(StrEnum):
    """Who called whom, seen from the contact centre."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    INTERNAL = "internal"


class ObjectRef(NamedTuple):
    """One object as an event or a listing names it. An absent version id or eTag is the empty string."""

    bucket: str
    key: str
    version_id: str = ""
    etag: str = ""
    size_bytes: int | None = None

    @property
    def address(self) -> str:
        """`bucket/key`, the way people name it."""
        return f"{self.bucket}/{self.key}"


class StoredObject(NamedTuple):
    """One object as the store itself describes it (HEAD)."""

    ref: ObjectRef
    content_type: str = ""
    metadata: Mapping[str, str] = _NONE
    last_modified_at: datetime | None = None


@dataclass(frozen=True)
class CallFacts:
    """What telephony says about a call; None means that it did not say.

    Times are aware; numbers are E.164 text; `_s` are seconds. `agent_channel` is the recording's channel (0 or 1) that
    carries the agent. `external_call_id` is the telephony system's own id.
    """

    external_call_id: str | None = None
    initial_call_id: str | None = None
    previous_call_id: str | None = None
    direction: Direction | None = None
    from_number_e164: str | None = None
    to_number_e164: str | None = None
    customer_name: str | None = None
    agent_name: str | None = None
    agent_email: str | None = None
    team_name: str | None = None
    queue_name: str | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    hold_time_s: float | None = None
    hold_count: int | None = None
    acw_time_s: float | None = None
    is_transferred: bool | None = None
    disconnect_reason: str | None = None
    agent_channel: int | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "CallFacts":
        """What `CallFacts(**told)` makes, at the cost of what was told and not of all that could be: intake makes one
        for every recording.
        """
        facts = object.__new__(cls)
        # What is not set is read from the class, where a dataclass keeps its defaults.
        known = facts.__dict__
        known.update(told)
        if "attributes" not in known:
            known["attributes"] = {}
        return facts

    @property
    def customer_number_e164(self) -> str | None:
        """The customer's number: the caller's of an inbound call, the called one's of an outbound call."""
        return self.to_number_e164 if self.direction is Direction.OUTBOUND else self.from_number_e164


def call_id_for(source_system: str, external_call_id: str) -> UUID:
    """The id of the call that `source_system` knows as `external_call_id`: the same for the same words, always."""
    return UUID(call_hex_for(source_system, external_call_id))


def call_hex_for(source_system: str, external_call_id: str) -> str:
    """The same as 32 digits, as databases and intake have it: making a UUID takes as long as all of this."""
    # What uuid5 does, without hashing the name space each time.
    digest = _IN_CALLS.copy()
    digest.update(f"{source_system}\n{external_call_id}".encode())
    digits = digest.hexdigest()
    # RFC 9562, version 5: four bits of version, two of variant.
    return f"{digits[:12]}5{digits[13:16]}{_VARIANT[digits[16]]}{digits[17:32]}"


def fallback_call_id(ref: ObjectRef) -> str:
    """The external id of a call whose telephony names none: its place in the store, shortened when it is long."""
    if len(ref.address) <= 200:
        return ref.address
    return f"{ref.address[:130]}~{sha256(ref.address.encode()).hexdigest()[:32]}"


def own_key(kind: str, recording_id: UUID) -> str:
    """Where what we made of a recording (one of OWN_KINDS) lies in its bucket."""
    return f"{OWN_PREFIX}{kind}/{recording_id}.{_OWN_SUFFIXES[kind]}"
