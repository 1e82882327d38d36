"""From an announced object to a durable call: look what the store has, read what telephony says, insert, then ring."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from uuid import UUID

import structlog

from calls.errors import ObjectGone, TerminalError, TransientError
from calls.pipeline import TRANSCRIBE, Step
from calls.recording import StoredObject
from crm.database import Database
from crm.facts import merge_facts
from crm.intake import Arrival, call_of_key, insert_batch, note_unreadable
from engines.objects import ObjectStore
from ingest.events import Announced, Body, UnreadableEvent, read_event
from ingest.profiles import PLAIN, Profiles, recordings_of, sidecar_key, why_no_recording
from ingest.sidecars import MAX_SIDECAR_BYTES, read_sidecar

log = structlog.get_logger()

# Recordings to a transaction.
BATCH = 100

Ring = Callable[[Step, UUID], None]


@dataclass
class Taken:
    """What became of announced objects: calls with new work, recordings that were known, and why others are none."""

    new: list[UUID] = field(default_factory=list)
    known_count: int = 0
    ignored: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Intake:
    """The parts of intake. `ring` tells the workers of a new call after the commit; None where the sweep finds it."""

    database: Database
    objects: ObjectStore
    profiles: Profiles
    ring: Ring | None = None

    def take(self, announced: Sequence[Announced]) -> Taken:
        """Make calls of the announced recordings, all in one transaction; when this returns, they are durable.

        What the store holds now counts, not what was announced: a duplicate, a late or an early one adds nothing.
        Raises TransientError when the store or the database cannot be reached; nothing is lost by taking them again.
        """
        taken = Taken()
        arrivals: dict[str, Arrival] = {}
        sidecars: list[str] = []
        without_sidecar: list[str] = []
        for one in announced:
            stored = self._look(one, taken.ignored)
            why = why_no_recording(stored.ref.key, stored.ref.size_bytes) if stored else None
            if stored and why is None:
                sidecar = self._sidecar(stored.ref.key)
                arrivals[stored.ref.address] = self._arrival(stored, sidecar)
                if sidecar is None:
                    without_sidecar.append(stored.ref.key)
            elif stored and why == "sidecar" and self.profiles.reads_sidecars:
                sidecars.append(stored.ref.key)
            elif why:
                taken.ignored[why] += 1
        self._insert(list(arrivals.values()), taken)
        # A sidecar that came between our look at it and the commit found no call: now it does.
        late = [sidecar_key(key) for key in without_sidecar] if taken.new and self.profiles.reads_sidecars else []
        for key in dict.fromkeys([*sidecars, *late]):
            self._merge_sidecar(key, taken)
        return taken

    def _look(self, announced: Announced, ignored: Counter[str]) -> StoredObject | None:
        """What the store says of the object, under the first of its keys that it has."""
        for ref in announced.candidates:
            if ref.bucket != self.objects.bucket:
                ignored["other_bucket"] += 1
                return None
            if ref.key.endswith("/"):
                ignored["folder_marker"] += 1
                return None
            try:
                return self.objects.head(ref.key)
            except ObjectGone:
                continue
            except TerminalError as error:
                ignored[error.code] += 1
                return None
        ignored["object_gone"] += 1
        return None

    def _arrival(self, stored: StoredObject, sidecar: bytes | None) -> Arrival:
        reading = self.profiles.read(stored.ref.key, metadata=stored.metadata, sidecar=sidecar)
        return Arrival(stored, reading.facts, reading.source_system, reading.profile)

    def _sidecar(self, key: str) -> bytes | None:
        if not self.profiles.reads_sidecars:
            return None
        try:
            return self.objects.read_range(sidecar_key(key), 0, MAX_SIDECAR_BYTES + 1)
        except TerminalError:
            # It is not there, or its name would be longer than a key can be.
            return None

    def _insert(self, arrivals: Sequence[Arrival], taken: Taken) -> None:
        if not arrivals:
            return
        now = datetime.now(UTC)
        with self.database.write() as connection:
            answers = insert_batch(connection, arrivals, now=now, rung_at=now if self.ring else None)
        for received in answers:
            if not received.is_new:
                taken.known_count += 1
                continue
            taken.new.append(received.call_id)
            log.info("call_received", call_id=str(received.call_id))
            if self.ring:
                self.ring(TRANSCRIBE, received.call_id)

    def _merge_sidecar(self, key: str, taken: Taken) -> None:
        """Give a sidecar's facts to the call that is there; a recording that comes later looks for it itself."""
        try:
            raw = self.objects.read_range(key, 0, MAX_SIDECAR_BYTES + 1)
        except TerminalError:
            return
        told = read_sidecar(raw, self.profiles.local)
        recordings = recordings_of(key)
        facts = told.facts
        if self.profiles.read(recordings[0]).facts.external_call_id:
            # The name has told the call's id already: whichever comes first, it is the same.
            facts = replace(facts, external_call_id=None)
        with self.database.write() as connection:
            call_id = call_of_key(connection, self.objects.bucket, recordings)
            if call_id is None:
                taken.ignored["sidecar_before_recording"] += 1
                return
            changed = merge_facts(connection, call_id, facts, profile=PLAIN, now=datetime.now(UTC))
        log.info("sidecar_merged", call_id=str(call_id), changed=changed, unread_count=len(told.unread))


