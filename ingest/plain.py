"""Plain names and values: metadata and tags of an object, a JSON object, a CSV table of one call."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from calls.recording import CallFacts, Direction
from ingest.told import Told
from ingest.values import (
    Locality,
    as_texts,
    read_bool,
    read_count,
    read_direction,
    read_extension,
    read_moment,
    read_number,
    read_seconds,
    read_text,
)

# Other words for our own names of facts, without the blanks, lines and capitals in which spellings differ.
_ALIASES = {
    "callid": "external_call_id",
    "id": "external_call_id",
    "contactid": "external_call_id",
    "uniqueid": "external_call_id",
    "callsid": "external_call_id",
    "linkedid": "initial_call_id",
    "conversationid": "initial_call_id",
    "agent": "agent_name",
    "agentusername": "agent_name",
    "email": "agent_email",
    "team": "team_name",
    "queue": "queue_name",
    "from": "from_number_e164",
    "fromnumber": "from_number_e164",
    "caller": "from_number_e164",
    "callerid": "from_number_e164",
    "callernumber": "from_number_e164",
    "ani": "from_number_e164",
    "to": "to_number_e164",
    "tonumber": "to_number_e164",
    "called": "to_number_e164",
    "callednumber": "to_number_e164",
    "dnis": "to_number_e164",
    "customernumber": "customer_number",
    "customerphone": "customer_number",
    "customerphonenumber": "customer_number",
    "customer": "customer_name",
    "start": "started_at",
    "starttime": "started_at",
    "started": "started_at",
    "timestamp": "started_at",
    "answertime": "answered_at",
    "answered": "answered_at",
    "queuetime": "queued_at",
    "end": "ended_at",
    "endtime": "ended_at",
    "ended": "ended_at",
    "holds": "hold_time_s",
    "acws": "acw_time_s",
    "transferred": "is_transferred",
    "system": "source_system",
}
# Attributes whose names are the same in the spelling of metadata, which S3 writes without capitals.
_ATTRIBUTES = {"agentid": "agent_id", "customerid": "customer_id", "queueid": "queue_id"}
SYSTEM = "plain"
_CUSTOMER_NUMBER = "customer_number"
_SOURCE_SYSTEM = "source_system"
_ATTRIBUTE_PREFIX = "attr_"
_HEADER = re.compile("name|key|field|property", re.IGNORECASE)


def squeezed(name: str) -> str:
    """A name without what spellings differ in: `callId`, `Call-ID` and `call_id` are one."""
    return name.strip().lower().replace("-", "").replace("_", "").replace(" ", "")


def fact_name(name: str) -> str | None:
    """The fact that this word stands for; None when it is no word for a fact."""
    return _FACTS.get(squeezed(name))


def read_plain(given: Mapping[str, Any], local: Locality) -> Told:
    """Facts by our names or by common other words for them; what is neither becomes an attribute, as text.

    Where two words for one fact are given, the first that can be read counts.
    """
    facts: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    extensions: dict[str, str] = {}
    unread: list[str] = []
    system: str | None = None
    for raw_name, value in given.items():
        name = fact_name(str(raw_name)) or ""
        if value is None or value == "":
            continue
        if name == _SOURCE_SYSTEM:
            system = system or read_text(value)
        elif name == _CUSTOMER_NUMBER or name in _READERS:
            facts[name] = facts.get(name) if facts.get(name) is not None else _READERS[name](value, local)
            if facts[name] is None and (extension := _extension(name, value)):
                extensions.setdefault(name, extension)
        elif squeezed(str(raw_name)) == "attributes" and isinstance(value, Mapping):
            attributes |= as_texts(value)
        elif isinstance(value, str | int | float | bool):
            attributes[_attribute_name(str(raw_name))] = str(value)
        else:
            unread.append(str(raw_name).strip().lower())
    unread += [name for name, value in facts.items() if value is None and name not in extensions]
    told = _with_customer({name: value for name, value in facts.items() if value is not None})
    return Told(CallFacts(**told, attributes=_extensions(extensions, told) | attributes), tuple(unread), system)


def read_table(text: str, local: Locality) -> Told | None:
    """The facts of a CSV table: a header and one row, or a name and its value in each row. None when it is neither.

    Columns are separated by comma, semicolon or tab, whichever the first row has most of.
    """
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        read = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        rows = [cells for row in read if any(cells := [cell.strip() for cell in row])]
    except csv.Error:
        return None
    if not rows or first.count(delimiter) == 0:
        return None
    if all(len(row) == 2 for row in rows):
        if _HEADER.fullmatch(rows[0][0]) and rows[0][1].lower() == "value":
            return read_plain(_pairs(rows[1:]), local)
        names, heads = _known([row[0] for row in rows]), _known(rows[0])
        if names > 1 or (names == 1 and (len(rows) == 1 or heads == 0)):
            return read_plain(_pairs(rows), local)
        if names == 1 and heads == 1:
            # `agent,Ana` over `color,red` has the shape of `agent,color` over `Ana,red`.
            return Told(CallFacts(), ("two columns, and only one known name",))
    if not _known(rows[0]):
        return None
    if len(rows) != 2:
        return Told(CallFacts(), ("more than one row" if len(rows) > 2 else "names without values",))
    told = read_plain(_pairs(zip(rows[0], rows[1], strict=False)), local)
    return told if len(rows[1]) <= len(rows[0]) else Told(told.facts, (*told.unread, "more columns than names"))


def _pairs(pairs: Iterable[Sequence[str]]) -> dict[str, str]:
    """By the first that names it: a later column of the same name adds nothing."""
    told: dict[str, str] = {}
    for name, value in pairs:
        if name and value:
            told.setdefault(name, value)
    return told


def _known(names: Sequence[str]) -> int:
    return sum(fact_name(name) is not None for name in names)


def _attribute_name(name: str) -> str:
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    return _ATTRIBUTES.get(squeezed(name), plain.removeprefix(_ATTRIBUTE_PREFIX))


def _extension(name: str, value: object) -> str | None:
    return read_extension(str(value)) if name in {"from_number_e164", "to_number_e164"} else None


def _extensions(extensions: Mapping[str, str], told: Mapping[str, Any]) -> dict[str, str]:
    """The attribute of an extension on one side; where both sides are extensions, of each."""
    inside = {name: text for name, text in extensions.items() if name not in told}
    if len(inside) == 2:
        return {"extension": inside["to_number_e164"], "from_extension": inside["from_number_e164"]}
    return {"extension": next(iter(inside.values()))} if inside else {}


def _with_customer(told: dict[str, Any]) -> dict[str, Any]:
    """With the customer's number on the side that the direction gives it, unless that side is told already."""
    number = told.pop(_CUSTOMER_NUMBER, None)
    if number:
        outbound = told.get("direction") is Direction.OUTBOUND
        told.setdefault("to_number_e164" if outbound else "from_number_e164", number)
    return told


