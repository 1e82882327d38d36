"""Single values as telephony writes them, read: times, phone numbers, directions, spans of seconds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers

from calls.recording import Direction

_DIRECTIONS = {
    "in": Direction.INBOUND,
    "inbound": Direction.INBOUND,
    "incoming": Direction.INBOUND,
    "out": Direction.OUTBOUND,
    "outbound": Direction.OUTBOUND,
    "outgoing": Direction.OUTBOUND,
    "internal": Direction.INTERNAL,
}
# From here on a number can only be milliseconds: as seconds it would be past the year 5000.
_MILLISECONDS_FROM = 1e11
_EPOCH = re.compile(r"\d{9,14}(\.\d{1,9})?")
# Day, month and year in another order cannot be taken for this: no month is the 20th.
_STAMP = re.compile(r"(\d{4})[-/.]?(\d\d)[-/.]?(\d\d)[ T_-]?(\d\d)[-:.]?(\d\d)[-:.]?(\d\d)", re.ASCII)
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2}(?:\.\d+)?)")
# What is outside is a clock that was never set or a number of another kind: no recording is that old.
_YEARS = range(1980, 2200)

_DIALLED = re.compile(r"\+?[\d\s().\-/]+")
_DIAL_SUFFIX = re.compile(r"(?:[;,]|\s*(?:x|ext\.?|#)\s*\d).*$", re.IGNORECASE | re.DOTALL)
_MAX_ADDRESS = 200
# Shorter than this, what is dialled without a country code is an extension or a short code (112, 1001), even where the
# region's numbering plan could read it as somebody's number.
_SHORTEST_NATIONAL = 7
_EXTENSION = re.compile(r"[*#]?\d{2,6}")


@dataclass(frozen=True)
class Locality:
    """Where telephony stands: the region of numbers without a country code, the zone of times without one."""

    region: str = "US"
    zone: tzinfo = UTC

    @classmethod
    def of(cls, region: str, time_zone: str) -> "Locality":
        """By names: ISO 3166 and IANA. Raises KeyError for a zone that nobody knows."""
        return cls(region, ZoneInfo(time_zone))


def read_number(text: str, region: str) -> str | None:
    """The phone number in E.164, None for extensions, short codes, `anonymous` and other text.

    SIP and tel addresses are read, and so is a displayed name before one (`"Ana" <sip:+1...>`).
    """
    bare = _bare_address(text)
    digit_count = sum(character.isdigit() for character in bare)
    if not _DIALLED.fullmatch(bare) or (digit_count < _SHORTEST_NATIONAL and not bare.startswith("+")):
        return None
    try:
        parsed = phonenumbers.parse(bare, region)
    except phonenumbers.NumberParseException:
        return None
    # Possible, not valid: numbering plans grow faster than any table of them. A local part alone is no number.
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def read_certain_number(text: str, region: str) -> str | None:
    """The phone number of text that may as well be an id of another kind: with a country code, or one in service."""
    number = read_number(text, region)
    if number is None or _bare_address(text).startswith("+"):
        return number
    return number if phonenumbers.is_valid_number(phonenumbers.parse(number)) else None


def read_extension(text: str) -> str | None:
    """The extension or short code of an address inside a centre, None for everything else."""
    bare = _bare_address(text)
    return bare if _EXTENSION.fullmatch(bare) else None


def _bare_address(text: str) -> str:
    address = text[:_MAX_ADDRESS]
    if "<" in address:
        address = address.partition("<")[2].partition(">")[0]
    address = re.sub(r"^(sips?|tel):", "", address.strip(), flags=re.IGNORECASE).partition("@")[0]
    return _DIAL_SUFFIX.sub("", address).strip()


def read_moment(value: object, zone: tzinfo) -> datetime | None:
    """The aware time of ISO text, of fourteen digits YYYYMMDDHHMMSS with marks between them or without, or of seconds
    or milliseconds since 1970; text without a zone is in `zone`.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return from_epoch(value)
    text = str(value).strip()
    if stamp := _STAMP.fullmatch(text):
        return read_stamp("".join(stamp.groups()), zone)
    if _EPOCH.fullmatch(text):
        return from_epoch(float(text))
    try:
        return to_utc(datetime.fromisoformat(text), zone)
    except ValueError:
        return None


def to_utc(moment: datetime, zone: tzinfo) -> datetime | None:
    """The moment in UTC, read in `zone` when it has none of its own; None outside the years of recordings.

    A local time that a change of clocks gives twice is the first of the two; one that it leaves out is read as if the
    clocks had not been changed yet, so it comes out later by the change.
    """
    try:
        aware = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return aware if aware.year in _YEARS else None


def from_epoch(number: float) -> datetime | None:
    """The time of seconds, or of milliseconds, since 1970; None outside the years of recordings."""
    try:
        return to_utc(datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def read_stamp(digits: str, zone: tzinfo) -> datetime | None:
    """The time of fourteen digits, YYYYMMDDHHMMSS, in `zone`; None for a thirteenth month and the like."""
    # strptime would read thirteen digits as well, and the minute would be a guess.
    if len(digits) != 14 or not (digits.isascii() and digits.isdigit()):
        return None
    return read_time(digits, "%Y%m%d%H%M%S", zone)


def read_time(text: str, form: str, zone: tzinfo) -> datetime | None:
    """The time of text in a form of strptime, in `zone` where the text names none; None where it does not fit."""
    try:
        return to_utc(datetime.strptime(text, form), zone)  # noqa: DTZ007 - the zone comes with it
    except (ValueError, OverflowError):
        return None


def read_direction(text: str) -> Direction | None:
    """`in`, `Inbound`, `outgoing` and the like; None for another word."""
    return _DIRECTIONS.get(text.strip().lower())


def read_seconds(value: object) -> float | None:
    """Seconds of a number or of `H:MM:SS`; None when it is neither, or below zero."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    clock = _CLOCK.fullmatch(str(value).strip())
    if clock:
        hours, minutes, seconds = clock.groups(default="0")
        number = int(hours[:9]) * 3600 + int(minutes) * 60 + float(seconds)
    else:
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return None
    return number if 0 <= number < 1e7 else None


def read_count(value: object) -> int | None:
    """A whole number that counts something; None for everything else."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def read_bool(value: object) -> bool | None:
    """True and false as JSON or as a word."""
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(str(value).lower())


def read_text(value: object) -> str | None:
    """Text or a number as text; None for everything else, and for nothing but blanks."""
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    return str(value).strip() or None


def as_mapping(value: object) -> Mapping[str, Any]:
    """The JSON object, an empty one in place of everything else."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: object) -> Sequence[Any]:
    """The JSON list, an empty one in place of everything else."""
    return value if isinstance(value, list) else []


def as_texts(values: Mapping[Any, Any]) -> dict[str, str]:
    """The simple values of a JSON object as text; lists and objects in it are left out."""
    return {str(name): str(value) for name, value in values.items() if isinstance(value, str | int | float | bool)}