def take_messages(intake: Intake, source: str, bodies: Sequence[Body]) -> int:
    """Take what a queue delivered; when this returns, every message is done with. Returns the number of new calls.

    A message that nobody can read is kept in a table and counted, and so is one that breaks us: neither may come back
    for ever or hold up the others. Raises TransientError when the messages have to be delivered again.
    """
    announced: list[Announced] = []
    for body in bodies:
        try:
            announcement = read_event(body)
        except UnreadableEvent as error:
            _keep(intake, source, error.code, body)
            continue
        announced += announcement.objects
        for code in announcement.unreadable:
            _keep(intake, source, code, body)
    taken = take_surely(intake, source, announced)
    _tell_ignored(source, taken)
    return len(taken.new)


def take_objects(intake: Intake, source: str, announced: Iterable[Announced]) -> int:
    """Take any number of announced objects, BATCH to a transaction; returns the number of new calls."""
    new_count = 0
    rest = iter(announced)
    while batch := list(islice(rest, BATCH)):
        taken = take_surely(intake, source, batch)
        _tell_ignored(source, taken)
        new_count += len(taken.new)
    return new_count


def _tell_ignored(source: str, taken: Taken) -> None:
    if taken.ignored:
        log.info("events_ignored", source=source, **{f"{why}_count": n for why, n in sorted(taken.ignored.items())})


def take_surely(intake: Intake, source: str, announced: Sequence[Announced]) -> Taken:
    """Take them together or, when one of them breaks us, one by one: it must not keep the others waiting for ever."""
    if not announced:
        return Taken()
    try:
        return intake.take(announced)
    except TransientError:
        raise
    except Exception as error:
        if len(announced) > 1:
            return _sum([take_surely(intake, source, [one]) for one in announced])
        log.exception("intake_broke", source=source)
        address = announced[0].candidates[0].address
        _keep(intake, source, "unexpected_error", f"{type(error).__name__}: {address}")
        return Taken(ignored=Counter(unexpected_error=1))


def _sum(parts: Sequence[Taken]) -> Taken:
    whole = Taken()
    for part in parts:
        whole.new += part.new
        whole.known_count += part.known_count
        whole.ignored += part.ignored
    return whole


def _keep(intake: Intake, source: str, code: str, body: Body) -> None:
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    with intake.database.write() as connection:
        note_unreadable(connection, source=source, code=code, body=text, now=datetime.now(UTC))
    log.warning("event_unreadable", source=source, code=code)
