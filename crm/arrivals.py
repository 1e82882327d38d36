"""What intake is given, recordings with what is said of their calls, and the rows that become of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import islice
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa

from calls.pipeline import READ, TRANSCRIBE, Lane, Stage, lane_of
from calls.recording import CallFacts, ObjectRef, StoredObject, call_hex_for, fallback_call_id
from crm import jobs
from crm.bulk import ReadyRows, ready_rows, time_ordered_hexes
from crm.bulk_sqlite import Columns
from crm.facts import Named, columns_of, is_anybody_named
from crm.tables import call, job, recording

# One for all, so that a batch says it once.
_NO_ATTRIBUTES: dict[str, str] = {}


class Arrival(NamedTuple):
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


class Received(NamedTuple):
    """The call of an arrival, by the digits of its id. `is_new` says that work was queued: the recording, or its
    content, was not known.
    """

    call_hex: str
    is_new: bool

    @property
    def call_id(self) -> UUID:
        """Our id of the call."""
        return UUID(self.call_hex)


class Placed(NamedTuple):
    """An arrival of a batch, and the call that it names, as the digits of its id."""

    place: int
    arrival: Arrival
    call_hex: str


@dataclass(frozen=True)
class Shared:
    """What the rows of one transaction share."""

    named: Named
    now: datetime
    rung_at: datetime | None
    recording_hexes: Iterator[str] = field(default_factory=time_ordered_hexes)


class Fresh(NamedTuple):
    """The rows of calls that may be new, with their recordings and jobs."""

    placed: Sequence[Placed]
    calls: ReadyRows
    recordings: ReadyRows
    jobs: ReadyRows


def fresh_rows(dialect: sa.Dialect, shared: Shared, placed: Sequence[Placed], *, is_suffixed: bool = False) -> Fresh:
    """The rows for arrivals of distinct keys and calls; `is_suffixed`: the names of the calls are taken."""
    hexes = [one.call_hex for one in placed]
    arrivals = [one.arrival for one in placed]
    calls = call_columns(shared, arrivals, hexes, is_suffixed) if placed else {}
    return Fresh(
        placed,
        ready_rows(dialect, call, calls, key="id"),
        ready_rows(dialect, recording, recording_columns(shared, arrivals, hexes), key="id"),
        ready_rows(dialect, job, job_columns(shared, arrivals, hexes), key="call_id"),
    )


@dataclass(frozen=True)
class ReadyBatch:
    """A batch of `insert_batch` with all that can be made of it without asking the database.

    A round has one arrival per key and per call: what the first of them brings, the next ones find. `fresh` are the
    rows of the first round for the usual case, that all of it is new and nobody is named; None where somebody is.
    """

    arrivals: Sequence[Arrival]
    rounds: Sequence[Sequence[Placed]]
    now: datetime
    rung_at: datetime | None
    fresh: Fresh | None


def ready_batch(
    dialect: sa.Dialect, arrivals: Sequence[Arrival], *, now: datetime, rung_at: datetime | None = None
) -> ReadyBatch:
    """Make a batch ready for `insert_ready_batch`: before the transaction, for which all others wait on SQLite."""
    # In order of id, so that two transactions with the same calls cannot wait for each other.
    placed = sorted(
        [Placed(place, one, call_hex_for(one.source_system, one.external_id)) for place, one in enumerate(arrivals)],
        key=attrgetter("call_hex"),
    )
    rounds = list(_rounds(placed))
    fresh = None
    if rounds and not any(is_anybody_named(one.facts) for one in arrivals):
        fresh = fresh_rows(dialect, Shared(Named(), now, rung_at), rounds[0])
    return ReadyBatch(arrivals, rounds, now, rung_at, fresh)


def key_of(placed: Placed) -> tuple[str, str]:
    """Bucket and key of its object."""
    ref = placed.arrival.stored.ref
    return ref.bucket, ref.key


def suffixed_id(arrival: Arrival) -> str:
    """The external id of another recording of a known call."""
    return second_id(arrival.external_id, arrival.ref)


def second_id(external_id: str, ref: ObjectRef) -> str:
    """The external id of another recording of a known call: that of the call, with a mark of the recording's place."""
    return f"{external_id}~{sha256(ref.address.encode()).hexdigest()[:12]}"


def call_columns(shared: Shared, arrivals: Sequence[Arrival], hexes: Sequence[str], is_suffixed: bool) -> Columns:
    """The rows of `call` for these arrivals; `hexes` are their ids, `is_suffixed`: the names of the calls are taken."""
    facts = [arrival.facts for arrival in arrivals]
    now, count = shared.now, len(arrivals)
    columns = columns_of(facts, shared.named) | {
        "id": hexes,
        "source_system": [arrival.source_system for arrival in arrivals],
        "external_call_id": [arrival.external_id for arrival in arrivals],
        "profile": [arrival.profile for arrival in arrivals],
        "stage": [Stage.RECEIVED] * count,
        "received_at": [now] * count,
        "modified_at": [now] * count,
        "happened_at": [told.started_at or now for told in facts],
        "is_sample": [False] * count,
        "attributes": [dict(told.attributes) if told.attributes else _NO_ATTRIBUTES for told in facts],
    }
    if is_suffixed:
        columns["external_call_id"] = [suffixed_id(arrival) for arrival in arrivals]
        # The recordings of one call find each other by it, and so does what is told of the call later.
        columns["initial_call_id"] = [arrival.facts.initial_call_id or arrival.external_id for arrival in arrivals]
    return columns


def recording_columns(shared: Shared, arrivals: Sequence[Arrival], hexes: Sequence[str]) -> Columns:
    """The rows of `recording` of these arrivals for the calls of these ids."""
    stored = [arrival.stored for arrival in arrivals]
    buckets, keys, versions, etags, sizes = zip(*[one.ref for one in stored], strict=True) if stored else [()] * 5
    return {
        "id": list(islice(shared.recording_hexes, len(stored))),
        "call_id": hexes,
        "bucket": buckets,
        "object_key": keys,
        "version_id": versions,
        "etag": etags,
        "size_bytes": [size or 0 for size in sizes],
        "is_current": [True] * len(stored),
        "is_text": [arrival.is_text for arrival in arrivals],
        "stored_at": [one.last_modified_at for one in stored],
    }


def job_columns(shared: Shared, arrivals: Sequence[Arrival], hexes: Sequence[str]) -> Columns:
    """The rows of `job` that let the work on these calls begin."""
    # They differ by step and lane alone, and one value for all rows is told to the database once.
    states = {
        (is_text, is_live): jobs.first_state(
            shared.now,
            shared.rung_at,
            step=READ if is_text else TRANSCRIBE,
            lane=Lane.LIVE if is_live else Lane.BACKFILL,
        )
        for is_text in (False, True)
        for is_live in (False, True)
    }
    chosen = [states[one.is_text, lane_of(one.stored.last_modified_at, shared.now) is Lane.LIVE] for one in arrivals]
    return {"call_id": hexes} | {name: [state[name] for state in chosen] for name in states[False, True]}


def _rounds(waiting: Sequence[Placed]) -> Iterator[Sequence[Placed]]:
    while waiting:
        keys = {key_of(placed) for placed in waiting}
        if len(keys) == len({placed.call_hex for placed in waiting}) == len(waiting):
            yield waiting
            return
        seen: set[object] = set()
        due: list[Placed] = []
        later: list[Placed] = []
        for placed in waiting:
            marks = {key_of(placed), placed.call_hex}
            (later if marks & seen else due).append(placed)
            seen |= marks
        yield due
        waiting = later
