"""Names of recordings as telephony systems write them: one pattern and a small reader each.

The shapes are in docs/telephony.md. A part that the pattern finds and nobody can make sense of is named in `unread`,
so that `callwise profiles test` shows it; nothing is guessed in its place.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from calls.recording import Direction
from ingest import genesys
from ingest.told import Told, tell
from ingest.values import (
    Locality,
    from_epoch,
    read_certain_number,
    read_direction,
    read_extension,
    read_moment,
    read_number,
    read_stamp,
)

Found = Mapping[str, str]


@dataclass(frozen=True)
class NameProfile:
    """One telephony system's names: `pattern` is searched in the key, `read` makes facts of what it finds.

    `signs` are such that each of these names contains one of them: they are found sooner than the pattern is.
    `sidecars` gives the names, in the recording's folder, of documents that the system itself writes beside it.
    `source_system` is whose call ids these are; empty: the profile's own name.
    """

    name: str
    pattern: re.Pattern[str]
    read: Callable[[Found, Locality], Told]
    sidecars: Callable[[Found], tuple[str, ...]] = lambda _: ()
    source_system: str = ""
    signs: tuple[str, ...] = ("",)

    def find(self, key: str) -> Found | None:
        """The parts of the key by name, empty text for one that is not there; None when this is another's name."""
        for sign in self.signs:
            if sign in key:
                found = self.pattern.search(key)
                return found.groupdict("") if found else None
        return None


_PCA_TIME = r"(\d{4})-(\d{2})-(\d{2})T(\d{2})-(\d{2})-(\d{2})"


def _pca(found: Found, local: Locality) -> Told:
    # The four parts come in any order, and each may be missing: amazon-transcribe-post-call-analytics reads them so.
    stem = found["stem"] + "_"
    guid, agent, customer = (_after(stem, word) for word in ("GUID", "AGENT", "CUST"))
    stamp = re.search(_PCA_TIME, stem)
    number = read_certain_number(customer, local.region) if customer else None
    named = (("external_call_id", guid), ("agent_name", agent), ("customer", customer), ("started_at", stamp))
    return tell(
        {"started_at": stamp and stamp[0]},
        [name for name, text in named if not text],
        external_call_id=guid,
        agent_name=agent,
        from_number_e164=number,
        started_at=read_stamp("".join(stamp.groups()), local.zone) if stamp else None,
        attributes={"customer_id": customer} if customer and not number else None,
    )


def _after(stem: str, word: str) -> str | None:
    found = re.search(rf"_{word}_(.+?)_", stem)
    return found[1] if found else None


_WITHOUT_MARKS = str.maketrans("", "", ":_-")


@lru_cache(maxsize=4096)
def _minute(text: str) -> datetime | None:
    # The calls of a batch began in few minutes.
    return read_moment(text, UTC)


def _connect(found: Found, _: Locality) -> Told:
    # The file says UTC itself; channel 1 is the agent's. Source: Amazon Connect, "Recordings and transcripts".
    copied = found["copied"].translate(_WITHOUT_MARKS)
    moment = _minute(f"{copied or found['date'] + 'T' + found['hour'] + found['minute'] + '00'}Z")
    return tell(
        {"started_at": copied or found["date"]},
        external_call_id=found["contact"],
        started_at=moment,
        agent_channel=1,
    )


def _genesys(found: Found, _: Locality) -> Told:
    # The folder names the hour in which the conversation began, in UTC: all that is known until a sidecar says more.
    hour = "".join(found[part].zfill(2) for part in ("month", "day", "hour")) if found["year"] else ""
    return tell(
        {"started_at": hour},
        external_call_id=found["recording"],
        initial_call_id=found["conversation"],
        started_at=read_stamp(f"{found['year']}{hour}0000", UTC) if hour else None,
    )


_FREEPBX_DIRECTIONS = {
    "in": Direction.INBOUND,
    "q": Direction.INBOUND,
    "rg": Direction.INBOUND,
    "external": Direction.INBOUND,
    "out": Direction.OUTBOUND,
    "internal": Direction.INTERNAL,
}


def _freepbx(found: Found, local: Locality) -> Told:
    kind, to, caller = found["kind"], found["to"], found["caller"]
    to_number, from_number = (read_number(text, local.region) for text in (to, caller))
    direction = _FREEPBX_DIRECTIONS.get(kind)
    if kind == "exten":
        direction = Direction.INBOUND if from_number else Direction.INTERNAL
    # The unique id begins with the second of the start, in UTC; the date in the name is the server's local time.
    started_at = from_epoch(int(found["epoch"])) or read_stamp(found["date"] + found["time"], local.zone)
    queue = to if kind in {"q", "rg"} else None
    is_outbound = direction is Direction.OUTBOUND
    # The centre's own side, and the other one where that is inside, too.
    inside = {
        "extension": caller if is_outbound else "" if queue else to,
        "to_extension" if is_outbound else "from_extension": to if is_outbound else caller,
    }
    outside = {"from_number_e164": caller, "to_number_e164": to}
    return tell(
        {"started_at": found["date"]} | {name: text for name, text in outside.items() if not read_extension(text)},
        external_call_id=found["unique"],
        direction=direction,
        from_number_e164=from_number,
        to_number_e164=to_number,
        queue_name=queue,
        started_at=started_at,
        attributes={name: text for name, text in inside.items() if read_extension(text)},
    )


