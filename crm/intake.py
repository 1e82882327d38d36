"""Recordings in: a call, its recording and its job in one transaction, once, however often a recording is announced."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.pipeline import READ, TRANSCRIBE, Stage, lane_of
from calls.recording import REDACTED_SOUND, CallFacts, ObjectRef, StoredObject, call_hex_for, is_redacted_copy
from calls.telling import call_subject, object_subject
from crm import jobs
from crm.arrivals import (
    Arrival,
    Fresh,
    Placed,
    ReadyBatch,
    Received,
    Shared,
    fresh_rows,
    key_of,
    ready_batch,
    recording_columns,
    suffixed_id,
)
from crm.bulk import among, insert_columns, insert_ready, is_none_there
from crm.database import insert
from crm.erased import erased_subjects, is_anything_erased
from crm.facts import Named, set_facts, upsert_named
from crm.people import leave_chain
from crm.tables import call, call_analysis, recording, transcript, unreadable_event

# What is kept of an event that nobody can read, in characters.
KEPT_BODY = 4000
# What counts as its call's recording, or would if there were no other.
_COUNTS = sa.or_(
    recording.c.is_current, recording.c.is_text, recording.c.object_key.contains(REDACTED_SOUND, autoescape=True)
)


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

    - A recording that is known (same bucket, key and content) inserts nothing.
    - Other content under the key of a known call becomes the call's current recording, and the call starts anew.
    - Sound under the external id of a call that came as text takes its place; text beside sound adds nothing.
    - Else, another key under the external id of a known call is a call of its own: nothing is merged, nothing is lost.
    - What was erased stays erased: nothing is inserted.

    `rung_at` is set where a bell follows the commit. Constraints decide, not the reads before them: whoever comes
    second with the same recording waits for the first and then inserts nothing.
    """
    return insert_ready_batch(connection, ready_batch(connection.dialect, arrivals, now=now, rung_at=rung_at))


def insert_ready_batch(connection: sa.Connection, batch: ReadyBatch) -> list[Received]:
    """`insert_batch`, made ready."""
    answers = _erased(connection, batch.arrivals)
    named = Named()
    if batch.fresh is None:
        told = [one.facts for place, one in enumerate(batch.arrivals) if place not in answers]
        named = upsert_named(connection, told)
    shared = Shared(named, batch.now, batch.rung_at)
    for placed in batch.rounds:
        due = [one for one in placed if one.place not in answers] if answers else placed
        answers |= _insert_round(connection, shared, due, batch.fresh)
    return [answers[place] for place in range(len(batch.arrivals))]


def note_unreadable(connection: sa.Connection, *, source: str, code: str, body: str, now: datetime) -> None:
    """Keep an event that nobody could read, its body cut to KEPT_BODY characters, for a person to see."""
    kept = body[:KEPT_BODY].replace("\0", "\N{REPLACEMENT CHARACTER}")
    connection.execute(
        sa.insert(unreadable_event).values(id=uuid4(), received_at=now, source=source, code=code, body=kept)
    )


def known_etags(connection: sa.Connection, bucket: str, keys: Sequence[str]) -> dict[str, set[str]]:
    """The eTags of the recordings that are known under each of these keys: the current one's, and of those that stand
    back behind another of their call.
    """
    found: dict[str, set[str]] = {}
    rows = connection.execute(
        sa.select(recording.c.object_key, recording.c.etag).where(
            recording.c.bucket == bucket,
            among(connection, recording.c.object_key, keys),
            _COUNTS,
        )
    )
    for row in rows:
        found.setdefault(row.object_key, set()).add(row.etag)
    return found


def _erased(connection: sa.Connection, arrivals: Sequence[Arrival]) -> dict[int, Received]:
    """The answers for arrivals that were erased, by their place."""
    if not is_anything_erased(connection):
        return {}
    names = [
        (object_subject(one.ref.bucket, one.ref.key), call_subject(one.source_system, one.external_id))
        for one in arrivals
    ]
    gone = erased_subjects(connection, {name for both in names for name in both})
    if not gone:
        return {}
    answers = {}
    for place, (at, called) in enumerate(names):
        erased = gone.get(at) or gone.get(called)
        if erased is not None:
            answers[place] = Received(erased.call_id.hex, is_new=False)
    return answers


