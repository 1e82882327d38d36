"""What telephony says of a recording, by whichever profiles can read its name, its metadata or its sidecar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import PurePosixPath

from calls.errors import SettingsError
from calls.recording import OWN_PREFIX, CallFacts
from ingest.names import NAME_PROFILES, Told
from ingest.sidecars import read_plain, read_sidecar
from ingest.values import Locality

PLAIN = "plain"
# The source system of calls whose names nobody reads: their ids are their places in the store.
STORAGE = "storage"

# fmt: off
AUDIO_SUFFIXES = (
    ".wav", ".mp3", ".ogg", ".opus", ".flac", ".m4a", ".aac", ".wma", ".amr", ".gsm", ".mp4", ".webm", ".mka",
    ".au", ".aif", ".aiff", ".ulaw", ".alaw", ".raw", ".sln", ".g722", ".3gp",
)
_OTHER_SUFFIXES = frozenset({
    ".json", ".csv", ".tsv", ".txt", ".xml", ".yaml", ".yml", ".html", ".htm", ".md", ".log", ".pdf", ".vtt",
    ".srt", ".jpg", ".jpeg", ".png", ".gif", ".zip", ".gz", ".tar", ".parquet", ".sha256", ".md5", ".tmp",
    ".part", ".partial", ".crdownload", ".ini", ".db", ".sqlite",
})
# fmt: on
SIDECAR_SUFFIX = ".json"


@dataclass(frozen=True)
class Reading:
    """What was read of one recording.

    `profile` is the profile that read it, None when none could, and `source_system` the one whose call ids these are;
    `unread` names what was there and could not be read.
    """

    profile: str | None
    source_system: str
    facts: CallFacts
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Profiles:
    """The profiles that may read, in order, and where telephony stands."""

    names: tuple[str, ...]
    local: Locality = field(default_factory=Locality)

    @classmethod
    def of(cls, names: Sequence[str], *, region: str, time_zone: str) -> "Profiles":
        """By the settings. Raises SettingsError for a profile or a zone that does not exist."""
        unknown = [name for name in names if name != PLAIN and name not in NAME_PROFILES]
        if unknown:
            known = ", ".join((PLAIN, *NAME_PROFILES))
            raise SettingsError(f"telephony.profiles: there is no profile {unknown[0]!r}; there are {known}")
        try:
            return cls(tuple(names), Locality.of(region, time_zone))
        except (KeyError, ValueError):
            raise SettingsError(f"telephony.time_zone: {time_zone!r} is no IANA time zone") from None

    @property
    def reads_sidecars(self) -> bool:
        """Whether a document beside a recording is looked for."""
        return PLAIN in self.names

    def read(self, key: str, *, metadata: Mapping[str, str] | None = None, sidecar: bytes | None = None) -> Reading:
        """What the name says, and over it what the metadata say, and over that what the sidecar says.

        The name alone gives the call its id where it can: it is there from the first moment, whatever comes later.
        """
        profile, told = self._read_name(key)
        unread = list(told.unread)
        facts = told.facts
        extras = []
        if self.reads_sidecars and metadata:
            extras.append(read_plain(metadata, self.local))
        if self.reads_sidecars and sidecar is not None:
            extras.append(read_sidecar(sidecar, self.local))
        for extra in extras:
            facts = told_over(facts, extra.facts)
            unread += extra.unread
        if told.facts.external_call_id:
            facts = replace(facts, external_call_id=told.facts.external_call_id)
        is_told = replace(facts, attributes={}) != CallFacts()
        # What the name did not say and something else did is not missing.
        unread = [name for name in unread if getattr(facts, name, None) is None]
        return Reading(profile or (PLAIN if is_told else None), profile or STORAGE, facts, tuple(unread))

    def _read_name(self, key: str) -> tuple[str | None, Told]:
        for name in self.names:
            profile = NAME_PROFILES.get(name)
            found = profile.pattern.search(key) if profile else None
            if profile and found:
                return name, profile.read({part: text or "" for part, text in found.groupdict().items()}, self.local)
        return None, Told(CallFacts())


def told_over(before: CallFacts, after: CallFacts) -> CallFacts:
    """The facts of both; where both speak, `after` wins."""
    said = {item.name: getattr(after, item.name) for item in fields(CallFacts) if item.name != "attributes"}
    told = {name: value for name, value in said.items() if value is not None}
    return replace(before, **told, attributes={**before.attributes, **after.attributes})


def why_no_recording(key: str, size_bytes: int | None) -> str | None:
    """Why this object is no recording (`own`, `folder_marker`, `sidecar`, `not_audio`), None when it may be one.

    An audio file without a byte is a recording: it fails where people see it.
    """
    suffix = PurePosixPath(key).suffix.lower()
    if key.startswith(OWN_PREFIX):
        return "own"
    if key.endswith("/") or (size_bytes == 0 and suffix not in AUDIO_SUFFIXES):
        return "folder_marker"
    if suffix == SIDECAR_SUFFIX:
        return "sidecar"
    return "not_audio" if suffix in _OTHER_SUFFIXES else None


def sidecar_key(key: str) -> str:
    """The key under which the document of a recording lies: its own, with another suffix."""
    return _stem(key) + SIDECAR_SUFFIX


def recordings_of(key: str) -> list[str]:
    """The keys that the recording of this sidecar can have."""
    stem = _stem(key)
    return [stem + form for suffix in AUDIO_SUFFIXES for form in (suffix, suffix.upper())]


def _stem(key: str) -> str:
    folder, slash, name = key.rpartition("/")
    stem, dot, _ = name.rpartition(".")
    return f"{folder}{slash}{stem if dot and stem else name}"
