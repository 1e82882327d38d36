"""Recordings in: a call, its recording and its job in one transaction, once, however often a recording is announced."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.pipeline import READ, TRANSCRIBE, Lane, Stage, lane_of
from calls.recording import CallFacts, ObjectRef, StoredObject, call_id_for, fallback_call_id
from calls.telling import call_subject, object_subject
from crm import jobs
from crm.bulk import among, insert_new, time_ordered_ids
from crm.database import insert
from crm.erased import erased_subjects
from crm.facts import Named, set_facts, told_columns, upsert_named
from crm.people import leave_chain
from crm.tables import call, call_analysis, job, recording, transcript, unreadable_event

# What is kept of an event that nobody can read, in characters.
KEPT_BODY = 4000
# One for all, so that a batch says it once.
_NO_ATTRIBUTES: dict[str, str] = {}


@dataclass(frozen=True)
class Arrival:
    """A recording that lies in the store, and what telephony says of its call.

    `source_system` and the facts' external id name the call; `profile` read the facts, None when none could. `is_text`
    marks a conversation that came as text: where a call has sound too, the sound is what counts.
    """

    stored: StoredObject
    facts: CallFacts
    source_system: str
    profile: str | None
    is_text: bool = False

    @property
    def ref(self) -> ObjectRef:
        """The object."""
        return self.stored.ref

    @property
    def external_id(self) -> str:
        """Telephony's id of the call, its place in the store where telephony names none."""
        return self.facts.external_call_id or fallback_call_id(self.stored.ref)

    @property
    def call_id(self) -> UUID:
        """Our id of the call."""
        return call_id_for(self.source_system, self.external_id)


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

    - A recording that is known (same bucket, key and content) inserts nothing.
    - Other content under the key of a known call becomes the call's current recording, and the call starts anew.
    - Sound under the external id of a call that came as text takes its place; text beside sound adds nothing.
    - Else, another key under the external id of a known call is a call of its own: nothing is merged, nothing is lost.
    - What was erased stays erased: nothing is inserted.

    `rung_at` is set where a bell follows the commit. Constraints decide, not the reads before them: whoever comes
    second with the same recording waits for the first and then inserts nothing.
    """
    answers = _erased(connection, arrivals)
    named = upsert_named(connection, [one.facts for place, one in enumerate(arrivals) if place not in answers])
    waiting = [(place, arrival, arrival.call_id) for place, arrival in enumerate(arrivals) if place not in answers]
    # In order of id, so that two transactions with the same calls cannot wait for each other.
    waiting.sort(key=lambda placed: placed[2].int)
    while waiting:
        # One arrival per key and per call in a round: what the first of them brings, the next ones find.
        now_due, waiting = _one_round(waiting)
        answers |= _insert_round(_Round(connection, named, now, rung_at), now_due)
    return [answers[place] for place in range(len(arrivals))]


def note_unreadable(connection: sa.Connection, *, source: str, code: str, body: str, now: datetime) -> None:
    """Keep an event that nobody could read, its body cut to KEPT_BODY characters, for a person to see."""
    kept = body[:KEPT_BODY].replace("\0", "\N{REPLACEMENT CHARACTER}")
    connection.execute(
        sa.insert(unreadable_event).values(id=uuid4(), received_at=now, source=source, code=code, body=kept)
    )


def known_etags(connection: sa.Connection, bucket: str, keys: Sequence[str]) -> dict[str, set[str]]:
    """The eTags of the recordings that are known under each of these keys: the current one's, and of those that stand
    back behind the sound of their call.
    """
    found: dict[str, set[str]] = {}
    rows = connection.execute(
        sa.select(recording.c.object_key, recording.c.etag).where(
            recording.c.bucket == bucket,
            among(connection, recording.c.object_key, keys),
            sa.or_(recording.c.is_current, recording.c.is_text),
        )
    )
    for row in rows:
        found.setdefault(row.object_key, set()).add(row.etag)
    return found


def _erased(connection: sa.Connection, arrivals: Sequence[Arrival]) -> dict[int, Received]:
    """The answers for arrivals that were erased, by their place."""
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
            answers[place] = Received(erased.call_id, is_new=False)
    return answers


Placed = tuple[int, Arrival, UUID]


def _one_round(waiting: list[Placed]) -> tuple[list[Placed], list[Placed]]:
    keys = {(arrival.ref.bucket, arrival.ref.key) for _, arrival, _ in waiting}
    if len(keys) == len({call_id.int for _, _, call_id in waiting}) == len(waiting):
        return waiting, []
    seen: set[object] = set()
    due: list[Placed] = []
    later: list[Placed] = []
    for placed in waiting:
        marks = {(placed[1].ref.bucket, placed[1].ref.key), placed[2]}
        (later if marks & seen else due).append(placed)
        seen |= marks
    return due, later


@dataclass(frozen=True)
class _Round:
    connection: sa.Connection
    named: Named
    now: datetime
    rung_at: datetime | None
    recording_ids: Iterator[UUID] = field(default_factory=time_ordered_ids)


def _insert_round(round_: _Round, due: list[Placed]) -> dict[int, Received]:
    """The answers for arrivals of distinct keys and calls."""
    known = _known(round_.connection, [arrival.ref for _, arrival, _ in due])
    fresh = [placed for placed in due if (placed[1].ref.bucket, placed[1].ref.key) not in known]
    answers = _insert_fresh(round_, fresh)
    others = [placed for placed in due if placed[0] not in answers]
    if others and fresh:
        known = _known(round_.connection, [arrival.ref for _, arrival, _ in others])
    for place, arrival, call_id in others:
        answers[place] = _come_again(round_, arrival, call_id, known.get((arrival.ref.bucket, arrival.ref.key)))
    return answers


def _come_again(round_: _Round, arrival: Arrival, call_id: UUID, known: list[sa.Row[Any]] | None) -> Received:
    """An arrival whose key, or whose call, is known."""
    current = next((row for row in known or () if row.is_current), None)
    if current is not None:
        if _is_same(current, arrival.ref):
            return Received(current.call_id, is_new=False)
        return _renew(round_, arrival, current.call_id)
    if known:
        # It stands back behind the sound of its call.
        return Received(known[0].call_id, is_new=False)
    call_id = _met(round_.connection, arrival, call_id)
    other = _current_of(round_.connection, call_id)
    if other is None:
        return _renew(round_, arrival, call_id)
    if other.is_text and not arrival.is_text:
        return _renew(round_, arrival, call_id)
    if arrival.is_text and not other.is_text:
        insert_new(
            round_.connection, recording, [_recording_row(round_, arrival, call_id) | {"is_current": False}], key="id"
        )
        return Received(call_id, is_new=False)
    suffixed = call_id_for(arrival.source_system, suffixed_id(arrival))
    made = _insert_fresh(round_, [(0, arrival, suffixed)], is_suffixed=True)
    # Where it is there already, its recording has been removed since.
    return made.get(0) or _renew(round_, arrival, suffixed)


def _known(connection: sa.Connection, refs: Sequence[ObjectRef]) -> dict[tuple[str, str], list[sa.Row[Any]]]:
    """The recordings under each of these keys that are current, or stand back behind the sound of their call."""
    found: dict[tuple[str, str], list[sa.Row[Any]]] = {}
    for bucket in {ref.bucket for ref in refs}:
        keys = [ref.key for ref in refs if ref.bucket == bucket]
        rows = connection.execute(
            sa.select(recording).where(
                recording.c.bucket == bucket,
                among(connection, recording.c.object_key, keys),
                sa.or_(recording.c.is_current, recording.c.is_text),
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


def _insert_fresh(round_: _Round, fresh: Sequence[Placed], *, is_suffixed: bool = False) -> dict[int, Received]:
    """Make call, recording and job of each arrival; those whose call or key is there already have no answer."""
    if not fresh:
        return {}
    connection = round_.connection
    rows = [_call_row(round_, arrival, call_id, is_suffixed) for _, arrival, call_id in fresh]
    made = [fresh[place] for place in insert_new(connection, call, rows, key="id")]
    rows = [_recording_row(round_, arrival, call_id) for _, arrival, call_id in made]
    added = [made[place] for place in insert_new(connection, recording, rows, key="id")]
    if len(added) < len(made):
        # Somebody else has just brought these recordings for another call: this one would never have one.
        beaten = {call_id for _, _, call_id in made} - {call_id for _, _, call_id in added}
        connection.execute(sa.delete(call).where(call.c.id.in_(beaten)))
    insert_new(connection, job, _first_jobs(round_, added), key="call_id")
    return {place: Received(call_id, is_new=True) for place, _, call_id in added}


def _first_jobs(round_: _Round, added: Sequence[Placed]) -> list[dict[str, object]]:
    # They differ by step and lane alone, and one value for all rows is told to the database once.
    shared: dict[tuple[bool, Lane], dict[str, object]] = {}
    jobs_ = []
    for _, arrival, call_id in added:
        kind = arrival.is_text, lane_of(arrival.stored.last_modified_at, round_.now)
        if kind not in shared:
            shared[kind] = _first_job(round_, call_id, arrival)
        jobs_.append({**shared[kind], "call_id": call_id})
    return jobs_


def _first_job(round_: _Round, call_id: UUID, arrival: Arrival) -> dict[str, object]:
    return jobs.first_job(
        call_id,
        round_.now,
        round_.rung_at,
        step=READ if arrival.is_text else TRANSCRIBE,
        lane=lane_of(arrival.stored.last_modified_at, round_.now),
    )


def suffixed_id(arrival: Arrival) -> str:
    """The external id of another recording of a known call: that of the call, with a mark of the recording's place."""
    digest = sha256(arrival.ref.address.encode()).hexdigest()
    return f"{arrival.external_id}~{digest[:12]}"


