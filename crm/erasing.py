"""Erasure: everything that was said and everything that tells who it was goes; what counts stays.

In one transaction the rows go, the store's objects are noted to be deleted, and hashes of the names are kept, so that
neither a late event nor a sidecar nor `reconcile` brings the call back. What is left of a call is its place in the
figures: when it was, how long, whose queue and agent, what it was about, how it ended, how the customer felt.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol
from uuid import UUID

import sqlalchemy as sa

from calls.pipeline import TERMINAL_STAGES, SkipReason, Stage
from calls.recording import OWN_KINDS, own_key
from calls.telling import call_subject, object_subject
from crm import jobs
from crm.anonymizing import anonymize_lonely, crm_objects, forget_kept_answers
from crm.batch_questions import forget_questions
from crm.batch_tables import batch_question
from crm.bulk import among
from crm.database import insert
from crm.erased import doom, erased_among, mark_of
from crm.erasing_rules import ROWS_THAT_GO, blank
from crm.people import leave_chain
from crm.privacy_tables import erased_call, erased_mark, sensitive_finding, taught_call
from crm.tables import (
    awaited_object,
    call,
    call_analysis,
    heard_piece,
    job,
    metadata,
    recording,
    telling,
    transcript,
    unreadable_event,
    utterance,
)

# What is left of a call has a name that no telephony gives.
TOMBSTONE = "erased-"
# No step lasts longer: what a worker wrote that had the call in hand is deleted once more then.
WORK_MAY_LAST = timedelta(hours=2)
# A shorter piece of a name would find what belongs to others.
_MIN_NAME_LENGTH = 8

Cause = Literal["request", "retention", "purge"]


@dataclass(frozen=True)
class Trace:
    """What a call is known by: its ids at telephony and where its recordings lie or lay, as (bucket, key)."""

    source_system: str
    external_call_id: str
    initial_call_id: str | None
    places: tuple[tuple[str, str], ...]


class Surroundings(Protocol):
    """What an erasure has to know of parts that lie above the database."""

    @property
    def bucket(self) -> str:
        """The bucket of the store that objects are deleted in."""

    def subjects(self, trace: Trace) -> set[str]:
        """Under which tellings of this call stand, beside its own id and its objects."""

    def conversation(self, trace: Trace) -> str | None:
        """The subject that this call shares with the other recordings of its conversation; None where it has none."""

    def classifier_key(self, taxonomy_version: str) -> str:
        """Where the classifier lies that calls under this taxonomy taught."""


@dataclass(frozen=True)
class _Gone:
    """An object that goes, and the content by which it would be known."""

    call_id: UUID
    bucket: str
    key: str
    etag: str


@dataclass
class Erasure:
    """What an erasure did: calls, objects that are to be deleted, customers without a name, classifiers that are gone
    (they are to be taught anew).
    """

    call_count: int = 0
    object_count: int = 0
    contact_count: int = 0
    classifier_count: int = 0
    # What CRMs hold of these calls and customers, as (system, id there): theirs to erase.
    crm_objects: list[tuple[str, str]] = field(default_factory=list)

    def add(self, other: "Erasure") -> None:
        """Count both together."""
        self.call_count += other.call_count
        self.object_count += other.object_count
        self.contact_count += other.contact_count
        self.classifier_count += other.classifier_count
        self.crm_objects += other.crm_objects


def erase_calls(
    connection: sa.Connection,
    call_ids: Collection[UUID],
    around: Surroundings,
    *,
    cause: Cause,
    now: datetime,
    leaves_chain: bool = True,
) -> Erasure:
    """Erase these calls; those that are erased already, or that are not there, are left out.

    `leaves_chain` False leaves them with their customer, who has to be anonymised when all of their calls are gone
    (`crm.anonymizing`).
    """
    locked = connection.execute(
        sa.select(call).where(among(connection, call.c.id, call_ids)).order_by(call.c.id).with_for_update()
    ).all()
    gone = erased_among(connection, [row.id for row in locked])
    rows = [row for row in locked if row.id not in gone]
    if not rows:
        return Erasure()
    ids = [row.id for row in rows]
    places = _places(connection, ids)
    traces = {row.id: _trace(row, places.get(row.id, ())) for row in rows}
    doomed = _doomed(places, around.bucket)
    subjects = {
        subject: call_id for call_id, trace in traces.items() for subject in _subjects(connection, trace, around, ids)
    }
    documents = _take_tellings(connection, subjects, around.bucket)
    doomed |= {(one.bucket, one.key) for one in documents}
    recordings = [_Gone(one.call_id, one.bucket, one.object_key, one.etag) for held in places.values() for one in held]
    _mark(connection, subjects, [*documents, *recordings])
    busy = _stop_work(connection, ids)
    classifiers = forget_classifiers(connection, ids)
    linked = crm_objects(connection, ids)
    _take_rows(connection, ids, traces)
    for row in rows:
        _leave_what_counts(connection, row, leaves_chain=leaves_chain, cause=cause, now=now)
    copies = {(around.bucket, own_key(kind, one.id)) for held in places.values() for one in held for kind in OWN_KINDS}
    again_at = now + WORK_MAY_LAST
    doom(connection, doomed - copies, now=now, again_at=again_at if busy else None)
    # Always once more: a page makes silenced copies, without a job.
    doom(connection, copies, now=now, again_at=again_at)
    # Not once more: by then others may have taught a new one.
    taught = {(around.bucket, around.classifier_key(version)) for version in classifiers}
    doom(connection, taught, now=now)
    erased = Erasure(len(ids), len(doomed | taught), 0, len(classifiers), linked)
    if leaves_chain:
        erased.contact_count = anonymize_lonely(
            connection, {row.contact_id for row in rows if row.contact_id is not None}, now=now
        )
    return erased


def _places(connection: sa.Connection, ids: Sequence[UUID]) -> dict[UUID, tuple[Any, ...]]:
    found: dict[UUID, tuple[Any, ...]] = {}
    for row in connection.execute(sa.select(recording).where(among(connection, recording.c.call_id, ids))):
        found[row.call_id] = (*found.get(row.call_id, ()), row)
    return found


def _trace(row: Any, held: Sequence[Any]) -> Trace:
    places = tuple((one.bucket, one.object_key) for one in held)
    return Trace(row.source_system, row.external_call_id, row.initial_call_id, places)


def _doomed(places: Mapping[UUID, Sequence[Any]], bucket: str) -> set[tuple[str, str]]:
    """Every object of the recordings, and what we made of them."""
    doomed = set()
    for held in places.values():
        for one in held:
            doomed.add((one.bucket, one.object_key))
            doomed |= {(bucket, own_key(kind, one.id)) for kind in OWN_KINDS}
            if one.playback_key:
                doomed.add((one.bucket, one.playback_key))
    return doomed


def _subjects(connection: sa.Connection, trace: Trace, around: Surroundings, ids: Sequence[UUID]) -> set[str]:
    """What things are told of this call under; a conversation's only where no other call of it is left."""
    subjects = {call_subject(trace.source_system, trace.external_call_id), *around.subjects(trace)}
    subjects |= {object_subject(bucket, key) for bucket, key in trace.places}
    shared = around.conversation(trace)
    if shared is not None:
        others = sa.select(call.c.id).where(
            call.c.source_system == trace.source_system,
            call.c.initial_call_id == trace.initial_call_id,
            call.c.id.not_in(ids),
        )
        if connection.execute(others.limit(1)).first() is None:
            subjects.add(shared)
    return subjects


