"""Who wins when several sources speak of one call: the rules, in this one place.

Telephony says the same thing more than once: in the recording's name, in the object's metadata, in a document beside
it, in a record of its own that may come first, late, or again. Each *telling* is kept as it was told, and the facts of
the call are what all of them say together, so that the order in which they arrive never matters.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from operator import attrgetter

from calls.recording import CallFacts

_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
# A recording is stored when its call is over. A day covers wrong zones; what is later comes from a wrong clock.
_CLOCKS_DIFFER_BY = timedelta(days=1)
_TIMES = ("queued_at", "started_at", "answered_at", "ended_at")
_times = attrgetter(*_TIMES)
_FACTS = tuple(item.name for item in fields(CallFacts) if item.name != "attributes")


class Rank(IntEnum):
    """How much a source knows of the call: where two speak of one fact, the higher rank is believed."""

    NAME = 0
    METADATA = 1
    SIDECAR = 2
    # Telephony's own record: a contact record, a status callback. It is corrected after the call and sent again.
    RECORD = 3
    # Somebody listened. Telephony may say the same wrong thing again: it does not undo a correction.
    PERSON = 4


@dataclass(frozen=True)
class Telling:
    """What one source said of a call.

    `origin` names the source ("metadata", the key of a sidecar); one origin speaks once, and what it says later
    replaces what it said before. `as_of` is when the source itself says that it wrote this; None when it does not say.
    """

    origin: str
    rank: Rank
    facts: CallFacts
    as_of: datetime | None = None
    # The system whose call ids the source speaks of, where it says so.
    source_system: str | None = None
    # The telephony profile that read it, where one did.
    profile: str | None = None


def object_subject(bucket: str, key: str) -> str:
    """What a telling is about that speaks of one object alone: its own metadata, or what a person heard in it."""
    return f"object {bucket}/{key}"


def call_subject(source_system: str, external_call_id: str) -> str:
    """The call that this system knows by this id."""
    return f"call {source_system} {external_call_id}"


def merge_tellings(tellings: Iterable[Telling]) -> CallFacts:
    """The facts that all tellings give together, the same in whatever order they are given.

    Fact by fact the highest rank wins; within a rank what was written last; after that the origin decides, so that two
    runs agree. Attributes are merged name by name under the same rule. What nobody told is None.
    """
    told: dict[str, object] = {}
    attributes: dict[str, str] = {}
    for telling in sorted(tellings, key=_weight):
        for name in _FACTS:
            value = getattr(telling.facts, name)
            if value is not None:
                told[name] = value
        attributes |= telling.facts.attributes
    return CallFacts(**told, attributes=attributes)  # type: ignore[arg-type]


def system_told(tellings: Iterable[Telling]) -> str | None:
    """The system that the tellings give the call's id to: that of the source whose id counts, where it names one, else
    the one that the strongest of them names; None where none does.
    """
    in_order = sorted(tellings, key=_weight)
    ids = [one.facts.external_call_id for one in in_order if one.facts.external_call_id]
    said = [one for one in in_order if one.source_system]
    # A stable sort: of those with the id that counts, the strongest stands last.
    said.sort(key=lambda one: one.facts.external_call_id in ids[-1:])
    return said[-1].source_system if said else None


def profile_told(tellings: Iterable[Telling], *, otherwise: str) -> str | None:
    """The profile of the strongest source that says anything of the call and is no plain names and values; `otherwise`
    where only such say something, None where nothing is said.
    """
    telling_something = [
        one for one in sorted(tellings, key=_weight) if one.rank is not Rank.PERSON and says_something(one.facts)
    ]
    named = [one.profile for one in telling_something if one.profile not in (None, otherwise)]
    return named[-1] if named else otherwise if telling_something else None


def _weight(telling: Telling) -> tuple[Rank, datetime, str]:
    return telling.rank, telling.as_of or _LONG_AGO, telling.origin


def says_something(facts: CallFacts) -> bool:
    """Whether anything was told of the call; attributes alone may be anything, such as the time of a copy."""
    return any(getattr(facts, name) is not None for name in _FACTS)


def believable(facts: CallFacts, stored_at: datetime) -> CallFacts:
    """The facts without times that lie after the recording was stored: a clock that is ahead tells no time.

    What was not believed stays readable in the attribute `not_believed`.
    """
    told = zip(_TIMES, _times(facts), strict=True)
    ahead = [name for name, moment in told if moment is not None and moment - stored_at > _CLOCKS_DIFFER_BY]
    if not ahead:
        return facts
    words = ", ".join(f"{name} {getattr(facts, name).isoformat()}" for name in ahead)
    return replace(facts, **dict.fromkeys(ahead), attributes={**facts.attributes, "not_believed": words})
