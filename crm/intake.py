"""Recordings in: a call, its recording and its job in one transaction, once, however often a recording is announced."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.pipeline import Stage
from calls.recording import CallFacts, ObjectRef, StoredObject, call_id_for, fallback_call_id
from crm import jobs
from crm.database import insert
from crm.facts import Named, all_columns, told_columns, upsert_named
from crm.tables import call, call_analysis, job, recording, transcript, unreadable_event

# What is kept of an event that nobody can read, in characters.
KEPT_BODY = 4000


@dataclass(frozen=True)
class Arrival:
    """A recording that lies in the store, and what telephony says of its call.

    `source_system` and the facts' external id name the call; `profile` read the facts, None when none could.
    """

    stored: StoredObject
    facts: CallFacts
    source_system: str
    profile: str | None


@dataclass(frozen=True)
class Received:
    """The call of an arrival. `is_new` says that work was queued: the recording, or its content, was not known."""

    call_id: UUID
    is_new: bool


def insert_received(
    connection: sa.Connection,
    stored: StoredObject,
    facts: CallFacts,
    *,
    source_system: str,
    profile: str | None,
    now: datetime,
    rung_at: datetime | None = None,
) -> Received:
    """Note one recording; see `insert_batch`."""
    return insert_batch(connection, [Arrival(stored, facts, source_system, profile)], now=now, rung_at=rung_at)[0]


def insert_batch(
    connection: sa.Connection, arrivals: Sequence[Arrival], *, now: datetime, rung_at: datetime | None = None
) -> list[Received]:
    """Note recordings with their calls and jobs; the answers stand in the order of the arrivals.

    - A recording that is known (same bucket, key, version id and eTag) inserts nothing.
    - Other content under the key of a known call becomes the call's current recording, and the call starts anew.
    - Another key under the external id of a known call is a call of its own: nothing is merged and nothing is lost.

    `rung_at` is set where a bell follows the commit. Constraints decide, not the reads before them: whoever comes
    second with the same recording waits for the first and then inserts nothing.
    """
    answers: dict[int, Received] = {}
    named = upsert_named(connection, [arrival.facts for arrival in arrivals])
    # In order of id, so that two transactions with the same calls cannot wait for each other.
    waiting = sorted(enumerate(arrivals), key=lambda pair: _own_id(pair[1]))
    while waiting:
        # One arrival per key and per call in a round: what the first of them brings, the next ones find.
        now_due, waiting = _one_round(waiting)
        answers |= _insert_round(connection, now_due, named, now=now, rung_at=rung_at)
    return [answers[place] for place in range(len(arrivals))]


def note_unreadable(connection: sa.Connection, *, source: str, code: str, body: str, now: datetime) -> None:
    """Keep an event that nobody could read, its body cut to KEPT_BODY characters, for a person to see."""
    kept = body[:KEPT_BODY].replace("\0", "\N{REPLACEMENT CHARACTER}")
    connection.execute(
        sa.insert(unreadable_event).values(id=uuid4(), received_at=now, source=source, code=code, body=kept)
    )


def call_of_key(connection: sa.Connection, bucket: str, keys: Sequence[str]) -> UUID | None:
    """The call whose current recording lies under one of these keys; None when no call's does."""
    return connection.execute(
        sa.select(recording.c.call_id)
        .where(recording.c.bucket == bucket, recording.c.object_key.in_(keys), recording.c.is_current)
        .limit(1)
    ).scalar_one_or_none()


def known_etags(connection: sa.Connection, bucket: str, keys: Sequence[str]) -> dict[str, str]:
    """The eTag of the current recording under each of these keys that has one."""
    rows = connection.execute(
        sa.select(recording.c.object_key, recording.c.etag).where(
            recording.c.bucket == bucket, recording.c.object_key.in_(keys), recording.c.is_current
        )
    )
    return {row.object_key: row.etag for row in rows}


Placed = tuple[int, Arrival]


def _own_id(arrival: Arrival) -> UUID:
    return call_id_for(arrival.source_system, _external_id(arrival))


def _external_id(arrival: Arrival) -> str:
    return arrival.facts.external_call_id or fallback_call_id(arrival.stored.ref)


