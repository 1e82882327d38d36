"""What the store has of an announced object: a recording, a conversation as text, or something that tells of calls."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from calls.errors import ObjectGone, TerminalError
from calls.recording import StoredObject
from calls.telling import Rank, Telling, object_subject
from crm.tellings import ToldOf
from engines.objects import ObjectStore
from ingest.contact_records import Record, read_records
from ingest.conversations import HEAD_BYTES, MAX_BYTES, facts_of, kind_of
from ingest.events import Announced
from ingest.profiles import PLAIN, Profiles, Reading, stem_of, why_no_recording
from ingest.sidecars import MAX_SIDECAR_BYTES, Companion
from ingest.tellings import Concerned, concerned_by, concerned_call, stem_subject
from ingest.told import NOTHING, Told

# Documents of many contact records are larger than one beside a recording; what is larger than a conversation is none.
_MAX_RECORDS_BYTES = 8 << 20
# How many objects of one base name are looked at to find the sound beside a text.
_BESIDE = 20
_SYSTEM_OF_KIND = {"vcon": "vcon", "contact_lens": "connect"}
_TRANSCRIPTS = ("contact_lens", "transcribe")
_TOLD_BY_NAME = (".json", ".csv", ".vcon", ".vtt", ".srt")


def may_tell(key: str) -> bool:
    """Whether the name is that of a document: a sidecar, contact records or a conversation as text."""
    return key.lower().endswith(_TOLD_BY_NAME)


@dataclass(frozen=True)
class Heard:
    """One telling, and the calls that it may be about."""

    concerned: Concerned
    told: ToldOf


class Looked(NamedTuple):
    """One announced object, looked at.

    `stored` is set for what becomes a call; `tellings` are kept; `why_not` says why it is no call, `object_gone` with
    `is_missing` where it may still come.
    """

    announced: Announced
    stored: StoredObject | None = None
    reading: Reading | None = None
    is_text: bool = False
    tellings: tuple[Heard, ...] = ()
    why_not: str | None = None
    is_missing: bool = False


@dataclass(frozen=True)
class Looker:
    """Asks the store, several objects at a time where asking takes its time (`side_by_side`)."""

    objects: ObjectStore
    profiles: Profiles
    side_by_side: int = 1
    reads_tags: bool = False
    _threads: list[ThreadPoolExecutor] = field(default_factory=list, repr=False, compare=False)

    def look(self, announced: Sequence[Announced]) -> list[Looked]:
        """What the store has of each. Raises TransientError when it cannot be reached."""
        if self.side_by_side == 1 or len(announced) == 1:
            return [self._look(one) for one in announced]
        if not self._threads:
            self._threads.append(ThreadPoolExecutor(self.side_by_side, thread_name_prefix="look"))
        return list(self._threads[0].map(self._look, announced))

    def _look(self, announced: Announced) -> Looked:
        """Under the first of its keys that the store has."""
        bucket = self.objects.bucket
        for ref in announced.candidates:
            key = ref.key
            if ref.bucket != bucket:
                return Looked(announced, why_not="other_bucket")
            if key.endswith("/"):
                return Looked(announced, why_not="folder_marker")
            try:
                return self._seen(announced, self.objects.head(key))
            except ObjectGone:
                continue
            except TerminalError as error:
                return Looked(announced, why_not=error.code)
        return Looked(announced, why_not="object_gone", is_missing=self._may_come(announced))

    def _may_come(self, announced: Announced) -> bool:
        keys = [ref.key for ref in announced.candidates]
        return any(why_no_recording(key, None) is None or may_tell(key) for key in keys)

    def _seen(self, announced: Announced, stored: StoredObject) -> Looked:
        key = stored.ref.key
        why_not = why_no_recording(key, stored.ref.size_bytes)
        if why_not is None:
            reading = self.profiles.read_name(key)
            return Looked(announced, stored, reading, tellings=self._beside(stored, reading))
        if why_not in {"own", "folder_marker"} or not may_tell(key):
            return Looked(announced, why_not=why_not)
        return self._document(announced, stored)

    def _beside(self, stored: StoredObject, named: Reading) -> tuple[Heard, ...]:
        """What a recording's own metadata and the documents beside it say."""
        heard: list[Heard] = []
        key = stored.ref.key
        tags = self.objects.tags(key) if self.reads_tags else None
        meta = self.profiles.read_metadata(stored.metadata, tags) if stored.metadata or tags else NOTHING
        if meta != NOTHING:
            subject = object_subject(self.objects.bucket, key)
            told = Telling("metadata", Rank.METADATA, meta.facts, None, meta.source_system, PLAIN)
            heard.append(Heard(Concerned(subject, keys=(key,)), ToldOf(subject, told)))
        for companion in self.profiles.companions(key, named):
            try:
                # In this order: what is read later than its date is taken for older, never for newer than it is.
                seen = self.objects.head(companion)
                raw = self.objects.read_range(companion, 0, MAX_SIDECAR_BYTES + 1)
            except TerminalError:
                # It is not there, or its name would be longer than a key can be.
                continue
            heard += self._sidecar(seen, raw)
        return tuple(heard)

    def _document(self, announced: Announced, stored: StoredObject) -> Looked:
        """A document: a conversation as text, contact records, or what is said of a recording."""
        key, size = stored.ref.key, stored.ref.size_bytes or 0
        if size > MAX_BYTES:
            return Looked(announced, why_not="too_large")
        raw = self.objects.read_range(key, 0, HEAD_BYTES)
        kind = kind_of(key, raw)
        if size > len(raw) and (kind is not None or size <= _MAX_RECORDS_BYTES):
            raw = self.objects.read_range(key, 0, MAX_BYTES)
        if kind is not None and not self._is_beside_sound(key):
            told = Told(facts_of(key, raw, self.profiles.local), source_system=_SYSTEM_OF_KIND.get(kind))
            reading = self._text_reading(key, kind)
            # A vCon says when it was written, here as beside its sound.
            as_of = self.profiles.read_companion(key, raw[: MAX_SIDECAR_BYTES + 1]).as_of if kind == "vcon" else None
            tellings = (*self._told_by_object(stored, told, kind, as_of), *self._beside(stored, reading))
            return Looked(announced, stored, reading, True, tellings)
        heard: list[Heard] = self._sidecar(stored, raw[: MAX_SIDECAR_BYTES + 1])
        records = read_records(raw, self.profiles.local) if key.lower().endswith(".json") else []
        heard += [heard_record(record) for record in records]
        if not heard:
            # A document that says nothing is known from one that nobody has read.
            heard += self._told_by_object(stored, NOTHING)
        return Looked(announced, tellings=tuple(heard), why_not="beside_recording" if kind else "sidecar")

    def _text_reading(self, key: str, kind: str) -> Reading:
        reading = self.profiles.read_name(key)
        if reading.profile is not None:
            return reading
        return Reading(kind, _SYSTEM_OF_KIND.get(kind, reading.source_system), reading.facts)

    def _told_by_object(
        self, stored: StoredObject, told: Told, kind: str | None = None, as_of: datetime | None = None
    ) -> tuple[Heard, ...]:
        key = stored.ref.key
        # What a conversation says counts for its sound as well, where that comes later.
        subject = stem_subject(self.objects.bucket, key) if kind else object_subject(self.objects.bucket, key)
        telling = Telling(key, Rank.SIDECAR, told.facts, as_of or stored.last_modified_at, told.source_system, kind)
        return (Heard(Concerned(subject, keys=(key,)), ToldOf(subject, telling, stored.ref.etag)),)

    def _is_beside_sound(self, key: str) -> bool:
        """Whether a recording of the same base name lies beside this text: then the sound is what counts."""
        same = islice(self.objects.list(stem_of(key) + "."), _BESIDE)
        return any(why_no_recording(ref.key, ref.size_bytes) is None for ref in same)

    def _sidecar(self, stored: StoredObject, raw: bytes) -> list[Heard]:
        addressees = self.profiles.addressees(stored.ref.key)
        if addressees is None:
            return []
        concerned = concerned_by(self.objects.bucket, addressees)
        kind = kind_of(stored.ref.key, raw)
        if kind in _TRANSCRIPTS:
            # Its names are not those of a sidecar.
            facts = facts_of(stored.ref.key, raw, self.profiles.local)
            companion = Companion(Told(facts, source_system=_SYSTEM_OF_KIND.get(kind)), profile=kind)
        else:
            companion = self.profiles.read_companion(stored.ref.key, raw)
        told = Telling(
            stored.ref.key,
            companion.rank,
            companion.told.facts,
            companion.as_of or stored.last_modified_at,
            source_system=companion.told.source_system,
            profile=companion.profile,
        )
        return [Heard(concerned, ToldOf(concerned.subject, told, stored.ref.etag))]


def heard_record(record: Record) -> Heard:
    """Telephony's own record of a call, wherever it came from."""
    concerned = concerned_call(record.source_system, record.external_call_id)
    return Heard(concerned, ToldOf(concerned.subject, record.telling))
