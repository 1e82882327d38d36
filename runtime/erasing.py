"""Erasure and retention as they are run: in the database, then in the store, each part such that it can be repeated."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import structlog

from calls.errors import TerminalError, TransientError
from crm.access import Role, Viewer
from crm.anonymizing import anonymize, crm_objects, take_from_side_tables
from crm.audit import Action, note
from crm.erased import erased_among
from crm.erasing import Erasure, Trace, erase_calls
from crm.expiring import Kept, erase_over, is_due, remove_recordings, remove_words
from crm.privacy import (
    Person,
    Place,
    calls_before,
    calls_of_person,
    count_before,
    person_of_contact,
    person_of_number,
    recording_count,
    recordings_before,
)
from crm.privacy_tables import doomed_object
from crm.scrubbing import is_scrub_wanted, scrub, want_scrub
from ingest.tellings import conversation_subject, stem_subject
from runtime.settings_site import KeptFor, RetentionSettings
from runtime.wiring import Wiring

log = structlog.get_logger()

# So many calls a transaction: other writers wait no longer than for these.
CALLS_AT_ONCE = 100
OBJECTS_AT_ONCE = 100
EXPIRE_EVERY = timedelta(hours=1)
# Who does what the settings order.
WORKER = Viewer("worker", Role.ADMIN)


@dataclass(frozen=True)
class StoreSurroundings:
    """See crm.erasing.Surroundings."""

    bucket: str

    def subjects(self, trace: Trace) -> set[str]:
        """What the documents beside its recordings speak of."""
        return {stem_subject(bucket, key) for bucket, key in trace.places}

    def conversation(self, trace: Trace) -> str | None:
        """See Surroundings."""
        return conversation_subject(trace.source_system, trace.initial_call_id) if trace.initial_call_id else None

    def classifier_key(self, taxonomy_version: str) -> str:
        """See Surroundings."""
        # It brings scikit-learn, and hardly an erasure needs it.
        from runtime.learned import learned_key

        return learned_key(taxonomy_version)


def rules_of(settings: RetentionSettings) -> tuple[Kept, ...]:
    """How long things are kept, queue by queue, and for all other queues."""
    named = sorted(settings.queues.items())
    return (
        *(_kept(kept, name, ()) for name, kept in named),
        _kept(settings, None, tuple(name for name, _ in named)),
    )


def _kept(told: KeptFor, queue: str | None, others: tuple[str, ...]) -> Kept:
    def days(count: int | None) -> timedelta | None:
        return None if count is None else timedelta(days=count)

    return Kept(queue, others, days(told.recordings_days), days(told.words_days), days(told.calls_days))


@dataclass(frozen=True)
class Extent:
    """What an erasure would take: calls, their recordings, customers with a name."""

    call_count: int
    recording_count: int
    contact_count: int


def extent_document(extent: Extent) -> dict[str, Any]:
    """What a dry run says, for programs."""
    return {
        "dry_run": True,
        "calls": extent.call_count,
        "recordings": extent.recording_count,
        "contacts": extent.contact_count,
    }


def erasure_document(erased: Erasure, objects_left: int) -> dict[str, Any]:
    """What an erasure did, for programs; `crm_objects` is what CRMs still hold."""
    return {
        "dry_run": False,
        "calls": erased.call_count,
        "objects": erased.object_count,
        "contacts": erased.contact_count,
        "classifiers": erased.classifier_count,
        "crm_objects": [{"system": system, "id": id_} for system, id_ in erased.crm_objects],
        "objects_left": objects_left,
    }


@dataclass(frozen=True)
class Eraser:
    """Erases in one site's database and store; the audit log says that `viewer` did."""

    wired: Wiring
    viewer: Viewer = WORKER
    # Calls to a transaction.
    at_once: int = CALLS_AT_ONCE

    @cached_property
    def _around(self) -> StoreSurroundings:
        return StoreSurroundings(self.wired.objects.bucket)

    def extent_of_person(self, person: Person) -> Extent:
        """What `erase_person` would take."""
        with self.wired.database.read() as connection:
            ids = [row.id for row in calls_of_person(connection, person)]
            return Extent(len(ids), recording_count(connection, ids), len(person.contact_ids))

    def extent_of_call(self, call_id: UUID) -> Extent:
        """What `erase_call` would take: nothing where it is erased already."""
        with self.wired.database.read() as connection:
            if erased_among(connection, [call_id]):
                return Extent(0, 0, 0)
            return Extent(1, recording_count(connection, [call_id]), 0)

    def extent_before(self, before: datetime) -> Extent:
        """What `purge` would take; whose customers have no other calls shows while it runs."""
        with self.wired.database.read() as connection:
            return Extent(count_before(connection, before), recordings_before(connection, before), 0)

    def person_of_number(self, written: str) -> Person:
        """Whoever has this number. Raises WrongNumber."""
        with self.wired.database.read() as connection:
            return person_of_number(connection, written)

    def person_of_contact(self, contact_id: UUID) -> Person:
        """The contact of that id. Raises NoSuchContact."""
        with self.wired.database.read() as connection:
            return person_of_contact(connection, contact_id)

    def erase_person(self, person: Person, *, now: datetime) -> Erasure:
        """Erase everything of somebody: all calls, then the contact. Repeating it goes on where it was cut off."""
        whole = Erasure()
        theirs = set(person.contact_ids)
        while True:
            with self.wired.database.write() as connection:
                rows = calls_of_person(connection, person, limit=self.at_once)
                for leaves, ids in (
                    (False, [row.id for row in rows if row.contact_id in theirs]),
                    (True, [row.id for row in rows if row.contact_id not in theirs]),
                ):
                    whole.add(erase_calls(connection, ids, self._around, cause="request", now=now, leaves_chain=leaves))
                for row in rows:
                    note(connection, self.viewer, Action.ERASE, call_id=row.id, detail="person", now=now)
                if len(rows) < self.at_once:
                    # Last, so that whoever repeats this finds the rest by the same number.
                    whole.crm_objects += crm_objects(connection, person.contact_ids)
                    whole.contact_count += anonymize(connection, person.contact_ids, now=now)
                    if person.number is not None:
                        take_from_side_tables(connection, person.number)
                    want_scrub(connection, now=now)
                    break
        self._finish(whole, now)
        return whole

    def erase_call(self, call_id: UUID, *, now: datetime) -> Erasure:
        """Erase one call; it leaves its customer, who keeps the others."""
        with self.wired.database.write() as connection:
            erased = erase_calls(connection, [call_id], self._around, cause="request", now=now)
            if erased.call_count:
                note(connection, self.viewer, Action.ERASE, call_id=call_id, detail="call", now=now)
            want_scrub(connection, now=now)
        self._finish(erased, now)
        return erased

    def purge(self, before: datetime, *, now: datetime) -> Erasure:
        """Erase every call that happened before then."""
        whole = Erasure()
        after: Place | None = None
        while True:
            with self.wired.database.write() as connection:
                rows = calls_before(connection, before, limit=self.at_once, after=after)
                ids = [row.id for row in rows]
                whole.add(erase_calls(connection, ids, self._around, cause="purge", now=now))
                detail = f"purge before={before.isoformat()} calls={len(ids)}"
                note(connection, self.viewer, Action.ERASE, detail=detail, now=now)
                if len(rows) < self.at_once:
                    want_scrub(connection, now=now)
                    break
                after = (rows[-1].happened_at, rows[-1].id)
        self._finish(whole, now)
        return whole

    def expire(self, *, now: datetime) -> dict[str, int]:
        """Do what the settings say of how long things are kept; how many recordings, words of calls, and calls went."""
        whole: Counter[str] = Counter()
        for kept in rules_of(self.wired.settings.retention):
            whole += self._apply(kept, now)
        counts = {name: whole[name] for name in ("recordings", "words", "calls")}
        if any(counts.values()):
            with self.wired.database.write() as connection:
                want_scrub(connection, now=now)
                detail = " ".join(f"{name}={count}" for name, count in counts.items())
                note(connection, self.viewer, Action.ERASE, detail=f"retention {detail}", now=now)
            log.info("retention_applied", **counts)
        return counts

    def _apply(self, kept: Kept, now: datetime) -> Counter[str]:
        """One rule, a transaction for each portion, so that nobody waits long for the database."""
        counts: Counter[str] = Counter()
        for name, let_go in (("calls", erase_over), ("words", remove_words), ("recordings", remove_recordings)):
            after: Place | None = None
            while True:
                with self.wired.database.write() as connection:
                    gone = let_go(connection, kept, self._around, now=now, limit=self.at_once, after=after)
                counts[name] += gone.count
                after = gone.after
                if after is None:
                    break
        return counts

    def delete_doomed(self, *, now: datetime) -> int:
        """Delete in the store what is noted to be deleted; returns how many objects are left to delete now.

        The row goes after the object, so that a deletion that was cut off is done again. Where the store cannot be
        reached, the rest is left for the next time.
        """
        while rows := self._due_objects(now):
            for row in rows:
                try:
                    with suppress(TerminalError):
                        # A key that no store takes has no object.
                        self.wired.objects.erase(row.object_key)
                except TransientError as error:
                    log.warning("erasure_waits_for_store", code=error.code)
                    return self.doomed_count(now=now)
                self._note_deleted(row, now)
        return 0

    def doomed_count(self, *, now: datetime) -> int:
        """How many objects are to be deleted by now and still lie in the store."""
        due = sa.select(sa.func.count()).select_from(doomed_object).where(doomed_object.c.due_at <= now)
        with self.wired.database.read() as connection:
            return connection.execute(due).scalar_one()

    def tend(self, *, now: datetime) -> None:
        """What a worker does every so often: finish deletions, and let go of what has been kept long enough."""
        if self._is_retention_set():
            with self.wired.database.write() as connection:
                due = is_due(connection, "retention", every=EXPIRE_EVERY, now=now)
            if due:
                self.expire(now=now)
        if self.doomed_count(now=now):
            self.delete_doomed(now=now)
        with self.wired.database.read() as connection:
            wanted = is_scrub_wanted(connection)
        if wanted:
            scrub(self.wired.database, now=now)

    def _is_retention_set(self) -> bool:
        return any(kept.recordings or kept.words or kept.calls for kept in rules_of(self.wired.settings.retention))

    def _due_objects(self, now: datetime) -> Sequence[Any]:
        wanted = (
            sa.select(doomed_object.c.bucket, doomed_object.c.object_key, doomed_object.c.again_at)
            # Another bucket is another store: whoever changed the setting has to look after it.
            .where(doomed_object.c.due_at <= now, doomed_object.c.bucket == self.wired.objects.bucket)
            .order_by(doomed_object.c.due_at)
            .limit(OBJECTS_AT_ONCE)
        )
        with self.wired.database.read() as connection:
            return connection.execute(wanted).all()

    def _note_deleted(self, row: Any, now: datetime) -> None:
        this = sa.and_(doomed_object.c.bucket == row.bucket, doomed_object.c.object_key == row.object_key)
        with self.wired.database.write() as connection:
            if row.again_at is not None and row.again_at > now:
                change = {"due_at": row.again_at, "again_at": None}
                connection.execute(sa.update(doomed_object).where(this).values(**change))
            else:
                connection.execute(sa.delete(doomed_object).where(this))

    def _finish(self, erased: Erasure, now: datetime) -> None:
        self.delete_doomed(now=now)
        scrub(self.wired.database, now=now)
        log.info("erased", calls=erased.call_count, objects=erased.object_count, contacts=erased.contact_count)