def _ringcentral(found: Found, local: Locality) -> Told:
    direction = read_direction(found["direction"])
    phone, side = found["phone"], "to" if direction is Direction.OUTBOUND else "from"
    is_inside = read_extension(phone) is not None
    extensions = {"extension": found["extension"], f"{side}_extension": phone if is_inside else ""}
    return tell(
        {
            "started_at": found["date"],
            "direction": found["direction"],
            f"{side}_number_e164": "" if is_inside else phone,
        },
        external_call_id=found["id"],
        direction=direction,
        started_at=read_stamp(found["date"] + found["time"], local.zone),
        attributes={name: text for name, text in extensions.items() if text},
        **{f"{side}_number_e164": read_number(phone, local.region)},
    )


def _eightbyeight(found: Found, local: Locality) -> Told:
    phone = found["phone"]
    is_inside = read_extension(phone) is not None
    return tell(
        {"from_number_e164": "" if is_inside else phone, "started_at": found["started"]},
        external_call_id=f"{found['started']}-{found['call']}",
        from_number_e164=read_number(phone, local.region),
        started_at=from_epoch(int(found["started"])),
        attributes={"user_id": found["user"]} | ({"from_extension": phone} if is_inside else {}),
    )


def _twilio(found: Found, _: Locality) -> Told:
    # One call can have several recordings. Where the name has no call, the recording's id is all there is: nothing in
    # it says when the call was, or between whom; the status callback or a sidecar does.
    sids = {"recording_sid": found["recording"], "account_sid": found["account"]}
    return tell(
        {},
        external_call_id=found["call"] or found["recording"],
        attributes={name: sid for name, sid in sids.items() if sid},
    )


# What a search looks for first is one letter of a few: the search then skips all others at once.
_UUID = r"[0-9a-fA-F][0-9a-fA-F]{7}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"

_ALL = (
    NameProfile(
        "pca",
        # By its id, or by one of the other parts together with the time.
        re.compile(
            rf"(?:^|/)(?=[^/]*?_GUID_[^/.]|(?=[^/]*?_(?:AGENT|CUST)_[^_/.])[^/]*?{_PCA_TIME})(?P<stem>[^/]+)\.\w+$"
        ),
        _pca,
        signs=("_GUID_", "_AGENT_", "_CUST_"),
    ),
    NameProfile(
        "connect",
        re.compile(
            # In either case of letters; a pattern that ignores case would have to try everywhere.
            rf"(?P<contact>{_UUID})_(?:(?P<date>\d{{8}})[Tt](?P<hour>\d{{2}})[:_-]?(?P<minute>\d{{2}})_[Uu][Tt][Cc]"
            r"|call_recording_redacted_(?P<copied>\d{4}-\d\d-\d\dT\d\d[:_-]?\d\d[:_-]?\d\d)Z)\.\w+$",
            re.ASCII,
        ),
        _connect,
    ),
    NameProfile("genesys", genesys.RECORDING, _genesys, sidecars=genesys.sidecars, signs=("conversation_id",)),
    NameProfile(
        "freepbx",
        re.compile(
            r"(?:^|/)(?P<kind>in|out|exten|internal|external|q|rg|conf|force)-(?P<to>[^-/]+)-(?P<caller>[^-/]*)"
            r"-(?P<date>\d{8})-(?P<time>\d{6})-(?P<unique>(?:[\w.]+-)?(?P<epoch>\d{9,10})\.\d+)\.\w+$",
            re.ASCII,
        ),
        _freepbx,
    ),
    NameProfile(
        "ringcentral",
        re.compile(
            r"(?:^|/)(?P<date>\d{8})-(?P<time>\d{6})_(?P<extension>[^_/]*)_(?P<phone>[^_/]*)_(?P<direction>[A-Za-z]+)"
            r"_[A-Za-z]+_(?P<id>[\w-]+)\.\w+$",
            re.ASCII,
        ),
        _ringcentral,
    ),
    NameProfile(
        "eightbyeight",
        re.compile(
            r"(?:^|[/:])users:(?P<user>\d+):(?P<started>\d{13})-(?P<call>\d+)-\d+-(?P<phone>[+\w]+)_[A-Z]\.\w+$",
            re.ASCII,
        ),
        _eightbyeight,
        signs=("users:",),
    ),
    NameProfile(
        "twilio",
        re.compile(
            r"(?:^|/)(?:(?P<account>AC[0-9a-fA-F]{32})/(?:Recordings/)?|(?P<call>C[AF][0-9a-fA-F]{32})/)"
            r"(?P<recording>RE[0-9a-fA-F]{32})(?:\.\w+)?$"
        ),
        _twilio,
    ),
)
NAME_PROFILES = {profile.name: profile for profile in _ALL}
