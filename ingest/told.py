"""What was read of a call, in a form that a database takes, and the names of what could not be read."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, NamedTuple

from calls.recording import CallFacts
from calls.telling import says_something

# A key of 1,024 bytes can be one long id: this much of it still fits an index of every database.
_MAX_TEXT = 500
_MAX_NAME = 100
_MAX_ATTRIBUTES = 50
_MAX_UNREAD = 50

_FACTS = tuple(item.name for item in fields(CallFacts) if item.name != "attributes")
_values = attrgetter(*_FACTS)


class Told(NamedTuple):
    """Facts that were read, and the names of the parts that could not be.

    `source_system` is the system whose call ids these are, where the source says so; None where it does not.
    """

    facts: CallFacts
    unread: tuple[str, ...] = ()
    source_system: str | None = None

    @property
    def is_of_a_call(self) -> bool:
        """Whether anything was said of the call; attributes alone may be anything, such as the time of a copy."""
        return says_something(self.facts)


NOTHING = Told(CallFacts())


def tell(parts: Mapping[str, object], unread: Iterable[str] = (), /, **facts: Any) -> Told:
    """The facts that are there; `parts` are the raw values by fact, of which those without a fact are unread."""
    told = facts if None not in facts.values() else {name: fact for name, fact in facts.items() if fact is not None}
    # Mostly every part has its fact.
    if not parts.keys() <= told.keys():
        unread = [*(name for name, raw in parts.items() if name not in told and raw not in (None, "")), *unread]
    return Told(CallFacts.of(told), tuple(unread))


def told_over(before: CallFacts, after: CallFacts) -> CallFacts:
    """The facts of both; where both speak, `after` wins."""
    told = {name: value for name, value in facts_by_name(after).items() if value is not None}
    return replace(before, **told, attributes={**before.attributes, **after.attributes})


def facts_by_name(facts: CallFacts) -> dict[str, Any]:
    """Every fact but the attributes by its name, None where it was not told."""
    return dict(zip(_FACTS, _values(facts), strict=True))


def storable(told: Told) -> Told:
    """The same, with every text as a database takes it, and no more of it than there is use for."""
    facts = told.facts
    changed: dict[str, Any] = {}
    # Those that were told.
    for name, value in vars(facts).items():
        if type(value) is str and (cleaned := clean(value)) != value:
            changed[name] = cleaned or None
    if not changed and not facts.attributes and not told.unread and not told.source_system:
        return told
    attributes = {
        clean(name, _MAX_NAME): clean(value)
        for name, value in list(facts.attributes.items())[:_MAX_ATTRIBUTES]
        if clean(name, _MAX_NAME) and clean(value)
    }
    unread = dict.fromkeys(clean(name, _MAX_NAME) for name in told.unread[:_MAX_UNREAD])
    system = clean(told.source_system or "", _MAX_NAME) or None
    return Told(replace(facts, **changed, attributes=attributes), tuple(unread), system)


def clean(text: str, length: int = _MAX_TEXT) -> str:
    """What a database takes: no NUL, no half of a surrogate pair, and not too long."""
    if len(text) <= length and text.isascii() and text.isprintable():
        return text.strip()
    return text.replace("\0", "").encode(errors="replace").decode().strip()[:length].strip()