def _insert_round(
    connection: sa.Connection, shared: Shared, due: Sequence[Placed], ready: Fresh | None
) -> dict[int, Received]:
    """The answers for arrivals of distinct keys and calls; `ready` may be their rows."""
    known = _known(connection, [arrival.ref for _, arrival, _ in due])
    fresh = [placed for placed in due if key_of(placed) not in known] if known else due
    if ready is None or ready.placed is not fresh:
        ready = fresh_rows(connection.dialect, shared, fresh)
    answers = _insert_fresh(connection, shared, ready)
    others = [placed for placed in due if placed.place not in answers] if len(answers) < len(due) else []
    if others and fresh:
        known = _known(connection, [arrival.ref for _, arrival, _ in others])
    for place, arrival, call_hex in others:
        found = known.get((arrival.ref.bucket, arrival.ref.key))
        answers[place] = _come_again(connection, shared, arrival, UUID(call_hex), found)
    return answers


def _come_again(
    connection: sa.Connection, shared: Shared, arrival: Arrival, call_id: UUID, known: list[sa.Row[Any]] | None
) -> Received:
    """An arrival whose key, or whose call, is known."""
    current = next((row for row in known or () if row.is_current), None)
    if current is not None:
        if _is_same(current, arrival.ref):
            return Received(current.call_id.hex, is_new=False)
        return _renew(connection, shared, arrival, current.call_id)
    if known:
        # It stands back behind another of its call.
        return Received(known[0].call_id.hex, is_new=False)
    call_id = _met(connection, arrival, call_id)
    other = _current_of(connection, call_id)
    if other is None:
        return _renew(connection, shared, arrival, call_id)
    known_weight, weight = _weight(other.object_key, other.is_text), _weight(arrival.ref.key, arrival.is_text)
    if weight > known_weight:
        return _renew(connection, shared, arrival, call_id)
    if weight < known_weight:
        beside = recording_columns(shared, [arrival], [call_id.hex]) | {"is_current": [False]}
        insert_columns(connection, recording, beside, key="id")
        return Received(call_id.hex, is_new=False)
    suffixed = call_hex_for(arrival.source_system, suffixed_id(arrival))
    rows = fresh_rows(connection.dialect, shared, [Placed(0, arrival, suffixed)], is_suffixed=True)
    made = _insert_fresh(connection, shared, rows, is_suffixed=True)
    # Where it is there already, its recording has been removed since.
    return made.get(0) or _renew(connection, shared, arrival, UUID(suffixed))


def _weight(key: str, is_text: bool) -> tuple[bool, bool]:
    """Which of a call's objects counts: sound before text, and each before its redacted copy."""
    return not is_text, not is_redacted_copy(key)


def _known(connection: sa.Connection, refs: Sequence[ObjectRef]) -> dict[tuple[str, str], list[sa.Row[Any]]]:
    """The recordings under each of these keys that are current, or stand back behind another of their call."""
    found: dict[tuple[str, str], list[sa.Row[Any]]] = {}
    for bucket in {ref.bucket for ref in refs}:
        keys = [ref.key for ref in refs if ref.bucket == bucket]
        if is_none_there(connection, (recording.c.bucket, recording.c.object_key), bucket, keys):
            continue
        rows = connection.execute(
            sa.select(recording).where(
                recording.c.bucket == bucket,
                among(connection, recording.c.object_key, keys),
                _COUNTS,
            )
        )
        for row in rows:
            found.setdefault((row.bucket, row.object_key), []).append(row)
    return found


def _met(connection: sa.Connection, arrival: Arrival, call_id: UUID) -> UUID:
    """The call that the insertion met: the one that has the arrival's name by now, which telephony may have told late
    of a call with another id of ours, else the one of this id.
    """
    is_named = sa.and_(call.c.source_system == arrival.source_system, call.c.external_call_id == arrival.external_id)
    return connection.execute(sa.select(call.c.id).where(is_named)).scalar_one_or_none() or call_id


def _current_of(connection: sa.Connection, call_id: UUID) -> sa.Row[Any] | None:
    return connection.execute(
        sa.select(recording).where(recording.c.call_id == call_id, recording.c.is_current)
    ).one_or_none()