def _call_row(round_: _Round, arrival: Arrival, call_id: UUID, is_suffixed: bool) -> dict[str, Any]:
    row = told_columns(arrival.facts, round_.named) | {
        "id": call_id,
        "source_system": arrival.source_system,
        "external_call_id": suffixed_id(arrival) if is_suffixed else arrival.external_id,
        "profile": arrival.profile,
        "stage": Stage.RECEIVED,
        "received_at": round_.now,
        "modified_at": round_.now,
        "happened_at": arrival.facts.started_at or round_.now,
        "is_sample": False,
        "attributes": dict(arrival.facts.attributes) if arrival.facts.attributes else _NO_ATTRIBUTES,
    }
    if is_suffixed and "initial_call_id" not in row:
        # The recordings of one call find each other by it, and so does what is told of the call later.
        row["initial_call_id"] = arrival.external_id
    return row


def _recording_row(round_: _Round, arrival: Arrival, call_id: UUID) -> dict[str, Any]:
    ref = arrival.ref
    return {
        "id": next(round_.recording_ids),
        "call_id": call_id,
        "bucket": ref.bucket,
        "object_key": ref.key,
        "version_id": ref.version_id,
        "etag": ref.etag,
        "size_bytes": ref.size_bytes or 0,
        "is_current": True,
        "is_text": arrival.is_text,
        "stored_at": arrival.stored.last_modified_at,
    }


