"""The past under the reasons of now: stored calls are asked about anew, from their transcripts, behind all other work.

One job a call, in the lane of old work; the call stays done, with what it had, until the answer is there. What a run
brought is read from the revisions of the analyses themselves.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.corrections import Field
from calls.errors import CallwiseError, TransientError
from calls.pipeline import RECLASSIFY, Lane, Stage
from calls.reasons import Taxonomy
from crm import jobs
from crm.database import Database, insert
from crm.reason_tables import reason_successor, reclassification, reclassified_call, review
from crm.reviews import current_analysis, file_under, in_taxonomy, last_review
from crm.tables import call, call_analysis, job, taxonomy, transcript
from crm.taxonomies import current_taxonomy

# Why a call of a run has no other analysis: a person's reason has no counterpart among the reasons of now.
KEPT_BY_PERSON = "kept_by_person"

# So many calls a transaction: other writers wait no longer than for these.
CALLS_AT_ONCE = 500
_TRIES = 5


class Settled(Enum):
    """How a call was settled without asking an engine: it is under the reasons of now already, a person's reason was
    carried over to them, or it has no counterpart there and was left alone.
    """

    THERE = "there"
    CARRIED = "carried"
    KEPT = "kept"


class NoTaxonomy(CallwiseError):
    """No reasons are stored yet."""

    code = "no_taxonomy"


class NoSuchRun(CallwiseError):
    """No re-classification has that id."""

    code = "no_such_run"


@dataclass(frozen=True)
class Wanted:
    """Which calls: `since` <= happened_at < `until`, and those with one reason, by its code then or now."""

    since: datetime | None = None
    until: datetime | None = None
    only_reason: str = ""


@dataclass(frozen=True)
class Queued:
    """What `queue_calls` did: how many calls wait to be asked about, how many a person's reason was carried over for
    without asking, and how many were left alone because that reason has no counterpart.
    """

    run_id: UUID
    ask_count: int
    carried_count: int
    kept_count: int


def waiting_calls(found: Taxonomy, wanted: Wanted) -> sa.Select[Any]:
    """The ids of the calls that were understood under other reasons than `found`; generated history has no transcripts
    and stays as it is.
    """
    understood = call_analysis.c
    asked = (
        sa.select(call.c.id)
        .join_from(call, call_analysis, sa.and_(understood.call_id == call.c.id, understood.is_current))
        .where(
            call.c.stage == Stage.DONE,
            call.c.is_sample.is_(False),
            understood.taxonomy_version != found.version,
            sa.exists().where(
                transcript.c.call_id == call.c.id, transcript.c.is_current, transcript.c.recording_id.is_not(None)
            ),
        )
    )
    if wanted.since is not None:
        asked = asked.where(call.c.happened_at >= wanted.since)
    if wanted.until is not None:
        asked = asked.where(call.c.happened_at < wanted.until)
    if wanted.only_reason:
        then = sa.select(reason_successor.c.code).where(reason_successor.c.successor_code == wanted.only_reason)
        asked = asked.where(sa.or_(understood.reason_code == wanted.only_reason, understood.reason_code.in_(then)))
    return asked


def is_reviewed() -> sa.ColumnElement[bool]:
    """Whether a person has stated the reason of the call of the row."""
    return sa.exists().where(review.c.call_id == call.c.id, review.c.field == Field.REASON).correlate(call)


def queue_calls(database: Database, wanted: Wanted, *, now: datetime) -> Queued:
    """Have every such call asked about anew under the current reasons; those that wait already are not queued twice.

    The same wish goes on with its run: one that was stopped, or cut off while it queued, is taken up where it was left.
    Calls that people have reviewed keep their reasons and cost nothing. Raises NoTaxonomy.
    """
    with database.write() as connection:
        # Two that begin the same at once would make two runs of it.
        connection.execute(sa.select(taxonomy.c.version).where(taxonomy.c.is_current).with_for_update())
        current = current_taxonomy(connection)
        if current is None:
            raise NoTaxonomy("no reasons are stored yet: run `callwise reasons load FILE` or `callwise db upgrade`")
        run_id = _run_of(connection, current, wanted, now)
    settled: Counter[Settled | None] = Counter()
    after: UUID | None = None
    while True:
        rows, became = _queue_next(database, run_id, current, wanted, after=after, now=now)
        if not rows:
            return Queued(run_id, settled[None], settled[Settled.CARRIED], settled[Settled.KEPT])
        settled += became
        after = rows[-1].id


def _queue_next(
    database: Database, run_id: UUID, current: Taxonomy, wanted: Wanted, *, after: UUID | None, now: datetime
) -> tuple[Sequence[sa.Row[Any]], Counter[Settled | None]]:
    """Take the next calls behind the id `after` into the run, all of them or none; none are left at the end.

    Intake locks calls in an order of its own: where both wait for each other, PostgreSQL ends one of them, and this one
    begins again.
    """
    for tries_left in reversed(range(_TRIES)):
        try:
            with database.write() as connection:
                rows = _next_calls(connection, current, wanted, after)
                return rows, _queue(connection, run_id, rows, current, now) if rows else Counter()
        except TransientError:
            if not tries_left:
                raise
    raise AssertionError("the last try either returns or raises")


def settle(connection: sa.Connection, call_id: UUID, current: Taxonomy, *, now: datetime) -> Settled | None:
    """Do what can be done for a locked call without asking anybody; None where an engine has to be asked.

    A reason that a person gave is carried over to `current`, and left as it is where it has no counterpart there.
    """
    before = current_analysis(connection, call_id)
    if before is None or before["taxonomy_version"] == current.version:
        return Settled.THERE
    said = last_review(connection, call_id)
    if said is None:
        return None
    code = in_taxonomy(connection, said.after, current)
    if code is None:
        note_ended(connection, call_id, KEPT_BY_PERSON)
        return Settled.KEPT
    file_under(connection, before, code, current, now=now)
    return Settled.CARRIED


def stop(connection: sa.Connection, *, now: datetime) -> int:
    """Leave the rest of every run as it is; returns how many calls are not asked about any more.

    Answers that are on their way are still taken. The same wish takes the run up again.
    """
    is_in_work = sa.and_(job.c.due_at > now, job.c.attempt_count > 0, job.c.last_code.is_(None))
    ended = connection.execute(sa.delete(job).where(job.c.step == RECLASSIFY.name, ~is_in_work))
    connection.execute(
        sa.update(reclassification).where(reclassification.c.stopped_at.is_(None)).values(stopped_at=now)
    )
    return ended.rowcount


def note_ended(connection: sa.Connection, call_id: UUID, code: str) -> None:
    """Note why nothing came of asking anew about the call: the code of a failure, or KEPT_BY_PERSON."""
    connection.execute(
        sa.update(reclassified_call)
        .where(reclassified_call.c.call_id == call_id, reclassified_call.c.reclassification_id.in_(_open_runs()))
        .values(ended_code=code)
    )


def _open_runs() -> sa.Select[Any]:
    return sa.select(reclassification.c.id).where(reclassification.c.stopped_at.is_(None))


def _run_of(connection: sa.Connection, current: Taxonomy, wanted: Wanted, now: datetime) -> UUID:
    """The run of this wish under these reasons: the one there is, or a new one.

    What was wished under other reasons ends: whatever of it still waits is asked about under these.
    """
    connection.execute(
        sa.update(reclassification)
        .where(reclassification.c.stopped_at.is_(None), reclassification.c.taxonomy_version != current.version)
        .values(stopped_at=now)
    )
    same = sa.select(reclassification.c.id).where(
        reclassification.c.taxonomy_version == current.version,
        reclassification.c.since.is_not_distinct_from(wanted.since),
        reclassification.c.until.is_not_distinct_from(wanted.until),
        reclassification.c.only_reason == wanted.only_reason,
    )
    latest = same.order_by(reclassification.c.started_at.desc()).limit(1)
    found: UUID | None = connection.execute(latest).scalar_one_or_none()
    if found is not None:
        connection.execute(sa.update(reclassification).where(reclassification.c.id == found).values(stopped_at=None))
        return found
    run_id = uuid4()
    connection.execute(
        sa.insert(reclassification).values(
            id=run_id,
            taxonomy_version=current.version,
            started_at=now,
            since=wanted.since,
            until=wanted.until,
            only_reason=wanted.only_reason,
        )
    )
    return run_id


def _next_calls(
    connection: sa.Connection, current: Taxonomy, wanted: Wanted, after: UUID | None
) -> Sequence[sa.Row[Any]]:
    """The next calls behind the id `after`, locked: id, revision of the analysis, whether people have reviewed it."""
    asked = (
        waiting_calls(current, wanted)
        .add_columns(call_analysis.c.revision, is_reviewed().label("is_reviewed"))
        .order_by(call.c.id)
        .limit(CALLS_AT_ONCE)
    )
    if after is not None:
        asked = asked.where(call.c.id > after)
    return connection.execute(asked.with_for_update(of=call)).all()


def _queue(
    connection: sa.Connection, run_id: UUID, rows: Sequence[sa.Row[Any]], current: Taxonomy, now: datetime
) -> Counter[Settled | None]:
    """Take these calls into the run; says of how many what became."""
    item = insert(connection, reclassified_call)
    connection.execute(
        item.on_conflict_do_update(
            index_elements=["reclassification_id", "call_id"],
            set_={"before_revision": item.excluded.before_revision, "ended_code": None},
        ),
        [{"reclassification_id": run_id, "call_id": row.id, "before_revision": row.revision} for row in rows],
    )
    settled = {row.id: settle(connection, row.id, current, now=now) for row in rows if row.is_reviewed}
    waiting = [row.id for row in rows if settled.get(row.id) is None]
    if waiting:
        connection.execute(
            insert(connection, job).on_conflict_do_nothing(index_elements=["call_id"]),
            [jobs.first_job(call_id, now, step=RECLASSIFY, lane=Lane.BACKFILL) for call_id in waiting],
        )
    counts = Counter(settled.values())
    counts[None] = len(waiting)
    return counts
