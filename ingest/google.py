"""Google's CX Insights (CCAI Insights): what it says of a conversation in the JSON of the same base name.

Source: Google Cloud, "Conversation" of the Contact Center AI Insights API, and "Use the API to import conversations".
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ingest.plain import read_plain, squeezed
from ingest.told import Told, told_over
from ingest.values import Locality, as_list, as_mapping, as_texts, read_moment, read_seconds, read_text

SYSTEM = "google"

# Names that only Google gives, in the spelling of its JSON or of its protocol buffers.
_MARKS = frozenset(
    {
        "agentinfo",
        "callmetadata",
        "conversationconfig",
        "datasource",
        "latestanalysis",
        "obfuscateduserid",
        "qualitymetadata",
    }
)
# What is read here, or says nothing of the call: the rest is read as plain names and values.
_READ = frozenset(
    {
        *_MARKS,
        *("name", "labels", "duration", "starttime", "createtime", "updatetime", "expiretime", "ttl", "turncount"),
        *("runtimeannotations", "dialogflowintents", "transcript", "latestsummary", "agentchannel", "customerchannel"),
        *("correlationinfo", "metadatajson", "medium"),
    }
)


def is_conversation(document: Mapping[str, Any]) -> bool:
    """Whether this is what CX Insights says of a conversation."""
    names = {squeezed(str(name)) for name in document}
    return not names.isdisjoint(_MARKS) or "/conversations/" in str(document.get("name", ""))


def read_conversation(document: Mapping[str, Any], local: Locality) -> Told:
    """The facts of a conversation; names that are not Google's are read as in every other sidecar."""
    given = {squeezed(str(name)): value for name, value in document.items()}
    quality = _by_squeezed(given.get("qualitymetadata"))
    rest = {name: value for name, value in document.items() if squeezed(str(name)) not in _READ}
    plain = read_plain(rest, local)
    google = read_plain(_known(given, quality, local), local)
    return Told(told_over(plain.facts, google.facts), (*plain.unread, *google.unread), plain.source_system)


def _known(given: Mapping[str, Any], quality: Mapping[str, Any], local: Locality) -> dict[str, Any]:
    """What Google says under its own names, under ours."""
    agents = [_by_squeezed(one) for one in as_list(quality.get("agentinfo")) or as_list(given.get("agentinfo"))]
    # With several agents nothing says which of them is on this recording.
    agent = agents[0] if len(agents) == 1 else {}
    started_at = read_moment(given.get("starttime"), local.zone) if given.get("starttime") else None
    length_s = _seconds(given.get("duration"))
    ended_at = started_at + timedelta(seconds=length_s) if started_at and length_s is not None else None
    medium = read_text(given.get("medium"))
    attributes = {
        "agent_id": agent.get("agentid") or given.get("agentid"),
        "disposition": agent.get("dispositioncode"),
        "customer_id": given.get("obfuscateduserid"),
        "customer_satisfaction_rating": quality.get("customersatisfactionrating"),
        "wait_s": _seconds(quality.get("waitduration")),
        "menu_path": quality.get("menupath"),
        "channel": medium if medium not in {None, "PHONE_CALL", "MEDIUM_UNSPECIFIED"} else None,
    }
    told = {name: text for name, value in attributes.items() if (text := read_text(value))}
    return {
        "external_call_id": str(given.get("name") or "").rpartition("/conversations/")[2] or None,
        "started_at": given.get("starttime"),
        "ended_at": ended_at.isoformat() if ended_at else None,
        "agent_name": agent.get("displayname"),
        "team_name": agent.get("team") or next(iter(as_list(agent.get("teams"))), None),
        "agent_channel": _agent_channel(given),
        "attributes": as_texts(as_mapping(given.get("labels"))) | told,
    }


def _agent_channel(given: Mapping[str, Any]) -> int | None:
    """The channel of the agent, from 0; Google counts channels from 1."""
    channels = dict(given) | _by_squeezed(given.get("callmetadata")) | _by_squeezed(given.get("conversationconfig"))
    agent, customer = str(channels.get("agentchannel")), str(channels.get("customerchannel"))
    if agent in {"1", "2"}:
        return int(agent) - 1
    return {"1": 1, "2": 0}.get(customer)


def _seconds(value: object) -> float | None:
    """Seconds of a duration as protocol buffers write it in JSON ("12.5s"), or of a number."""
    return read_seconds(value.removesuffix("s") if isinstance(value, str) else value)


def _by_squeezed(value: object) -> dict[str, Any]:
    return {squeezed(str(name)): inner for name, inner in as_mapping(value).items()}