def _renew(round_: _Round, arrival: Arrival, call_id: UUID) -> Received:
    """A call that is known: nothing when its recording has the same content, else it starts anew with this one."""
    connection, now, ref = round_.connection, round_.now, arrival.ref
    before = connection.execute(sa.select(call).where(call.c.id == call_id).with_for_update()).one()
    # Read under the lock: somebody may have renewed it just now.
    known = _known(connection, [ref]).get((ref.bucket, ref.key), ())
    if any(row.is_current and _is_same(row, ref) for row in known):
        return Received(call_id, is_new=False)
    if before.contact_id is not None:
        # Whose call it is comes with its end: the new content may end as silence.
        leave_chain(connection, call_id, before.contact_id)
    _make_current(round_, arrival, call_id)
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
            modified_at=now,
        )
    )
    jobs.start_anew(connection, _first_job(round_, call_id, arrival))
    jobs.touch_call(connection, call_id)
    # With the content may come what names the call: its id, and who read it.
    conversation = arrival.facts.initial_call_id or before.initial_call_id
    facts = replace(arrival.facts, initial_call_id=conversation)
    set_facts(connection, call_id, facts, now=now, profile=arrival.profile)
    return Received(call_id, is_new=True)


def _is_same(current: sa.Row[Any], ref: ObjectRef) -> bool:
    """Whether the content is what is known; a new version of the same content is."""
    return bool((current.etag, current.size_bytes) == (ref.etag, ref.size_bytes or 0))


def _make_current(round_: _Round, arrival: Arrival, call_id: UUID) -> None:
    """Make this the call's recording; what was heard in the one before is history."""
    connection = round_.connection
    for table in (recording, transcript, call_analysis):
        connection.execute(
            sa.update(table).where(table.c.call_id == call_id, table.c.is_current).values(is_current=False)
        )
    connection.execute(
        insert(connection, recording)
        .values(_recording_row(round_, arrival, call_id))
        # Content that lay there once before and is back.
        .on_conflict_do_update(
            index_elements=["bucket", "object_key", "version_id", "etag"],
            set_={"is_current": True, "call_id": call_id},
        )
    )