def _take_tellings(connection: sa.Connection, subjects: Mapping[str, UUID], bucket: str) -> list[_Gone]:
    """Delete what was told; returns the documents that told it, and nothing of anybody else."""
    told = sa.delete(telling).where(among(connection, telling.c.subject, subjects))
    rows = connection.execute(told.returning(telling.c.subject, telling.c.origin, telling.c.etag)).all()
    # What has an eTag was an object, and its origin is the key.
    documents = {row.origin: row for row in rows if row.etag}
    others = sa.select(telling.c.origin).where(among(connection, telling.c.origin, documents)).distinct()
    shared = set(connection.execute(others).scalars())
    return [
        _Gone(subjects[row.subject], bucket, origin, row.etag)
        for origin, row in documents.items()
        if origin not in shared
    ]


def _mark(connection: sa.Connection, subjects: Mapping[str, UUID], objects: Collection[_Gone]) -> None:
    etags = {object_subject(one.bucket, one.key): one for one in objects}
    names = {**subjects, **{subject: one.call_id for subject, one in etags.items()}}
    marks = {
        mark_of(subject): {"call_id": call_id, "etag": etags[subject].etag if subject in etags else ""}
        for subject, call_id in names.items()
    }
    if marks:
        rows = [{"mark": mark, **marks[mark]} for mark in sorted(marks)]
        connection.execute(insert(connection, erased_mark).on_conflict_do_nothing(), rows)