def _one_round(waiting: list[Placed]) -> tuple[list[Placed], list[Placed]]:
    seen: set[object] = set()
    due: list[Placed] = []
    later: list[Placed] = []
    for placed in waiting:
        marks = {placed[1].stored.ref.address, _own_id(placed[1])}
        (later if marks & seen else due).append(placed)
        seen |= marks
    return due, later


def _insert_round(
    connection: sa.Connection, due: list[Placed], named: Named, *, now: datetime, rung_at: datetime | None
) -> dict[int, Received]:
    """The answers for arrivals of distinct keys and calls."""
    known = _known(connection, [arrival.stored.ref for _, arrival in due])
    fresh = [(place, arrival) for place, arrival in due if arrival.stored.ref.address not in known]
    ids = _insert_calls(connection, fresh, named, now=now)
    added = _insert_recordings(connection, [(ids[place], a.stored) for place, a in fresh if place in ids])
    beaten = [call_id for call_id in ids.values() if call_id not in added]
    if beaten:
        # Somebody else has just brought these recordings for another call: this one would never have one.
        connection.execute(sa.delete(call).where(call.c.id.in_(beaten)))
    if added:
        rows = [jobs.first_job(call_id, now, rung_at) for call_id in ids.values() if call_id in added]
        connection.execute(sa.insert(job), rows)
    answers = {place: Received(call_id, is_new=True) for place, call_id in ids.items() if call_id in added}
    others = [(place, arrival) for place, arrival in due if place not in answers]
    if others and fresh:
        known = _known(connection, [arrival.stored.ref for _, arrival in others])
    for place, arrival in others:
        current = known.get(arrival.stored.ref.address)
        if current is not None and _is_same(current, arrival.stored.ref):
            answers[place] = Received(current.call_id, is_new=False)
            continue
        call_id = _id_of(connection, arrival) if current is None else current.call_id
        answers[place] = _renew(connection, arrival, call_id, named, now=now, rung_at=rung_at)
    return answers


def _id_of(connection: sa.Connection, arrival: Arrival) -> UUID:
    """The call that was made for this key before, and whose recording has been removed since."""
    found: UUID = connection.execute(
        sa.select(call.c.id).where(
            call.c.source_system == arrival.source_system, call.c.external_call_id == _suffixed_id(arrival)
        )
    ).scalar_one()
    return found


def _known(connection: sa.Connection, refs: Sequence[ObjectRef]) -> dict[str, sa.Row[Any]]:
    """The current recording under each of these keys that has one, by address."""
    found: dict[str, sa.Row[Any]] = {}
    for bucket in {ref.bucket for ref in refs}:
        keys = [ref.key for ref in refs if ref.bucket == bucket]
        rows = connection.execute(
            sa.select(recording).where(
                recording.c.bucket == bucket, recording.c.object_key.in_(keys), recording.c.is_current
            )
        )
        found |= {f"{row.bucket}/{row.object_key}": row for row in rows}
    return found


def _insert_calls(
    connection: sa.Connection, fresh: Sequence[Placed], named: Named, *, now: datetime
) -> dict[int, UUID]:
    """Make a call for each arrival, under telephony's id or, where that is taken, under one with a mark of the key.

    Returns the ids by place; an arrival whose call and key somebody else brought in the meantime has none.
    """
    rows = {place: _call_row(arrival, _external_id(arrival), named, now) for place, arrival in fresh}
    made = _insert_ignoring(connection, rows)
    taken = [(place, arrival) for place, arrival in fresh if place not in made]
    if taken:
        known = _known(connection, [arrival.stored.ref for _, arrival in taken])
        others = {
            place: _call_row(arrival, _suffixed_id(arrival), named, now)
            for place, arrival in taken
            if arrival.stored.ref.address not in known
        }
        made |= _insert_ignoring(connection, others)
    return made


def _insert_ignoring(connection: sa.Connection, rows: dict[int, dict[str, Any]]) -> dict[int, UUID]:
    if not rows:
        return {}
    statement = insert(connection, call).on_conflict_do_nothing().returning(call.c.id)
    inserted = set(connection.execute(statement, list(rows.values())).scalars())
    return {place: row["id"] for place, row in rows.items() if row["id"] in inserted}


