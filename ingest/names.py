"""Names of recordings as telephony systems write them: one pattern and a small reader each.

The shapes are in docs/telephony.md. A part that the pattern finds and nobody can make sense of is named in `unread`,
so that `callwise profiles test` shows it; nothing is guessed in its place.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from calls.recording import CallFacts, Direction
from ingest.values import Locality, from_epoch, read_direction, read_moment, read_number, read_stamp


@dataclass(frozen=True)
class Told:
    """Facts that were read, and the names of the parts that could not be."""

    facts: CallFacts
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class NameProfile:
    """One telephony system's names: `pattern` is searched in the key, `read` makes facts of what it finds."""

    name: str
    pattern: re.Pattern[str]
    read: Callable[[Mapping[str, str], Locality], Told]


def _told(parts: Mapping[str, Any], **facts: Any) -> Told:
    """The facts that are there; `parts` are the raw texts by fact, of which those without a fact are unread."""
    unread = tuple(name for name, text in parts.items() if text and facts.get(name) is None)
    return Told(CallFacts(**{name: value for name, value in facts.items() if value is not None}), unread)


def _pca(found: Mapping[str, str], local: Locality) -> Told:
    # The four parts come in any order, and each may be missing: amazon-transcribe-post-call-analytics reads them so.
    stem = found["stem"] + "_"
    guid, agent, customer = (_after(stem, word) for word in ("GUID", "AGENT", "CUST"))
    stamp = re.search(r"(\d{4})-(\d{2})-(\d{2})T(\d{2})-(\d{2})-(\d{2})", stem)
    number = read_number(customer, local.region) if customer else None
    told = _told(
        {"started_at": stamp and stamp[0]},
        external_call_id=guid,
        agent_name=agent,
        from_number_e164=number,
        started_at=read_stamp("".join(stamp.groups()), local.zone) if stamp else None,
        attributes={"customer_id": customer} if customer and not number else None,
    )
    missing = [
        name for name, text in (("agent_name", agent), ("customer", customer), ("started_at", stamp)) if not text
    ]
    return Told(told.facts, (*told.unread, *missing))


def _after(stem: str, word: str) -> str | None:
    found = re.search(rf"_{word}_(.+?)_", stem)
    return found[1] if found else None


def _connect(found: Mapping[str, str], local: Locality) -> Told:
    # The file says UTC itself; channel 1 is the agent's. Source: Amazon Connect, "Recordings and transcripts".
    moment = read_moment(f"{found['date']}T{found['hour']}{found['minute']}00Z", local.zone)
    return _told({"started_at": found["date"]}, external_call_id=found["contact"], started_at=moment, agent_channel=1)


_FREEPBX_DIRECTIONS = {
    "in": Direction.INBOUND,
    "q": Direction.INBOUND,
    "rg": Direction.INBOUND,
    "external": Direction.INBOUND,
    "out": Direction.OUTBOUND,
    "internal": Direction.INTERNAL,
}


def _freepbx(found: Mapping[str, str], local: Locality) -> Told:
    kind, to, caller = found["kind"], found["to"], found["caller"]
    to_number, from_number = (read_number(text, local.region) for text in (to, caller))
    direction = _FREEPBX_DIRECTIONS.get(kind)
    if kind == "exten":
        direction = Direction.INBOUND if from_number else Direction.INTERNAL
    # The unique id begins with the second of the start, in UTC; the date in the name is the server's local time.
    started_at = (
        from_epoch(int(found["epoch"])) if found["epoch"] else read_stamp(found["date"] + found["time"], local.zone)
    )
    extension = caller if direction is Direction.OUTBOUND else to
    return _told(
        {"started_at": found["date"]},
        external_call_id=found["unique"],
        direction=direction,
        from_number_e164=from_number,
        to_number_e164=to_number,
        queue_name=to if kind in {"q", "rg"} else None,
        started_at=started_at,
        attributes={"extension": extension} if read_number(extension, local.region) is None else None,
    )


def _ringcentral(found: Mapping[str, str], local: Locality) -> Told:
    direction = read_direction(found["direction"])
    number = read_number(found["phone"], local.region)
    return _told(
        {"started_at": found["date"], "direction": found["direction"]},
        external_call_id=found["id"],
        direction=direction,
        from_number_e164=None if direction is Direction.OUTBOUND else number,
        to_number_e164=number if direction is Direction.OUTBOUND else None,
        started_at=read_stamp(found["date"] + found["time"], local.zone),
        attributes={"extension": found["extension"]},
    )


def _eightbyeight(found: Mapping[str, str], local: Locality) -> Told:
    return _told(
        {"from_number_e164": found["phone"]},
        external_call_id=f"{found['started']}-{found['call']}",
        from_number_e164=read_number(found["phone"], local.region),
        started_at=from_epoch(int(found["started"])),
        attributes={"user_id": found["user"]},
    )


NAME_PROFILES = {
    profile.name: profile
    for profile in (
        NameProfile("pca", re.compile(r"(?P<stem>[^/]*_GUID_[^/]+?)\.\w+$"), _pca),
        NameProfile(
            "connect",
            re.compile(
                r"(?P<contact>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
                r"_(?P<date>\d{8})T(?P<hour>\d{2})[:_-]?(?P<minute>\d{2})_UTC\.\w+$",
                re.IGNORECASE,
            ),
            _connect,
        ),
        NameProfile(
            "freepbx",
            re.compile(
                r"(?:^|/)(?P<kind>in|out|exten|internal|external|q|rg|conf|force)-(?P<to>[^-/]+)-(?P<caller>[^-/]+)"
                r"-(?P<date>\d{8})-(?P<time>\d{6})-(?P<unique>(?:[\w.]+-)?(?P<epoch>\d{9,10})\.\d+)\.\w+$"
            ),
            _freepbx,
        ),
        NameProfile(
            "ringcentral",
            re.compile(
                r"(?:^|/)(?P<date>\d{8})-(?P<time>\d{6})_(?P<extension>[^_/]*)_(?P<phone>[^_/]*)_(?P<direction>[A-Za-z]+)"
                r"_[A-Za-z]+_(?P<id>[\w-]+)\.\w+$"
            ),
            _ringcentral,
        ),
        NameProfile(
            "eightbyeight",
            re.compile(
                r"(?:^|/)users:(?P<user>\d+):(?P<started>\d{13})-(?P<call>\d+)-\d+-(?P<phone>[+\d]+)_[A-Z]\.\w+$"
            ),
            _eightbyeight,
        ),
    )
}