def _stop_work(connection: sa.Connection, ids: Sequence[UUID]) -> bool:
    """Take the calls from the workers, whose results are refused from now on; whether anybody was at it."""
    stopped = sa.delete(job).where(among(connection, job.c.call_id, ids)).returning(job.c.attempt_count)
    return any(count > 0 for count in connection.execute(stopped).scalars().all())


def forget_classifiers(connection: sa.Connection, ids: Collection[UUID]) -> set[str]:
    """The taxonomies whose classifier one of these calls taught; from now on none is known to be theirs."""
    taught = sa.select(taught_call.c.taxonomy_version).where(among(connection, taught_call.c.call_id, ids)).distinct()
    versions = set(connection.execute(taught).scalars())
    connection.execute(sa.delete(taught_call).where(taught_call.c.taxonomy_version.in_(versions)))
    return versions


def _take_rows(connection: sa.Connection, ids: Sequence[UUID], traces: Mapping[UUID, Trace]) -> None:
    """Delete what holds words, or names somebody, in the order in which the tables refer to each other."""
    for call_id in ids:
        # What is under way at a provider has a price to come; its row goes with the batch.
        forget_questions(connection, call_id)
    connection.execute(
        sa.delete(batch_question).where(
            among(connection, batch_question.c.call_id, ids), batch_question.c.messages.is_not(None)
        )
    )
    forget_kept_answers(connection, ids)
    held = sa.select(recording.c.id).where(among(connection, recording.c.call_id, ids))
    connection.execute(sa.delete(heard_piece).where(heard_piece.c.recording_id.in_(held)))
    for name, columns in ROWS_THAT_GO.items():
        if columns.call is not None:
            table = metadata.tables[name]
            connection.execute(sa.delete(table).where(among(connection, table.c[columns.call], ids)))
    of_calls = sa.select(transcript.c.id).where(among(connection, transcript.c.call_id, ids))
    for table in (utterance, sensitive_finding):
        connection.execute(sa.delete(table).where(table.c.transcript_id.in_(of_calls)))
    connection.execute(
        sa.delete(call_analysis).where(among(connection, call_analysis.c.call_id, ids), ~call_analysis.c.is_current)
    )
    for table in (call_analysis, transcript):
        connection.execute(sa.update(table).where(among(connection, table.c.call_id, ids)).values(**blank(table)))
    connection.execute(
        sa.delete(transcript).where(among(connection, transcript.c.call_id, ids), ~transcript.c.is_current)
    )
    connection.execute(sa.delete(recording).where(among(connection, recording.c.call_id, ids)))
    names = {trace.external_call_id for trace in traces.values()}
    names |= {key for trace in traces.values() for _, key in trace.places}
    for name in sorted(names):
        awaited = awaited_object.c.object_key.startswith(name, autoescape=True)
        connection.execute(sa.delete(awaited_object).where(awaited))
        if len(name) >= _MIN_NAME_LENGTH:
            connection.execute(
                sa.delete(unreadable_event).where(unreadable_event.c.body.contains(name, autoescape=True))
            )


def _leave_what_counts(connection: sa.Connection, row: Any, *, leaves_chain: bool, cause: Cause, now: datetime) -> None:
    if leaves_chain and row.contact_id is not None:
        leave_chain(connection, row.id, row.contact_id)
    change = blank(call) | {"external_call_id": f"{TOMBSTONE}{row.id.hex}", "modified_at": now, "account_id": None}
    if not leaves_chain:
        # With a customer who has no name any more, and whose calls are still one person's.
        change |= {"contact_id": row.contact_id, "earlier_call_id": row.earlier_call_id}
    if row.stage not in TERMINAL_STAGES:
        # Nobody will work on it: it has no recording.
        change |= {"stage": Stage.SKIPPED, "skip_reason": SkipReason.ABSENT, "finished_at": now}
    connection.execute(sa.update(call).where(call.c.id == row.id).values(**change))
    connection.execute(sa.insert(erased_call).values(call_id=row.id, erased_at=now, cause=cause))
    jobs.touch_call(connection, row.id)
