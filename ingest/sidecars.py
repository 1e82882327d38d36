"""Facts beside a recording: a JSON document of the same base name, or the metadata of the object itself."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from calls.recording import CallFacts, Direction
from ingest.names import Told
from ingest.values import Locality, read_bool, read_direction, read_moment, read_number, read_seconds

MAX_SIDECAR_BYTES = 1 << 18
_MAX_TEXT = 500
_MAX_ATTRIBUTES = 50

# Other words for our own names of facts.
_ALIASES = {
    "call_id": "external_call_id",
    "id": "external_call_id",
    "contact_id": "external_call_id",
    "unique_id": "external_call_id",
    "agent": "agent_name",
    "agent_username": "agent_name",
    "email": "agent_email",
    "team": "team_name",
    "queue": "queue_name",
    "from": "from_number_e164",
    "from_number": "from_number_e164",
    "caller": "from_number_e164",
    "caller_id": "from_number_e164",
    "ani": "from_number_e164",
    "to": "to_number_e164",
    "to_number": "to_number_e164",
    "called": "to_number_e164",
    "dnis": "to_number_e164",
    "customer": "customer_name",
    "start": "started_at",
    "start_time": "started_at",
    "started": "started_at",
    "timestamp": "started_at",
    "answer_time": "answered_at",
    "answered": "answered_at",
    "end": "ended_at",
    "end_time": "ended_at",
    "ended": "ended_at",
    "hold_s": "hold_time_s",
    "acw_s": "acw_time_s",
    "transferred": "is_transferred",
}


def read_sidecar(raw: bytes, local: Locality) -> Told:
    """The facts of a sidecar: a contact record of Amazon Connect, or a plain object of names and values."""
    if len(raw) > MAX_SIDECAR_BYTES:
        return Told(CallFacts(), ("sidecar: too large",))
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return Told(CallFacts(), ("sidecar: no JSON",))
    if not isinstance(document, Mapping):
        return Told(CallFacts(), ("sidecar: no JSON object",))
    return read_contact_record(document, local) if "ContactId" in document else read_plain(document, local)


def read_plain(given: Mapping[str, Any], local: Locality) -> Told:
    """Facts by our names or by common other words for them; what is neither becomes an attribute, as text."""
    facts: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    unread: list[str] = []
    customer_number: str | None = None
    for raw_name, value in given.items():
        name = str(raw_name).strip().lower().replace("-", "_").replace(" ", "_")
        name = _ALIASES.get(name, name)
        if value is None or value == "":
            continue
        if name == "customer_number":
            customer_number = read_number(str(value), local.region)
        elif name in _READERS:
            facts.setdefault(name, _READERS[name](value, local))
        elif name == "attributes" and isinstance(value, Mapping):
            attributes |= {_clean(str(key)): _clean(str(inner)) for key, inner in value.items()}
        elif isinstance(value, str | int | float | bool):
            attributes[_clean(name)] = _clean(str(value))
        else:
            unread.append(name)
    if customer_number:
        outbound = facts.get("direction") is Direction.OUTBOUND
        facts.setdefault("to_number_e164" if outbound else "from_number_e164", customer_number)
    unread += [name for name, value in facts.items() if value is None]
    told = {name: value for name, value in facts.items() if value is not None}
    return Told(CallFacts(**told, attributes=dict(list(attributes.items())[:_MAX_ATTRIBUTES])), tuple(unread))


def read_contact_record(record: Mapping[str, Any], local: Locality) -> Told:
    """The facts of an Amazon Connect contact record (CTR); fields that came later than this reader are left alone.

    Source: Amazon Connect, "Contact records data model".
    """
    agent, queue = _mapping(record.get("Agent")), _mapping(record.get("Queue"))
    method = str(record.get("InitiationMethod", ""))
    direction = _CONNECT_DIRECTIONS.get(method)
    customer = read_number(str(_mapping(record.get("CustomerEndpoint")).get("Address") or ""), local.region)
    ours = read_number(str(_mapping(record.get("SystemEndpoint")).get("Address") or ""), local.region)
    outbound = direction is Direction.OUTBOUND
    hold_count = read_seconds(agent.get("NumberOfHolds"))
    return Told(
        CallFacts(
            external_call_id=_text(record.get("ContactId")),
            initial_call_id=_text(record.get("InitialContactId")),
            previous_call_id=_text(record.get("PreviousContactId")),
            direction=direction,
            from_number_e164=ours if outbound else customer,
            to_number_e164=customer if outbound else ours,
            agent_name=_text(agent.get("Username")),
            queue_name=_text(queue.get("Name")),
            queued_at=_moment(queue.get("EnqueueTimestamp"), local),
            started_at=_moment(record.get("InitiationTimestamp"), local),
            answered_at=_moment(agent.get("ConnectedToAgentTimestamp"), local),
            ended_at=_moment(record.get("DisconnectTimestamp"), local),
            hold_time_s=read_seconds(agent.get("CustomerHoldDuration")),
            hold_count=None if hold_count is None else int(hold_count),
            acw_time_s=read_seconds(agent.get("AfterContactWorkDuration")),
            is_transferred=True if "TRANSFER" in method or record.get("NextContactId") else None,
            disconnect_reason=_text(record.get("DisconnectReason")),
            agent_channel=1,
            attributes={
                _clean(str(name)): _clean(str(value))
                for name, value in list(_mapping(record.get("Attributes")).items())[:_MAX_ATTRIBUTES]
            },
        )
    )


_CONNECT_DIRECTIONS = {
    "INBOUND": Direction.INBOUND,
    "TRANSFER": Direction.INBOUND,
    "QUEUE_TRANSFER": Direction.INBOUND,
    "OUTBOUND": Direction.OUTBOUND,
    "CALLBACK": Direction.OUTBOUND,
}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    return _clean(str(value)) or None


def _clean(text: str) -> str:
    """What a database takes: no NUL, no half of a surrogate pair, and not too long."""
    return text.replace("\0", "").encode(errors="replace").decode().strip()[:_MAX_TEXT]


def _moment(value: object, local: Locality) -> Any:
    return None if value is None else read_moment(value, local.zone)


def _channel(value: object) -> int | None:
    return int(str(value)) if str(value) in {"0", "1"} else None


def _count(value: object) -> int | None:
    return int(str(value)) if str(value).isascii() and str(value).isdigit() and len(str(value)) < 7 else None


_READERS: Mapping[str, Callable[[Any, Locality], Any]] = {
    **dict.fromkeys(
        (
            "external_call_id",
            "initial_call_id",
            "previous_call_id",
            "customer_name",
            "agent_name",
            "agent_email",
            "team_name",
            "queue_name",
            "disconnect_reason",
        ),
        lambda value, _: _text(value),
    ),
    **dict.fromkeys(("queued_at", "started_at", "answered_at", "ended_at"), _moment),
    **dict.fromkeys(("hold_time_s", "acw_time_s"), lambda value, _: read_seconds(value)),
    **dict.fromkeys(("from_number_e164", "to_number_e164"), lambda value, local: read_number(str(value), local.region)),
    "direction": lambda value, _: read_direction(str(value)),
    "hold_count": lambda value, _: _count(value),
    "is_transferred": lambda value, _: read_bool(value),
    "agent_channel": lambda value, _: _channel(value),
}
