"""Recordings that telephony announces and still keeps: a call and its job before there is any object in our store.

The call is the same, under the same id, as the one that `crm.intake` would make of the object: whichever comes first,
the other finds it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.pipeline import FETCH, SkipReason, Stage, lane_of
from calls.recording import ObjectRef, StoredObject, call_id_for
from calls.telling import call_subject, object_subject
from crm import jobs
from crm.arrivals import Arrival, Received, suffixed_id
from crm.database import insert
from crm.erased import erased_subjects
from crm.facts import all_columns, told_columns, upsert_named
from crm.results import Work
from crm.tables import call, job, recording, telling

_WITHOUT_RECORDING = frozenset({SkipReason.ABSENT, SkipReason.RECORDING_FAILED})


@dataclass(frozen=True)
class Without:
    """A call that telephony has no recording of, and why."""

    arrival: Arrival
    reason: SkipReason


def call_of_recording(connection: sa.Connection, ref: ObjectRef) -> UUID | None:
    """The call that this recording belongs to, in whatever state it is; None where nobody has heard of it."""
    found = sa.select(recording.c.call_id).where(recording.c.bucket == ref.bucket, recording.c.object_key == ref.key)
    return connection.execute(found.limit(1)).scalar_one_or_none()


def announce(connection: sa.Connection, arrival: Arrival, *, now: datetime) -> Received:
    """Note a recording that will lie under the arrival's key; the step `call.fetch` puts it there.

    - A recording that is known inserts nothing, whatever has become of its call.
    - A call that was skipped because there was no recording is revived by one.
    - Another recording of a known call is a call of its own, as in `crm.intake`.
    - A call or a recording that was erased stays so.
    """
    ref = arrival.ref
    erased = _erased(connection, arrival)
    if erased is not None:
        return Received(erased.hex, is_new=False)
    for external_id in (arrival.external_id, suffixed_id(arrival)):
        call_id = call_id_for(arrival.source_system, external_id)
        if _insert_call(connection, arrival, external_id, {"stage": Stage.ANNOUNCED}, now):
            _add_recording(connection, call_id, arrival, now)
            return Received(call_id.hex, is_new=True)
        before = _lock(connection, arrival.source_system, external_id)
        keys = connection.execute(
            sa.select(recording.c.bucket, recording.c.object_key).where(recording.c.call_id == before.id)
        ).all()
        if not keys and before.skip_reason in _WITHOUT_RECORDING:
            _revive(connection, before, arrival, now)
            _add_recording(connection, before.id, arrival, now)
            return Received(before.id.hex, is_new=True)
        if not keys or (ref.bucket, ref.key) in keys:
            return Received(before.id.hex, is_new=False)
    return Received(before.id.hex, is_new=False)


def note_without(connection: sa.Connection, without: Without, *, now: datetime) -> Received:
    """Note a call that has no recording as skipped, so that people see it; a call that is known stays as it is."""
    arrival = without.arrival
    erased = _erased(connection, arrival)
    if erased is not None:
        return Received(erased.hex, is_new=False)
    call_id = call_id_for(arrival.source_system, arrival.external_id)
    ended = {"stage": Stage.SKIPPED, "skip_reason": without.reason, "finished_at": now}
    if not _insert_call(connection, arrival, arrival.external_id, ended, now):
        return Received(_lock(connection, arrival.source_system, arrival.external_id).id.hex, is_new=False)
    jobs.touch_call(connection, call_id)
    return Received(call_id.hex, is_new=True)


def is_known(connection: sa.Connection, source_system: str, external_call_id: str) -> bool:
    """Whether there is a call of this id, or was one that is erased."""
    if erased_subjects(connection, {call_subject(source_system, external_call_id)}):
        return True
    found = sa.select(call.c.id).where(
        call.c.source_system == source_system, call.c.external_call_id == external_call_id
    )
    return connection.execute(found).one_or_none() is not None


def withdraw(connection: sa.Connection, subject: str, origin: str) -> None:
    """Forget what this origin told of the subject: it has changed its mind."""
    connection.execute(sa.delete(telling).where(telling.c.subject == subject, telling.c.origin == origin))


def save_fetched(connection: sa.Connection, work: Work, stored: StoredObject) -> None:
    """Note what now lies in the store as the call's recording.

    Raises ClaimLost when the store's own event was quicker: the call goes on with what intake has found there.
    """
    # In the order of intake's locks: the call, then its recording.
    connection.execute(sa.select(call.c.id).where(call.c.id == work.call_id).with_for_update())
    noted = connection.execute(
        sa.update(recording)
        .where(recording.c.id == work.recording_id, recording.c.is_current)
        .values(
            etag=stored.ref.etag,
            version_id=stored.ref.version_id,
            size_bytes=stored.ref.size_bytes or 0,
            stored_at=stored.last_modified_at,
        )
    )
    if noted.rowcount != 1:
        raise jobs.ClaimLost("the store announced the recording before it was noted")


def _erased(connection: sa.Connection, arrival: Arrival) -> UUID | None:
    """The call with which this arrival was erased."""
    names = {
        object_subject(arrival.ref.bucket, arrival.ref.key),
        call_subject(arrival.source_system, arrival.external_id),
    }
    return next((found.call_id for found in erased_subjects(connection, names).values()), None)


def _insert_call(
    connection: sa.Connection, arrival: Arrival, external_id: str, state: dict[str, Any], now: datetime
) -> bool:
    row = all_columns(arrival.facts, upsert_named(connection, [arrival.facts])) | {
        "id": call_id_for(arrival.source_system, external_id),
        "source_system": arrival.source_system,
        "external_call_id": external_id,
        "profile": arrival.profile,
        "received_at": now,
        "modified_at": now,
        "happened_at": _happened_at(arrival, now),
        "attributes": dict(arrival.facts.attributes),
    }
    if external_id != arrival.external_id and row["initial_call_id"] is None:
        # The recordings of one call find each other by it, and so does what is told of the call later.
        row["initial_call_id"] = arrival.external_id
    statement = insert(connection, call).values(row | state).on_conflict_do_nothing().returning(call.c.id)
    return connection.execute(statement).one_or_none() is not None


def _lock(connection: sa.Connection, source_system: str, external_id: str) -> sa.Row[Any]:
    """The call that the insertion met: by telephony's id or, where that was told anew since, by ours."""
    named = sa.and_(call.c.source_system == source_system, call.c.external_call_id == external_id)
    met = sa.or_(named, call.c.id == call_id_for(source_system, external_id))
    # The one of the name first, where these are two.
    return connection.execute(sa.select(call).where(met).order_by(named.desc()).limit(1).with_for_update()).one()