def _moment(value: Any, local: Locality) -> Any:
    return read_moment(value, local.zone)


def _number(value: Any, local: Locality) -> Any:
    return read_number(str(value), local.region)


_TEXTS = (
    *("external_call_id", "initial_call_id", "previous_call_id", "customer_name", "agent_name", "agent_email"),
    *("team_name", "queue_name", "disconnect_reason"),
)
_READERS: Mapping[str, Callable[[Any, Locality], Any]] = {
    **dict.fromkeys(_TEXTS, lambda value, _: read_text(value)),
    **dict.fromkeys(("queued_at", "started_at", "answered_at", "ended_at"), _moment),
    **dict.fromkeys(("hold_time_s", "acw_time_s"), lambda value, _: read_seconds(value)),
    **dict.fromkeys(("from_number_e164", "to_number_e164", _CUSTOMER_NUMBER), _number),
    "direction": lambda value, _: read_direction(str(value)),
    "hold_count": lambda value, _: read_count(value),
    "is_transferred": lambda value, _: read_bool(value),
    "agent_channel": lambda value, _: int(str(value)) if str(value) in {"0", "1"} else None,
}
# Every word for a fact: our own names, and the other words.
_FACTS = {squeezed(name): name for name in (*_READERS, _SOURCE_SYSTEM)} | _ALIASES
FACT_WORDS = frozenset(_FACTS)