def _insert_fresh(
    connection: sa.Connection, shared: Shared, fresh: Fresh, *, is_suffixed: bool = False
) -> dict[int, Received]:
    """Make call, recording and job of each arrival; those whose call or key is there already have no answer."""
    fresh = _only(connection, shared, fresh, insert_ready(connection, fresh.calls), is_suffixed)
    places = insert_ready(connection, fresh.recordings)
    if len(places) < len(fresh.placed):
        # Somebody else has just brought these recordings for another call: this one would never have one.
        added = set(places)
        beaten = [UUID(placed.call_hex) for place, placed in enumerate(fresh.placed) if place not in added]
        connection.execute(sa.delete(call).where(call.c.id.in_(beaten)))
        fresh = _only(connection, shared, fresh, places, is_suffixed)
    insert_ready(connection, fresh.jobs)
    return {placed.place: Received(placed.call_hex, is_new=True) for placed in fresh.placed}


def _only(connection: sa.Connection, shared: Shared, fresh: Fresh, places: Sequence[int], is_suffixed: bool) -> Fresh:
    """The rows of those that stand at these places."""
    if len(places) == len(fresh.placed):
        return fresh
    placed = [fresh.placed[place] for place in places]
    return fresh_rows(connection.dialect, shared, placed, is_suffixed=is_suffixed)


def _renew(connection: sa.Connection, shared: Shared, arrival: Arrival, call_id: UUID) -> Received:
    """A call that is known: nothing when its recording has the same content, else it starts anew with this one."""
    now, ref = shared.now, arrival.ref
    before = connection.execute(sa.select(call).where(call.c.id == call_id).with_for_update()).one()
    # Read under the lock: somebody may have renewed it just now.
    known = _known(connection, [ref]).get((ref.bucket, ref.key), ())
    if any(row.is_current and _is_same(row, ref) for row in known):
        return Received(call_id.hex, is_new=False)
    if before.contact_id is not None:
        # Whose call it is comes with its end: the new content may end as silence.
        leave_chain(connection, call_id, before.contact_id)
    current = _current_of(connection, call_id)
    # Who read the text that sound takes the place of says nothing of the sound's name.
    is_other_kind = current is not None and current.is_text != arrival.is_text
    _make_current(connection, shared, arrival, call_id)
    connection.execute(
        sa.update(call)
        .where(call.c.id == call_id)
        .values(
            stage=Stage.RECEIVED,
            skip_reason=None,
            failed_step=None,
            failed_code=None,
            failed_detail=None,
            finished_at=None,
            duration_s=None,
            profile=arrival.profile if is_other_kind else before.profile or arrival.profile,
            modified_at=now,
        )
    )
    step, lane = READ if arrival.is_text else TRANSCRIBE, lane_of(arrival.stored.last_modified_at, now)
    jobs.start_anew(connection, jobs.first_job(call_id, now, shared.rung_at, step=step, lane=lane))
    jobs.touch_call(connection, call_id)
    # With the content may come what names the call: its id, and who read it.
    conversation = arrival.facts.initial_call_id or before.initial_call_id
    facts = replace(arrival.facts, initial_call_id=conversation)
    set_facts(connection, call_id, facts, now=now)
    return Received(call_id.hex, is_new=True)


def _is_same(current: sa.Row[Any], ref: ObjectRef) -> bool:
    """Whether the content is what is known; a new version of the same content is."""
    return bool((current.etag, current.size_bytes) == (ref.etag, ref.size_bytes or 0))


def _make_current(connection: sa.Connection, shared: Shared, arrival: Arrival, call_id: UUID) -> None:
    """Make this the call's recording; what was heard in the one before is history."""
    for table in (recording, transcript, call_analysis):
        connection.execute(
            sa.update(table).where(table.c.call_id == call_id, table.c.is_current).values(is_current=False)
        )
    columns = recording_columns(shared, [arrival], [call_id.hex])
    row = {name: value for name, [value] in columns.items()} | {"id": UUID(columns["id"][0]), "call_id": call_id}
    connection.execute(
        insert(connection, recording)
        .values(row)
        # Content that lay there once before and is back.
        .on_conflict_do_update(
            index_elements=["bucket", "object_key", "version_id", "etag"],
            set_={"is_current": True, "call_id": call_id},
        )
    )
