"""Single values as telephony writes them, read: times, phone numbers, directions, spans of seconds."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
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
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{2}(?:\.\d+)?)")


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
    """The phone number in E.164, None for extensions, `anonymous` and other text. SIP and tel addresses are read."""
    bare = re.sub(r"^(sips?|tel):", "", text.strip(), flags=re.IGNORECASE).split("@", 1)[0].split(";", 1)[0]
    try:
        parsed = phonenumbers.parse(bare, region)
    except phonenumbers.NumberParseException:
        return None
    # Possible, not valid: numbering plans grow faster than any table of them. A local part alone is no number.
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def read_moment(value: object, zone: tzinfo) -> datetime | None:
    """The aware time of ISO text, or of seconds or milliseconds since 1970; text without a zone is in `zone`."""
    if isinstance(value, bool):
        return None
    try:
        if isinstance(value, int | float):
            return from_epoch(value)
        text = str(value).strip()
        if re.fullmatch(r"\d{9,14}(\.\d+)?", text):
            return from_epoch(float(text))
        parsed = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).astimezone(UTC)


def from_epoch(number: float) -> datetime:
    """The time of seconds, or of milliseconds, since 1970."""
    return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)


def read_stamp(digits: str, zone: tzinfo) -> datetime | None:
    """The time of fourteen digits, YYYYMMDDHHMMSS, in `zone`; None for a thirteenth month and the like."""
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        return None


def read_direction(text: str) -> Direction | None:
    """`in`, `Inbound`, `outgoing` and the like; None for another word."""
    return _DIRECTIONS.get(text.strip().lower())


def read_seconds(value: object) -> float | None:
    """Seconds of a number or of `H:MM:SS`; None when it is neither, or below zero."""
    if isinstance(value, bool):
        return None
    clock = _CLOCK.fullmatch(str(value).strip())
    if clock:
        hours, minutes, seconds = clock.groups(default="0")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 <= number < 1e7 else None


def read_bool(value: object) -> bool | None:
    """True and false as JSON or as a word."""
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(str(value).lower())
