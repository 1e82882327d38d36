"""What a vCon says of a call: who took part, in which role, when, and who called whom.

Source: draft-ietf-vcon-vcon-core, "Party Object" and "Dialog Object". The version field has been deprecated, so a vCon
is known by its parts.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from calls.recording import Direction
from ingest.told import Told, tell
from ingest.values import Locality, as_list, as_mapping, read_moment, read_number, read_seconds, read_text

SYSTEM = "vcon"


def is_vcon(document: Mapping[str, Any]) -> bool:
    """Whether this is a vCon."""
    parts = ("parties", "dialog", "analysis", "attachments")
    return ("vcon" in document or "uuid" in document) and any(isinstance(document.get(part), list) for part in parts)


def read_vcon(document: Mapping[str, Any], local: Locality) -> Told:
    """The facts of a vCon about its first recording, or about its first dialog where nothing was recorded."""
    parties = [as_mapping(party) for party in as_list(document.get("parties"))]
    dialogs = [as_mapping(dialog) for dialog in as_list(document.get("dialog"))]
    dialog = next((one for one in dialogs if one.get("type") == "recording"), dialogs[0] if dialogs else {})
    present = _indices(dialog.get("parties"), len(parties))
    # A message may name its sender alone: all of them together say who took part, and none says who called whom.
    is_alone = dialog.get("type") == "text" and len(present) < 2
    if is_alone:
        named = [one.get(field) for one in dialogs for field in ("parties", "originator")]
        present = list(dict.fromkeys(index for one in named for index in _indices(one, len(parties))))
    # "Originator" is left out where the first party of the dialog is the one who began it.
    originator = _index(dialog.get("originator"), len(parties))
    caller = originator if originator is not None else (present[0] if present else None)
    called = next((index for index in present if index != caller), None) if len(present) == 2 else None
    direction = None if is_alone else _direction(parties, caller, called)
    agents = [index for index in present or range(len(parties)) if _role(parties[index]) == "agent"]
    customers = [index for index in present or range(len(parties)) if _role(parties[index]) == "customer"]
    agent = parties[agents[0]] if len(agents) == 1 else {}
    if direction is None and (is_alone or caller in agents):
        # Without a direction the first number is taken for the customer's.
        caller = customers[0] if len(customers) == 1 else None
        called = agents[0] if len(agents) == 1 else None
    numbers = {
        "from_number_e164": _address(parties, caller),
        "to_number_e164": _address(parties, called),
    }
    started_at = read_moment(dialog.get("start"), local.zone) if dialog.get("start") else None
    # A message has no length; writers note 0.
    length_s = read_seconds(dialog.get("duration")) if dialog.get("type") != "text" else None
    return tell(
        {"started_at": dialog.get("start"), **numbers},
        external_call_id=read_text(document.get("uuid")),
        direction=direction,
        **{name: read_number(text, local.region) for name, text in numbers.items()},
        agent_name=read_text(agent.get("name")),
        agent_email=_mail(agent),
        customer_name=read_text(parties[customers[0]].get("name")) if len(customers) == 1 else None,
        started_at=started_at,
        ended_at=started_at + timedelta(seconds=length_s) if started_at and length_s is not None else None,
        is_transferred=True if any(one.get("type") == "transfer" for one in dialogs) else None,
        agent_channel=_agent_channel(dialog.get("parties"), agents),
    )


def _direction(parties: Sequence[Mapping[str, Any]], caller: int | None, called: int | None) -> Direction | None:
    """Who called whom by their roles; None where the roles do not tell."""
    if caller is None or called is None:
        return None
    return {
        ("agent", "agent"): Direction.INTERNAL,
        ("agent", "customer"): Direction.OUTBOUND,
        ("customer", "agent"): Direction.INBOUND,
        ("agent", ""): Direction.OUTBOUND,
        ("customer", ""): Direction.INBOUND,
        ("", "agent"): Direction.INBOUND,
        ("", "customer"): Direction.OUTBOUND,
    }.get((_role(parties[caller]), _role(parties[called])))


def _agent_channel(channels: object, agents: Sequence[int]) -> int | None:
    """The channel of the one agent where the parties stand by channel: two entries, one for each channel."""
    entries = as_list(channels)
    if len(entries) != 2 or len(agents) != 1:
        return None
    places = [place for place, entry in enumerate(entries) if agents[0] in (as_list(entry) or [entry])]
    return places[0] if len(places) == 1 else None


def _indices(value: object, count: int) -> list[int]:
    """The parties of a dialog, each once: one index, a list of them, or a list of lists."""
    entries = as_list(value) or [value]
    flat = [inner for entry in entries for inner in (as_list(entry) or [entry])]
    return list(dict.fromkeys(index for one in flat if (index := _index(one, count)) is not None))


def _index(value: object, count: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count else None


def _role(party: Mapping[str, Any]) -> str:
    # Before it had a place of its own, the role stood among the party's other data.
    role = str(party.get("role") or as_mapping(party.get("meta")).get("role") or "").strip().lower()
    return role if role in {"agent", "customer"} else ""


def _address(parties: Sequence[Mapping[str, Any]], index: int | None) -> str:
    party = parties[index] if index is not None else {}
    return str(party.get("tel") or party.get("sip") or "")


def _mail(party: Mapping[str, Any]) -> str | None:
    return (read_text(party.get("mailto")) or "").removeprefix("mailto:") or None
