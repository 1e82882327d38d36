"""Retention: what has been kept long enough goes, the sound and the words each in their time, queue by queue."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.pipeline import TERMINAL_STAGES
from calls.recording import OWN_KINDS, own_key
from crm import jobs
from crm.batch_questions import forget_questions
from crm.bulk import among
from crm.database import insert
from crm.erased import doom, is_erased
from crm.erasing import WORK_MAY_LAST, Surroundings, erase_calls, forget_classifiers
from crm.erasing_rules import CORRECTED_WORDS, ROWS_OF_WORDS, blank_words
from crm.privacy import Place, is_behind
from crm.privacy_tables import sensitive_finding, upkeep
from crm.reason_tables import review
from crm.tables import call, call_analysis, heard_piece, metadata, queue, recording, transcript, utterance

_ENDED = [str(stage) for stage in sorted(TERMINAL_STAGES)]


@dataclass(frozen=True)
class Kept:
    """How long the calls of a queue are kept; None: for ever. `queue` None means every queue that is not in `others`,
    and calls without one.
    """

    queue: str | None
    others: tuple[str, ...]
    recordings: timedelta | None
    words: timedelta | None
    calls: timedelta | None


@dataclass(frozen=True)
class Portion:
    """How many of a portion went; `after` is where the next one begins, None behind the last."""

    count: int
    after: Place | None


def is_due(connection: sa.Connection, name: str, *, every: timedelta, now: datetime) -> bool:
    """Whether this work is to be done now, by whoever asks: nobody else is told so before `every` has passed."""
    made = insert(connection, upkeep).values(name=name, due_at=now).on_conflict_do_nothing()
    connection.execute(made)
    taken = connection.execute(
        sa.update(upkeep).where(upkeep.c.name == name, upkeep.c.due_at <= now).values(due_at=now + every)
    )
    return taken.rowcount == 1


def remove_recordings(
    connection: sa.Connection, kept: Kept, around: Surroundings, *, now: datetime, limit: int, after: Place | None
) -> Portion:
    """Have the sound of at most `limit` recordings deleted whose time is over. Their rows stay."""
    if kept.recordings is None:
        return Portion(0, None)
    rows = connection.execute(
        sa.select(call.c.happened_at, recording.c.id, recording.c.call_id, recording.c.bucket, recording.c.object_key)
        .join_from(recording, call, call.c.id == recording.c.call_id)
        .where(*_of(kept, kept.recordings, now), recording.c.removed_at.is_(None), ~recording.c.is_text)
        .where(is_behind(call.c.happened_at, recording.c.id, after) if after else sa.true())
        .order_by(call.c.happened_at, recording.c.id)
        .limit(limit)
    ).all()
    _remove(connection, rows, around, now)
    return _portion(rows, limit)


def remove_words(
    connection: sa.Connection, kept: Kept, around: Surroundings, *, now: datetime, limit: int, after: Place | None
) -> Portion:
    """Delete what was said, and what was written of it, of at most `limit` calls whose time is over.

    The customer, the reason, the outcome and the times stay.
    """
    if kept.words is None:
        return Portion(0, None)
    has_words = sa.exists().where(transcript.c.call_id == call.c.id, transcript.c.recording_id.is_not(None))
    rows = connection.execute(_oldest(kept, kept.words, now, limit, after).where(has_words).with_for_update()).all()
    if rows:
        clear_words(connection, [row.id for row in rows], around, now=now)
    return _portion(rows, limit)


def erase_over(
    connection: sa.Connection, kept: Kept, around: Surroundings, *, now: datetime, limit: int, after: Place | None
) -> Portion:
    """Erase at most `limit` calls of which nothing but the figures is to be kept any more."""
    if kept.calls is None:
        return Portion(0, None)
    rows = connection.execute(_oldest(kept, kept.calls, now, limit, after).where(~is_erased())).all()
    erase_calls(connection, [row.id for row in rows], around, cause="retention", now=now)
    return _portion(rows, limit)


def _oldest(
    kept: Kept, how_long: timedelta, now: datetime, limit: int, after: Place | None
) -> sa.Select[tuple[datetime, UUID]]:
    wanted = sa.select(call.c.happened_at, call.c.id).where(*_of(kept, how_long, now))
    if after is not None:
        wanted = wanted.where(is_behind(call.c.happened_at, call.c.id, after))
    return wanted.order_by(call.c.happened_at, call.c.id).limit(limit)


def _portion(rows: Sequence[Any], limit: int) -> Portion:
    return Portion(len(rows), (rows[-1].happened_at, rows[-1].id) if len(rows) == limit else None)


def clear_words(connection: sa.Connection, ids: Collection[UUID], around: Surroundings, *, now: datetime) -> None:
    """Delete the words of these calls, and the documents that they came as."""
    for call_id in ids:
        forget_questions(connection, call_id)
    held = sa.select(recording.c.id).where(among(connection, recording.c.call_id, ids))
    connection.execute(sa.delete(heard_piece).where(heard_piece.c.recording_id.in_(held)))
    for name in ROWS_OF_WORDS:
        table = metadata.tables[name]
        connection.execute(sa.delete(table).where(among(connection, table.c.call_id, ids)))
    of_words = (among(connection, review.c.call_id, ids), review.c.field.in_(CORRECTED_WORDS))
    connection.execute(sa.delete(review).where(*of_words))
    of_calls = sa.select(transcript.c.id).where(among(connection, transcript.c.call_id, ids))
    for table in (utterance, sensitive_finding):
        connection.execute(sa.delete(table).where(table.c.transcript_id.in_(of_calls)))
    for table in (call_analysis, transcript):
        # What is not current is history of words.
        connection.execute(sa.update(table).where(among(connection, table.c.call_id, ids)).values(**blank_words(table)))
        connection.execute(sa.delete(table).where(among(connection, table.c.call_id, ids), ~table.c.is_current))
    # By now the triggers have said it anew: there is nothing left to look at.
    connection.execute(sa.update(call).where(among(connection, call.c.id, ids)).values(needs_review=False))
    classifiers = forget_classifiers(connection, ids)
    doom(connection, [(around.bucket, around.classifier_key(version)) for version in classifiers], now=now)
    texts = connection.execute(
        sa.select(recording.c.id, recording.c.call_id, recording.c.bucket, recording.c.object_key).where(
            among(connection, recording.c.call_id, ids), recording.c.is_text, recording.c.removed_at.is_(None)
        )
    ).all()
    _remove(connection, texts, around, now)
    _touch(connection, ids)


def _of(kept: Kept, how_long: timedelta, now: datetime) -> list[sa.ColumnElement[bool]]:
    """Calls of the queue that have ended, are no generated history, and happened so long ago."""
    named = sa.select(queue.c.id)
    conditions = [call.c.happened_at < now - how_long, call.c.stage.in_(_ENDED), ~call.c.is_sample]
    if kept.queue is not None:
        conditions.append(call.c.queue_id.in_(named.where(queue.c.name == kept.queue)))
    elif kept.others:
        others = named.where(queue.c.name.in_(kept.others))
        conditions.append(sa.or_(call.c.queue_id.is_(None), call.c.queue_id.not_in(others)))
    return conditions


def _remove(connection: sa.Connection, rows: Sequence[Any], around: Surroundings, now: datetime) -> None:
    if not rows:
        return
    doom(connection, {(row.bucket, row.object_key) for row in rows}, now=now)
    copies = {(around.bucket, own_key(kind, row.id)) for row in rows for kind in OWN_KINDS}
    # Somebody may be making one at this moment: a page makes silenced copies, without a job.
    doom(connection, copies, now=now, again_at=now + WORK_MAY_LAST)
    connection.execute(
        sa.update(recording)
        .where(among(connection, recording.c.id, [row.id for row in rows]))
        .values(removed_at=now, playback_key="")
    )
    _touch(connection, {row.call_id for row in rows})


def _touch(connection: sa.Connection, ids: Collection[UUID]) -> None:
    # Not call.modified_at, by which a hand-over finds what to send: a CRM keeps the summary that it has.
    for call_id in ids:
        jobs.touch_call(connection, call_id)
