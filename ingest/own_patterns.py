"""The owner's own profiles: a pattern with named groups for the names of recordings that no built-in profile knows."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from calls.errors import SettingsError
from ingest.names import Found, NameProfile
from ingest.plain import FACT_WORDS, read_plain, squeezed
from ingest.told import Told, told_over
from ingest.values import Locality, from_epoch, read_moment, read_stamp, read_time

_SETTING = "telephony.patterns"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_ATTRIBUTE = re.compile(r"attr_\w+")
# Groups that say the time in parts; the fact is `started_at`.
_TIME_GROUPS = ("started_at", "date", "time", "epoch")
# Words for a fact that every key has somewhere would be read by accident: as a group they are asked for by name only.
_WORDS = FACT_WORDS | {"date", "time", "epoch"}
_TRIED = datetime(2026, 11, 27, 16, 45, 58, tzinfo=UTC)
_LONGEST_PATTERN = 500
# A search tries every way to share a name out among these: with three, a name of 1,024 characters takes minutes.
_MOST_WILDCARDS = 2
_MARKS = re.compile(r"[()]|(?P<repeat>[*+]|\{\d*,\}|\{\d*,?\d{2,}\})|.", re.DOTALL)


@dataclass(frozen=True)
class OwnPattern:
    """One profile as the settings have it; empty text and None mean that nothing was set."""

    name: str
    pattern: str
    time_format: str = ""
    source_system: str = ""
    agent_channel: int | None = None
    time_zone: str = ""


def own_profiles(patterns: Sequence[OwnPattern], taken: Collection[str]) -> tuple[NameProfile, ...]:
    """The profiles of the settings, ready to read; none may have a name that is `taken`.

    Raises SettingsError that names the setting and the fix.
    """
    profiles: list[NameProfile] = []
    for number, own in enumerate(patterns):
        setting = f"{_SETTING}[{number}]"
        if not _NAME.fullmatch(own.name):
            raise SettingsError(
                f"{setting}.name: {own.name!r} is no name of a profile; write small letters, digits, - and _"
            )
        if own.name in taken or own.name in {profile.name for profile in profiles}:
            raise SettingsError(f"{setting}.name: {own.name!r} is taken already; give the profile another name")
        zone = _zone(setting, own)
        _check_time_format(setting, own)
        profiles.append(
            NameProfile(
                own.name, _compiled(setting, own), _Reader(own, zone), source_system=own.source_system or own.name
            )
        )
    return tuple(profiles)


@dataclass(frozen=True)
class _Reader:
    """Makes facts of what an owner's pattern finds."""

    own: OwnPattern
    zone: ZoneInfo | None

    def __call__(self, found: Found, local: Locality) -> Told:
        here = replace(local, zone=self.zone) if self.zone else local
        times = {group: found[group] for group in _TIME_GROUPS if found.get(group)}
        told = read_plain({group: text for group, text in found.items() if group not in _TIME_GROUPS}, here)
        facts = told.facts
        unread = told.unread
        if times:
            started_at = self._started_at(times, here)
            facts = replace(facts, started_at=started_at)
            unread = unread if started_at else (*unread, "started_at")
        if self.own.agent_channel is not None:
            facts = told_over(replace(facts, agent_channel=self.own.agent_channel), facts)
        return Told(facts, unread, told.source_system)

    def _started_at(self, times: Mapping[str, str], local: Locality) -> datetime | None:
        # The epoch is UTC and cannot be misread; a written time can be in another zone than is set.
        if "epoch" in times:
            digits = times["epoch"]
            moment = from_epoch(float(digits)) if re.fullmatch(r"[0-9]{9,14}(\.[0-9]{1,9})?", digits) else None
            if moment:
                return moment
        text = times.get("started_at") or " ".join(times[part] for part in ("date", "time") if part in times)
        if not text:
            return None
        if self.own.time_format:
            return read_time(text, self.own.time_format, local.zone)
        return read_stamp(re.sub(r"[^0-9]", "", text), local.zone) or read_moment(text, local.zone)


def _zone(setting: str, own: OwnPattern) -> ZoneInfo | None:
    try:
        return ZoneInfo(own.time_zone) if own.time_zone else None
    except (KeyError, ValueError, OSError):
        raise SettingsError(
            f"{setting}.time_zone: {own.time_zone!r} is no IANA time zone; write one like Europe/Berlin"
        ) from None


def _check_time_format(setting: str, own: OwnPattern) -> None:
    if not own.time_format:
        return
    try:
        again = read_time(_TRIED.strftime(own.time_format), own.time_format, UTC)
    except (ValueError, re.error):
        again = None
    if again is None or again.date() != _TRIED.date():
        raise SettingsError(
            f"{setting}.time_format: {own.time_format!r} is no form of a date and time; write one like"
            f" %Y%m%d-%H%M%S, or '%Y-%m-%d %H%M%S' for the groups date and time, joined by a blank"
        )


def _compiled(setting: str, own: OwnPattern) -> re.Pattern[str]:
    if len(own.pattern) > _LONGEST_PATTERN:
        raise SettingsError(f"{setting}.pattern: longer than {_LONGEST_PATTERN} characters; shorten it")
    try:
        compiled = re.compile(own.pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise SettingsError(
            f"{setting}.pattern: no regular expression ({error}); in callwise.toml write it in single quotes"
        ) from None
    if not compiled.groupindex:
        raise SettingsError(f"{setting}.pattern: finds nothing; name the parts, as in (?P<agent>[^_]+)")
    for group in compiled.groupindex:
        if squeezed(group) not in _WORDS and not _ATTRIBUTE.fullmatch(group):
            raise SettingsError(
                f"{setting}.pattern: there is no fact {group!r}; write one of call_id, from, to, customer_number,"
                f" agent, queue, team, direction, started_at, date, time, epoch, or attr_{group} for an attribute"
            )
    if _has_nested_repeats(own.pattern) or len(re.findall(r"(?<!\\)\.[*+]", own.pattern)) > _MOST_WILDCARDS:
        raise SettingsError(
            f"{setting}.pattern: could take for ever on some names; write what a part cannot contain, as in [^_]+, in"
            " place of .* and of a repeat within a repeat"
        )
    return compiled


def _has_nested_repeats(pattern: str) -> bool:
    """Whether a group that repeats without bound holds something that does so, too, such as (a+)+ or (\\w*x)*."""
    plain = re.sub(r"\\.", "x", pattern, flags=re.DOTALL)
    plain = re.sub(r"\[\^?\]?[^\]]*\]", "x", plain)
    # What begins a group is no repeat, and a question mark behind a repeat only says how eager it is.
    plain = re.sub(r"\(\?(?:P?<[=!]?(?:\w*>)?|P=\w+|[a-zA-Z-]*:|[=!>])", "(", plain)
    holds_repeat = [False]
    closed = False
    for mark in _MARKS.finditer(plain):
        if mark["repeat"]:
            if closed:
                return True
            holds_repeat[-1] = True
        if mark[0] == "(":
            holds_repeat.append(False)
        closed = mark[0] == ")" and len(holds_repeat) > 1 and holds_repeat.pop()
        if closed:
            holds_repeat[-1] = True
    return False