def _revive(connection: sa.Connection, before: sa.Row[Any], arrival: Arrival, now: datetime) -> None:
    told = told_columns(arrival.facts, upsert_named(connection, [arrival.facts]))
    happened_at = told.get("started_at", before.happened_at)
    change = {"stage": Stage.ANNOUNCED, "skip_reason": None, "finished_at": None, "modified_at": now}
    change |= told | {"happened_at": happened_at, "attributes": dict(arrival.facts.attributes)}
    connection.execute(sa.update(call).where(call.c.id == before.id).values(**change))
    jobs.touch_call(connection, before.id)


def _add_recording(connection: sa.Connection, call_id: UUID, arrival: Arrival, now: datetime) -> None:
    row = {
        "id": uuid4(),
        "call_id": call_id,
        "bucket": arrival.ref.bucket,
        "object_key": arrival.ref.key,
        # Nobody knows them before the object is there.
        "version_id": "",
        "etag": "",
        "size_bytes": 0,
        "is_current": True,
    }
    connection.execute(sa.insert(recording).values(row))
    lane = lane_of(arrival.facts.started_at, now)
    connection.execute(sa.insert(job).values(jobs.first_job(call_id, now, step=FETCH, lane=lane)))


def _happened_at(arrival: Arrival, now: datetime) -> datetime:
    return arrival.facts.started_at or now
