"""From an announced object to a durable call: look what the store has, hear what telephony says, insert, then ring."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from uuid import UUID

import sqlalchemy as sa
import structlog

from calls.errors import TransientError
from calls.pipeline import READ, TRANSCRIBE, Lane, Step, lane_of
from calls.recording import ObjectRef
from crm.arrivals import Received, ready_batch
from crm.awaited import Awaited, await_objects, forget_awaited, is_any_awaited
from crm.database import Database
from crm.erased import doom_again
from crm.intake import insert_ready_batch, known_etags, note_unreadable
from crm.tellings import store_tellings
from engines.objects import ObjectStore
from ingest.contact_records import read_records
from ingest.events import Announced, Announcement, Body, UnreadableEvent, read_event
from ingest.looking import Heard, Looked, Looker, heard_record
from ingest.merging import Merging
from ingest.profiles import Profiles
from ingest.values import Locality

log = structlog.get_logger()

# Recordings to a transaction: of twice as many a store that answers in 20 ms would be asked for longer than a broker
# waits for a sign of life.
BATCH = 1000
# So many new calls at once are a pile that keeps the workers busy in any case: the sweep rings for them.
RUNG_AT_ONCE = 20

Ring = Callable[[Step, UUID], None]


@dataclass
class Taken:
    """What became of announced objects: calls with new work, recordings that were known, and why others are none."""

    new: list[Received] = field(default_factory=list)
    known_count: int = 0
    ignored: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Intake:
    """The parts of intake. `ring` tells the workers of a new call after the commit; None where the sweep finds it."""

    database: Database
    objects: ObjectStore
    profiles: Profiles
    ring: Ring | None = None
    looker: Looker | None = None
    # Told of each moment: `writing` (before the commit), `committed` (before bells and acknowledgement).
    observe: Callable[[str], None] = lambda _moment: None

    def take(self, announced: Sequence[Announced], heard: Sequence[Heard] = ()) -> Taken:
        """Make calls of the announced recordings, all in one transaction; when this returns, they are durable.

        What the store holds now counts, not what was announced: a duplicate, a late or an early one adds nothing.
        `heard` is what telephony's own records say. Raises TransientError when the store or the database cannot be
        reached; nothing is lost by taking them again.
        """
        looker = self.looker or Looker(self.objects, self.profiles)
        looked = looker.look(announced)
        heard = [*heard, *(telling for one in looked for telling in one.tellings)]
        taken = Taken(ignored=Counter([one.why_not for one in looked if one.why_not]))
        now = datetime.now(UTC)
        merging = Merging(self.profiles, self.objects.bucket, looked, now=now)
        rings = self.ring is not None and len(merging.untold) <= RUNG_AT_ONCE
        ready = partial(ready_batch, self.database.engine.dialect, now=now, rung_at=now if rings else None)
        untold = ready(merging.untold)
        with self.database.write() as connection:
            store_tellings(connection, [one.told for one in heard], now=now)
            doom_again(connection, self._lying(looked), now=now)
            arrivals = merging.arrivals(connection)
            answers = insert_ready_batch(connection, untold if arrivals is merging.untold else ready(arrivals))
            if heard or not all(received.is_new for received in answers):
                new_keys = {a.ref.key for a, received in zip(arrivals, answers, strict=True) if received.is_new}
                new_keys -= merging.joined
                # Whoever brought a known one may have died before it looked again.
                known_keys = {arrival.ref.key for arrival in arrivals} - new_keys
                merging.retell(connection, heard, known=known_keys, but=new_keys, now=now)
            self._await(connection, looked, taken, now)
            self.observe("writing")
        self.observe("committed")
        self._settle(merging, heard, answers, taken)
        if rings and self.ring:
            for arrival, received in zip(arrivals, answers, strict=True):
                if received.is_new and lane_of(arrival.stored.last_modified_at, now) is Lane.LIVE:
                    self.ring(READ if arrival.is_text else TRANSCRIBE, received.call_id)
        return taken

    def _lying(self, looked: Sequence[Looked]) -> Iterator[ObjectRef]:
        """The objects that were looked at, recordings and documents."""
        for one in looked:
            if one.stored:
                yield one.stored.ref
            # What has an eTag was an object, and its origin is the key.
            for told in (heard.told for heard in one.tellings if heard.told.etag):
                yield ObjectRef(self.objects.bucket, told.telling.origin, etag=told.etag)

    def _await(self, connection: sa.Connection, looked: Sequence[Looked], taken: Taken, now: datetime) -> None:
        """Note what is not in the store yet, and forget what came; what was a call before it went is not awaited."""
        bucket = self.objects.bucket
        missing = [[ref.key for ref in one.announced.candidates] for one in looked if one.is_missing]
        if missing:
            known = known_etags(connection, bucket, [key for keys in missing for key in keys])
            unknown = [Awaited(bucket, tuple(keys)) for keys in missing if not known.keys() & set(keys)]
            given_up = await_objects(connection, unknown, now=now)
            if given_up:
                taken.ignored["never_came"] += given_up
        if is_any_awaited(connection):
            there = [ref.key for one in looked if not one.is_missing for ref in one.announced.candidates]
            forget_awaited(connection, bucket, there)

    def _settle(self, merging: Merging, heard: Sequence[Heard], answers: Sequence[Received], taken: Taken) -> None:
        """Note what came of it, and look once more for what another listener was told at the same time."""
        taken.new = [received for received in answers if received.is_new]
        taken.known_count = len(answers) - len(taken.new)
        if taken.new:
            log.info("calls_received", call_count=len(taken.new), first_call_id=str(taken.new[0].call_id))
        if not self.database.is_sqlite and (heard or answers):
            # A recording and its sidecar in two transactions side by side do not see each other; whichever commits last
            # sees the other now. SQLite has one writer at a time.
            with self.database.write() as connection:
                merging.look_again(connection, heard, now=datetime.now(UTC))


def take_messages(intake: Intake, source: str, bodies: Sequence[Body]) -> int:
    """Take what a queue delivered; when this returns, every message is done with. Returns the number of new calls.

    A message that nobody can read is kept in a table and counted, and so is one that breaks us: neither may come back
    for ever or hold up the others. Raises TransientError when the messages have to be delivered again.
    """
    said = Announcement()
    heard: list[Heard] = []
    unread: list[tuple[str, Body]] = []
    for body in bodies:
        try:
            heard += _heard_in(body, said, intake.profiles.local)
        except Exception:
            log.exception("event_broke", source=source)
            said.unreadable.append("unexpected_error")
        said.records.clear()
        if said.unreadable:
            # However many of its records are bad, a message is kept once for each reason.
            unread += [(code, body) for code in dict.fromkeys(said.unreadable)]
            said.unreadable.clear()
    taken = take_surely(intake, source, said.objects, heard)
    # Last: where the messages have to be delivered again, they must not be kept each time.
    for code, body in unread:
        keep_unreadable(intake.database, source, code, body)
    _tell_ignored(source, taken)
    return len(taken.new)


def _heard_in(body: Body, said: Announcement, local: Locality) -> list[Heard]:
    """Read one message into `said`; what its contact records say."""
    try:
        read_event(body, said)
    except UnreadableEvent as error:
        said.unreadable.append(error.code)
    heard: list[Heard] = []
    for document in said.records:
        records = read_records(document, local)
        heard += [heard_record(record) for record in records]
        if not records:
            said.unreadable.append("bad_record")
    return heard


def take_objects(intake: Intake, source: str, announced: Iterable[Announced]) -> int:
    """Take any number of announced objects, BATCH to a transaction; returns the number of new calls."""
    new_count = 0
    rest = iter(announced)
    while batch := list(islice(rest, BATCH)):
        taken = take_surely(intake, source, batch)
        _tell_ignored(source, taken)
        new_count += len(taken.new)
    return new_count


def take_surely(intake: Intake, source: str, announced: Sequence[Announced], heard: Sequence[Heard] = ()) -> Taken:
    """Take them together or, when one of them breaks us, in halves: it must not keep the others waiting for ever."""
    if not announced and not heard:
        return Taken()
    try:
        return intake.take(announced, heard)
    except TransientError:
        raise
    except Exception as error:
        if announced and heard:
            return _sum([take_surely(intake, source, announced), take_surely(intake, source, (), heard)])
        half = (len(announced) + len(heard)) // 2
        if half:
            parts = [(announced[:half], heard[:half]), (announced[half:], heard[half:])]
            return _sum([take_surely(intake, source, *part) for part in parts])
        log.exception("intake_broke", source=source)
        what = announced[0].candidates[0].address if announced else heard[0].concerned.subject
        keep_unreadable(intake.database, source, "unexpected_error", f"{type(error).__name__}: {what}")
        return Taken(ignored=Counter(unexpected_error=1))


def keep_unreadable(database: Database, source: str, code: str, body: Body) -> None:
    """Keep a message that nobody can read where a person sees it."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body).encode(errors="replace").decode()
    with database.write() as connection:
        note_unreadable(connection, source=source, code=code, body=text, now=datetime.now(UTC))
    log.warning("event_unreadable", source=source, code=code)


def _tell_ignored(source: str, taken: Taken) -> None:
    if taken.ignored:
        log.info("events_ignored", source=source, **{f"{why}_count": n for why, n in sorted(taken.ignored.items())})


def _sum(parts: Sequence[Taken]) -> Taken:
    whole = Taken()
    for part in parts:
        whole.new += part.new
        whole.known_count += part.known_count
        whole.ignored += part.ignored
    return whole
