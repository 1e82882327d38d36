"""What telephony says of a recording, by whichever profiles can read its name, its metadata or its sidecar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import NamedTuple

from phonenumbers import SUPPORTED_REGIONS

from calls.errors import SettingsError
from calls.recording import OWN_PREFIX, TEXT_SUFFIXES, CallFacts
from calls.telling import Rank, Telling, merge_tellings
from ingest import genesys, google, plain, vcon_facts
from ingest.names import NAME_PROFILES, Found, NameProfile
from ingest.own_patterns import OwnPattern, own_profiles
from ingest.sidecars import Companion, read_companion
from ingest.told import NOTHING, Told, facts_by_name, storable, told_over
from ingest.values import Locality

PLAIN = plain.SYSTEM
# The source system of calls whose names nobody reads: their ids are their places in the store.
STORAGE = "storage"
# Profiles that read documents and metadata, with the suffixes of the documents that they look for, likeliest first.
_BESIDE = {PLAIN: (".json", ".csv"), google.SYSTEM: (".json",), vcon_facts.SYSTEM: (".vcon",)}
BUILT_IN = tuple(dict.fromkeys((PLAIN, *NAME_PROFILES, *_BESIDE)))

# fmt: off
AUDIO_SUFFIXES = (
    ".wav", ".mp3", ".ogg", ".opus", ".flac", ".m4a", ".aac", ".wma", ".amr", ".gsm", ".mp4", ".webm", ".mka",
    ".au", ".aif", ".aiff", ".ulaw", ".alaw", ".raw", ".sln", ".g722", ".3gp",
)
_OTHER_SUFFIXES = frozenset({
    ".tsv", ".txt", ".xml", ".yaml", ".yml", ".html", ".htm", ".md", ".log", ".pdf", ".vtt",
    ".srt", ".jpg", ".jpeg", ".png", ".gif", ".zip", ".gz", ".tar", ".parquet", ".sha256", ".md5", ".tmp",
    ".part", ".partial", ".crdownload", ".ini", ".db", ".sqlite",
})
# fmt: on
SIDECAR_SUFFIX = ".json"
# A vCon may also call itself JSON.
_TWO_SUFFIXES = ".vcon.json"
# What Amazon Connect itself writes into the metadata of a recording, whatever its name is now.
_CONTACT_ID = "contact-id"
SIDECAR_SUFFIXES = frozenset({SIDECAR_SUFFIX, ".csv", ".vcon"})
# Stores mark folders with objects without a byte, but none under such a name.
_NEVER_MARKERS = (*AUDIO_SUFFIXES, *(one for one in TEXT_SUFFIXES if one != SIDECAR_SUFFIX))
_NOBODY: Mapping[str, str] = MappingProxyType({})
_UNREAD = CallFacts()


class Reading(NamedTuple):
    """What was read of one recording.

    `profile` is the profile that read it, None when none could, and `source_system` the one whose call ids these are;
    `unread` names what was there and could not be read; `told_by` names who told each fact and attribute; `beside`
    are the names, in the recording's folder, of documents that the system itself writes beside it.
    """

    profile: str | None
    source_system: str
    facts: CallFacts
    unread: tuple[str, ...] = ()
    told_by: Mapping[str, str] = _NOBODY
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Addressees:
    """Whose sidecar an object may be: that of one of these recordings, or of every recording of a conversation.

    `conversation` is (source system, conversation id); recordings know it as their `initial_call_id`.
    """

    recordings: tuple[str, ...] = ()
    conversation: tuple[str, str] | None = None


@dataclass(frozen=True)
class Profiles:
    """The profiles that may read, in order, and where telephony stands. The owner's own are asked first."""

    names: tuple[str, ...]
    local: Locality = field(default_factory=Locality)
    own: tuple[NameProfile, ...] = ()

    @classmethod
    def of(
        cls, names: Sequence[str], *, region: str, time_zone: str, patterns: Sequence[OwnPattern] = ()
    ) -> "Profiles":
        """By the settings. Raises SettingsError for a profile or a zone that does not exist, or a wrong pattern."""
        unknown = [name for name in names if name not in BUILT_IN]
        if unknown:
            known = ", ".join(BUILT_IN)
            raise SettingsError(f"telephony.profiles: there is no profile {unknown[0]!r}; there are {known}")
        if region not in SUPPORTED_REGIONS:
            raise SettingsError(f"telephony.region: {region!r} is no region of ISO 3166; write one like US or GB")
        own = own_profiles(patterns, {*BUILT_IN, STORAGE})
        try:
            return cls(tuple(names), Locality.of(region, time_zone), own)
        except (KeyError, ValueError):
            raise SettingsError(f"telephony.time_zone: {time_zone!r} is no IANA time zone") from None

    @cached_property
    def _readers(self) -> tuple[NameProfile, ...]:
        return (*self.own, *(NAME_PROFILES[name] for name in self.names if name in NAME_PROFILES))

    @cached_property
    def _suffixes_beside(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(suffix for name in self.names for suffix in _BESIDE.get(name, ())))

    def read_name(self, key: str) -> Reading:
        """What the name alone says."""
        # A pattern knows one suffix.
        profile, found = self._profile_of(sidecar_key(key) if key.lower().endswith(_TWO_SUFFIXES) else key)
        if profile is None or found is None:
            return Reading(None, STORAGE, _UNREAD)
        told = storable(profile.read(found, self.local))
        system = told.source_system or profile.source_system or profile.name
        return Reading(profile.name, system, told.facts, told.unread, beside=profile.sidecars(found))

    def read_metadata(self, metadata: Mapping[str, str], tags: Mapping[str, str] | None = None) -> Told:
        """What the object's own metadata say, and its tags where the metadata say nothing."""
        if PLAIN not in self.names and google.SYSTEM not in self.names:
            return NOTHING
        behind, before = (plain.read_plain(given, self.local) for given in (tags or {}, metadata))
        facts = told_over(behind.facts, before.facts)
        unread = tuple(name for name in (*before.unread, *behind.unread) if getattr(facts, name, None) is None)
        system = before.source_system or behind.source_system
        if system is None and _CONTACT_ID in metadata and "connect" in self.names:
            system = "connect"
        return storable(Told(facts, unread, system))

    def companions(self, key: str, named: Reading) -> tuple[str, ...]:
        """The keys under which sidecars of this recording may lie, likeliest first; several may be there. `named` is
        what its name says.
        """
        stem, suffixes = stem_of(key), self._suffixes_beside
        if named.profile == "connect" and SIDECAR_SUFFIX not in suffixes:
            suffixes = (SIDECAR_SUFFIX, *suffixes)
        keys = [stem + suffix for suffix in suffixes]
        if named.beside:
            folder = key[: key.rfind("/") + 1]
            keys = [*(folder + name for name in named.beside), *keys]
        if key in keys:
            keys.remove(key)
        return tuple(keys)

    def addressees(self, key: str) -> Addressees | None:
        """Whose sidecar the object may be, by its name; None when it is nobody's."""
        suffix = _suffix(key)
        if key.startswith(OWN_PREFIX) or suffix not in SIDECAR_SUFFIXES:
            return None
        if genesys.SYSTEM in self.names:
            conversation = genesys.conversation_of(key)
            if conversation:
                return Addressees(conversation=(genesys.SYSTEM, conversation))
            of_recording = genesys.recording_of(key)
            if of_recording:
                stem, known = of_recording
                return Addressees((stem + known,) if known else _recordings(stem))
        is_looked_for = any(suffix in _BESIDE.get(name, ()) for name in self.names)
        if is_looked_for or (suffix == SIDECAR_SUFFIX and "connect" in self.names):
            return Addressees(tuple(recordings_of(key)))
        return None

    def read_companion(self, key: str, raw: bytes) -> Companion:
        """What a sidecar says of the recordings that its name belongs to, by its shape; it never raises."""
        addressees = self.addressees(key)
        recordings = addressees.recordings if addressees else ()
        call_id = self.read_name(recordings[0]).facts.external_call_id if recordings else None
        return read_companion(raw, self.local, self.names, call_id)

    def read(
        self,
        key: str,
        *,
        metadata: Mapping[str, str] | None = None,
        sidecar: bytes | None = None,
        sidecar_name: str | None = None,
    ) -> Reading:
        """What name, metadata and sidecar say together, by the rules of calls/telling.py.

        The name alone gives the call its id where it can: it is there from the first moment, whatever comes later.
        """
        named = self.read_name(key)
        meta = self.read_metadata(metadata) if metadata else NOTHING
        beside = Companion(NOTHING)
        if sidecar is not None and self.companions(key, named):
            beside = read_companion(sidecar, self.local, self.names, named.facts.external_call_id)
        tellings = [
            Telling("name", Rank.NAME, named.facts),
            Telling("metadata", Rank.METADATA, meta.facts),
            Telling(sidecar_name or sidecar_key(key), beside.rank, beside.told.facts, beside.as_of),
        ]
        facts = merge_tellings(tellings)
        told_by = who_told(tellings)
        if named.facts.external_call_id:
            facts = replace(facts, external_call_id=named.facts.external_call_id)
            told_by["external_call_id"] = "name"
        # What the name did not say and something else did is not missing.
        unread = [
            name for name in (*named.unread, *meta.unread, *beside.told.unread) if getattr(facts, name, None) is None
        ]
        later = (beside.profile if beside.told.is_of_a_call else None, PLAIN if meta.is_of_a_call else None)
        # A name with an id says whose id it is; what is told later cannot change which call this is.
        is_named = named.facts.external_call_id is not None
        told_system = None if is_named else beside.told.source_system or meta.source_system
        return Reading(
            named.profile or later[0] or later[1],
            told_system or named.source_system,
            facts,
            tuple(dict.fromkeys(unread)),
            told_by,
        )

    def _profile_of(self, key: str) -> tuple[NameProfile | None, Found | None]:
        for profile in self._readers:
            found = profile.find(key)
            if found is not None:
                return profile, found
        return None, None


