"""Documents beside a recording: which kind each is, by its shape, and what it says of the call."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calls.recording import CallFacts
from calls.telling import Rank
from ingest import genesys, google, plain, vcon_facts
from ingest.contact_records import is_contact_record, read_contact_record, read_records
from ingest.told import Told, storable
from ingest.values import Locality, read_moment

MAX_SIDECAR_BYTES = 1 << 18


@dataclass(frozen=True)
class Companion:
    """What one sidecar says: facts, how much its kind knows, and when it says that it was written.

    `profile` is the one that could read it; None when none could.
    """

    told: Told
    rank: Rank = Rank.SIDECAR
    as_of: datetime | None = None
    profile: str | None = None


@dataclass(frozen=True)
class _Shape:
    """One kind of JSON document, known by `fits`; `written` names where it says when it was written."""

    profile: str
    fits: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Any], Locality], Told]
    rank: Rank = Rank.SIDECAR
    written: tuple[str, ...] = ()


_SHAPES = (
    _Shape("connect", is_contact_record, read_contact_record, Rank.RECORD, ("LastUpdateTimestamp",)),
    # It speaks of all recordings of a conversation: what the recording's own metadata say counts more.
    _Shape(genesys.SYSTEM, genesys.is_call_metadata, genesys.read_call_metadata, Rank.METADATA),
    _Shape(genesys.SYSTEM, genesys.is_metadata, genesys.read_metadata),
    _Shape(vcon_facts.SYSTEM, vcon_facts.is_vcon, vcon_facts.read_vcon, written=("updated_at", "created_at")),
    _Shape(google.SYSTEM, google.is_conversation, google.read_conversation, written=("updateTime", "update_time")),
)
SHAPED = frozenset(shape.profile for shape in _SHAPES)


def read_companion(
    raw: bytes, local: Locality, profiles: Collection[str] = (plain.SYSTEM, *SHAPED), call_id: str | None = None
) -> Companion:
    """What a sidecar says, read by the first of `profiles` whose shape it has; it never raises.

    `call_id` is the telephony system's id that the recording's name tells: where the document holds the records of many
    calls, only the one of this call counts.
    """
    if len(raw) > MAX_SIDECAR_BYTES:
        return _unread("sidecar: too large")
    try:
        text = raw.decode("utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    except UnicodeDecodeError:
        return _unread("sidecar: not UTF-8")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return _of_many(raw, local, profiles, call_id) or _of_table(text, local, profiles)
    if not isinstance(document, Mapping):
        return _of_many(raw, local, profiles, call_id) or _unread("sidecar: no JSON object")
    for shape in _SHAPES:
        if shape.profile in profiles and shape.fits(document):
            as_of = next((at for name in shape.written if (at := read_moment(document.get(name), local.zone))), None)
            told = storable(shape.read(document, local))
            if told.facts.external_call_id:
                # The document is of one system, and so are its ids.
                told = told._replace(source_system=told.source_system or shape.profile)
            return Companion(told, shape.rank, as_of, shape.profile)
    many = _of_many(raw, local, profiles, call_id)
    if many or plain.SYSTEM not in profiles:
        return many or _unread("sidecar: no profile reads it")
    return Companion(storable(plain.read_plain(document, local)), profile=plain.SYSTEM)


def read_sidecar(raw: bytes, local: Locality) -> Told:
    """The facts of a sidecar of any kind."""
    return read_companion(raw, local).told


def _of_table(text: str, local: Locality, profiles: Collection[str]) -> Companion:
    told = plain.read_table(text, local) if plain.SYSTEM in profiles else None
    if told is None:
        return _unread("sidecar: neither JSON nor CSV")
    return Companion(storable(told), profile=plain.SYSTEM)


def _of_many(raw: bytes, local: Locality, profiles: Collection[str], call_id: str | None) -> Companion | None:
    """The newest record of this call among the contact records of many; None when these are no contact records."""
    records = read_records(raw, local) if "connect" in profiles else []
    if not records:
        return None
    ids = {record.external_call_id for record in records}
    own = [one.telling for one in records if one.external_call_id == call_id or (call_id is None and len(ids) == 1)]
    if not own:
        return _unread("sidecar: contact records of other calls")
    newest = max(own, key=lambda telling: telling.as_of.timestamp() if telling.as_of else 0.0)
    return Companion(Told(newest.facts, (), newest.source_system), newest.rank, newest.as_of, "connect")


def _unread(why: str) -> Companion:
    return Companion(Told(CallFacts(), (why,)))