def _suffixed_id(arrival: Arrival) -> str:
    digest = sha256(arrival.stored.ref.address.encode()).hexdigest()
    return f"{_external_id(arrival)}~{digest[:12]}"


def _call_row(arrival: Arrival, external_call_id: str, named: Named, now: datetime) -> dict[str, Any]:
    return all_columns(arrival.facts, named) | {
        "id": call_id_for(arrival.source_system, external_call_id),
        "source_system": arrival.source_system,
        "external_call_id": external_call_id,
        "profile": arrival.profile,
        "stage": Stage.RECEIVED,
        "received_at": now,
        "modified_at": now,
        "happened_at": arrival.facts.started_at or now,
        "attributes": dict(arrival.facts.attributes),
    }


def _insert_recordings(connection: sa.Connection, wanted: Sequence[tuple[UUID, StoredObject]]) -> set[UUID]:
    if not wanted:
        return set()
    statement = insert(connection, recording).on_conflict_do_nothing().returning(recording.c.call_id)
    rows = [_recording_row(call_id, stored) for call_id, stored in wanted]
    return set(connection.execute(statement, rows).scalars())


def _recording_row(call_id: UUID, stored: StoredObject) -> dict[str, Any]:
    return {
        "id": uuid4(),
        "call_id": call_id,
        "bucket": stored.ref.bucket,
        "object_key": stored.ref.key,
        "version_id": stored.ref.version_id,
        "etag": stored.ref.etag,
        "size_bytes": stored.ref.size_bytes or 0,
        "is_current": True,
        "stored_at": stored.last_modified_at,
    }


def _renew(
    connection: sa.Connection,
    arrival: Arrival,
    call_id: UUID,
    named: Named,
    *,
    now: datetime,
    rung_at: datetime | None,
) -> Received:
    """A call that is known: nothing when its recording has the same content, else it starts anew with this one."""
    ref = arrival.stored.ref
    before = connection.execute(sa.select(call).where(call.c.id == call_id).with_for_update()).one()
    # Read under the lock: somebody may have renewed it just now.
    current = _known(connection, [ref]).get(ref.address)
    if current is not None and _is_same(current, ref):
        return Received(call_id, is_new=False)
    _make_current(connection, call_id, arrival.stored)
    told = told_columns(arrival.facts, named)
    happened_at = told.get("started_at", before.happened_at)
    connection.execute(
        sa.update(call)
        .where(call.c.id == call_id)
        .values(
            **told,
            stage=Stage.RECEIVED,
            skip_reason=None,
            failed_step=None,
            failed_code=None,
            failed_detail=None,
            finished_at=None,
            duration_s=None,
            happened_at=happened_at,
            modified_at=now,
        )
    )
    _queue_anew(connection, call_id, now=now, rung_at=rung_at)
    for moment in (before.happened_at, happened_at):
        jobs.touch(connection, moment)
    return Received(call_id, is_new=True)


def _is_same(current: sa.Row[Any], ref: ObjectRef) -> bool:
    """Whether the content is what is known; a new version of the same content is."""
    return bool((current.etag, current.size_bytes) == (ref.etag, ref.size_bytes or 0))


def _make_current(connection: sa.Connection, call_id: UUID, stored: StoredObject) -> None:
    """Make this the call's recording; what was heard in the one before is history."""
    for table in (recording, transcript, call_analysis):
        connection.execute(
            sa.update(table).where(table.c.call_id == call_id, table.c.is_current).values(is_current=False)
        )
    connection.execute(
        insert(connection, recording)
        .values(_recording_row(call_id, stored))
        # Content that lay there once before and is back.
        .on_conflict_do_update(
            index_elements=["bucket", "object_key", "version_id", "etag"],
            set_={"is_current": True, "call_id": call_id},
        )
    )


def _queue_anew(connection: sa.Connection, call_id: UUID, *, now: datetime, rung_at: datetime | None) -> None:
    row = jobs.first_job(call_id, now, rung_at)
    again = {name: value for name, value in row.items() if name not in {"call_id", "token"}}
    connection.execute(
        insert(connection, job)
        .values(row)
        # The growing token drops the result of a worker that still hears the old content.
        .on_conflict_do_update(index_elements=["call_id"], set_={**again, "token": job.c.token + 1})
    )