def who_told(tellings: Sequence[Telling]) -> dict[str, str]:
    """The origin of each fact that the tellings give together, and of each attribute under `attributes.NAME`."""
    origins = []
    for telling in tellings:
        told = [name for name, value in facts_by_name(telling.facts).items() if value is not None]
        told += [f"attributes.{name}" for name in telling.facts.attributes]
        # Attributes are merged name by name under the same rule as facts: what wins there is who told it.
        origins.append(replace(telling, facts=CallFacts(attributes=dict.fromkeys(told, telling.origin))))
    return dict(merge_tellings(origins).attributes)


def why_no_recording(key: str, size_bytes: int | None) -> str | None:
    """Why this object is no recording (`own`, `folder_marker`, `sidecar`, `not_audio`), None when it may be one.

    A file of sound or of text without a byte is no folder marker: it fails where people see it.
    """
    suffix = _suffix(key)
    if key.startswith(OWN_PREFIX):
        return "own"
    if key.endswith("/") or (size_bytes == 0 and not key.lower().endswith(_NEVER_MARKERS)):
        return "folder_marker"
    if suffix in SIDECAR_SUFFIXES:
        return "sidecar"
    return "not_audio" if suffix in _OTHER_SUFFIXES else None


def sidecar_key(key: str) -> str:
    """The key under which the document of a recording lies: its own, with another suffix."""
    return stem_of(key) + SIDECAR_SUFFIX


def recordings_of(key: str) -> list[str]:
    """The keys that the recording of this sidecar can have."""
    return list(_recordings(stem_of(key)))


def _recordings(stem: str) -> tuple[str, ...]:
    forms = [stem + form for suffix in AUDIO_SUFFIXES for form in (suffix, suffix.upper())]
    return (*forms, stem) if stem_of(stem) == stem else tuple(forms)


def _suffix(key: str) -> str:
    """What follows the last point of the key's name, with it, in small letters; empty where there is none."""
    point = key.rfind(".")
    return key[point:].lower() if key.rfind("/") + 1 < point < len(key) - 1 else ""


def stem_of(key: str) -> str:
    """The key without its suffix: what a recording and the documents beside it share."""
    if key.lower().endswith(_TWO_SUFFIXES):
        key = key[: -len(SIDECAR_SUFFIX)]
    point = key.rfind(".")
    return key[:point] if key.rfind("/") + 1 < point else key
