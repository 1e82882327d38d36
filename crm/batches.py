"""The batches that questions make: gathered, sent, and the answers that they brought.

Answers are text here: what they say is the engines' business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.errors import InBatch
from calls.money import Charge
from crm.batch_questions import MOST_MISSES
from crm.batch_tables import batch_prompt, batch_question, language_batch
from crm.money import note_charge
from crm.tables import job

SENDING, OPEN, ENDED = "sending", "open", "ended"
# What people said must not lie here for ever where a call failed and nobody tried it again.
KEPT_FOR = timedelta(days=30)
UNUSED_FOR = timedelta(days=1)


@dataclass(frozen=True)
class Limits:
    """What one batch may hold, and when it is worth sending: when its oldest question has waited until `ripe_before`,
    or at `full_count`.
    """

    max_count: int
    max_bytes: int
    full_count: int
    ripe_before: datetime


@dataclass(frozen=True)
class BatchRow:
    """A batch that has not ended."""

    id: UUID
    deployment: str
    state: str
    created_at: datetime
    input_file_id: str | None
    remote_id: str | None


@dataclass(frozen=True)
class Gathered:
    """Questions that could go into one batch: their ids, their sizes and the room that their answers may take."""

    ids: Sequence[UUID]
    size_bytes: Sequence[int]
    max_output_tokens: Sequence[int]


def gather(connection: sa.Connection, deployment: str, limits: Limits, *, now: datetime) -> Gathered | None:
    """The oldest unsent questions of a deployment that make one batch; None while it is not worth sending.

    Whoever gathers does so alone until the transaction ends.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE language_batch IN SHARE ROW EXCLUSIVE MODE")
    rows = connection.execute(
        sa.select(
            batch_question.c.id,
            batch_question.c.size_bytes,
            batch_question.c.max_output_tokens,
            batch_question.c.asked_at,
        )
        .where(
            batch_question.c.deployment == deployment,
            batch_question.c.batch_id.is_(None),
            batch_question.c.answer.is_(None),
            batch_question.c.messages.is_not(None),
            batch_question.c.miss_count < MOST_MISSES,
            batch_question.c.send_at <= now,
        )
        .order_by(batch_question.c.send_at)
        .limit(limits.max_count)
    ).all()
    if not rows or (len(rows) < limits.full_count and min(row.asked_at for row in rows) > limits.ripe_before):
        return None
    taken: list[Any] = []
    size = 0
    for row in rows:
        size += row.size_bytes
        if size > limits.max_bytes and taken:
            break
        taken.append(row)
    return Gathered(
        [row.id for row in taken], [row.size_bytes for row in taken], [row.max_output_tokens for row in taken]
    )


def begin_batch(
    connection: sa.Connection,
    deployment: str,
    question_ids: Sequence[UUID],
    *,
    reserved_microusd: int | None,
    now: datetime,
    held_until: datetime,
) -> BatchRow:
    """Make a batch of these questions, held by whoever begins it, before the server hears of it."""
    batch_id = uuid4()
    connection.execute(
        sa.insert(language_batch).values(
            id=batch_id,
            deployment=deployment,
            state=SENDING,
            created_at=now,
            question_count=len(question_ids),
            reserved_microusd=reserved_microusd,
            held_until=held_until,
        )
    )
    for start in range(0, len(question_ids), 500):
        some = question_ids[start : start + 500]
        connection.execute(sa.update(batch_question).where(batch_question.c.id.in_(some)).values(batch_id=batch_id))
    return BatchRow(batch_id, deployment, SENDING, now, None, None)


def unended(connection: sa.Connection) -> list[BatchRow]:
    """Every batch that has not ended, oldest first."""
    rows = connection.execute(
        sa.select(*(language_batch.c[name] for name in BatchRow.__dataclass_fields__))
        .where(language_batch.c.state != ENDED)
        .order_by(language_batch.c.created_at, language_batch.c.id)
    )
    return [BatchRow(**row._mapping) for row in rows]


def hold(connection: sa.Connection, batch_id: UUID, *, now: datetime, until: datetime) -> BatchRow | None:
    """Take care of a batch until then, alone, and say how it stands now; None where somebody else does, or it ended."""
    free = sa.or_(language_batch.c.held_until.is_(None), language_batch.c.held_until <= now)
    row = connection.execute(
        sa.update(language_batch)
        .where(language_batch.c.id == batch_id, language_batch.c.state != ENDED, free)
        .values(held_until=until)
        .returning(*(language_batch.c[name] for name in BatchRow.__dataclass_fields__))
    ).one_or_none()
    return None if row is None else BatchRow(**row._mapping)


def note_batch(connection: sa.Connection, batch_id: UUID, **facts: Any) -> None:
    """Write down what became known of a batch: columns of `language_batch`."""
    connection.execute(sa.update(language_batch).where(language_batch.c.id == batch_id).values(**facts))


def lines_of(connection: sa.Connection, batch_id: UUID) -> list[Any]:
    """The questions of a batch for its file: id, body, messages, max_output_tokens; those that nobody needs any more
    are left out.
    """
    rows = connection.execute(
        sa.select(
            batch_question.c.id, batch_prompt.c.body, batch_question.c.messages, batch_question.c.max_output_tokens
        )
        .join_from(batch_question, batch_prompt, batch_prompt.c.prompt_key == batch_question.c.prompt_key)
        .where(batch_question.c.batch_id == batch_id, batch_question.c.messages.is_not(None))
        .order_by(batch_question.c.asked_at, batch_question.c.id)
    )
    return list(rows)


def book(
    connection: sa.Connection, batch_id: UUID, question_id: UUID, answer: str, charge: Charge | None, *, now: datetime
) -> bool:
    """Keep the answer to a question and write its charge, together and once; False where that was done before."""
    row = connection.execute(
        sa.update(batch_question)
        .where(
            batch_question.c.id == question_id,
            batch_question.c.batch_id == batch_id,
            batch_question.c.answer.is_(None),
        )
        # Of what nobody needs any more, such as a question about a call that was erased, the price alone is kept.
        .values(answer=sa.case((batch_question.c.messages.is_(None), ""), else_=answer))
        .returning(batch_question.c.call_id)
    ).one_or_none()
    if row is None:
        return False
    if charge is not None:
        note_charge(connection, row.call_id, charge, now=now)
    return True


def end_batch(
    connection: sa.Connection,
    batch_id: UUID,
    *,
    now: datetime,
    failed_code: str | None,
    again_at: datetime,
    counts: bool = True,
) -> int:
    """Nothing more comes of the batch: what it left unanswered is for the next one, from `again_at` on.

    With `counts` it is held against these questions, and MOST_MISSES make one that is given up. Returns how many there
    were. Rows of questions that nobody needs any more go.
    """
    connection.execute(
        sa.delete(batch_question).where(batch_question.c.batch_id == batch_id, batch_question.c.messages.is_(None))
    )
    missed = connection.execute(
        sa.update(batch_question)
        .where(batch_question.c.batch_id == batch_id, batch_question.c.answer.is_(None))
        .values(batch_id=None, miss_count=batch_question.c.miss_count + int(counts), send_at=again_at)
    ).rowcount
    note_batch(
        connection, batch_id, state=ENDED, ended_at=now, failed_code=failed_code, held_until=None, reserved_microusd=0
    )
    return missed


def wake_answered(connection: sa.Connection, *, now: datetime, sends_to: Sequence[str]) -> int:
    """Let calls go on whose questions all have their answers, or will get none from a batch; returns how many.

    `sends_to` are the deployments that new batches are sent to.
    """
    will_be_sent = sa.and_(batch_question.c.miss_count < MOST_MISSES, batch_question.c.deployment.in_(sends_to))
    waits = (
        sa.select(batch_question.c.id)
        .where(
            batch_question.c.call_id == job.c.call_id,
            batch_question.c.answer.is_(None),
            batch_question.c.messages.is_not(None),
            sa.or_(batch_question.c.batch_id.is_not(None), will_be_sent),
        )
        .exists()
    )
    return connection.execute(
        sa.update(job)
        .where(job.c.last_code == InBatch.code, job.c.attempt_count == 0, job.c.due_at > now, ~waits)
        .values(due_at=now)
    ).rowcount


def is_in_use(connection: sa.Connection) -> bool:
    """Whether any question waits for a batch, or for its answer, or any batch has not ended."""
    questions = sa.select(sa.literal(1)).select_from(batch_question)
    unended_ones = sa.select(sa.literal(1)).select_from(language_batch).where(language_batch.c.state != ENDED)
    return connection.execute(questions.union_all(unended_ones).limit(1)).first() is not None


def sweep_old(connection: sa.Connection, *, now: datetime) -> None:
    """Remove prompts that no question refers to any more, and questions that nobody came back for."""
    is_under_way = sa.exists().where(language_batch.c.id == batch_question.c.batch_id, language_batch.c.state != ENDED)
    connection.execute(
        sa.delete(batch_question).where(batch_question.c.asked_at < now - KEPT_FOR, sa.not_(is_under_way))
    )
    used = sa.select(batch_question.c.id).where(batch_question.c.prompt_key == batch_prompt.c.prompt_key).exists()
    connection.execute(sa.delete(batch_prompt).where(batch_prompt.c.created_at < now - UNUSED_FOR, ~used))


def batch_counts(connection: sa.Connection) -> dict[str, Any]:
    """For `status`: batches under way, questions that wait to be sent, and such as wait for their answer."""
    rows = connection.execute(
        sa.select(batch_question.c.batch_id.is_not(None).label("is_sent"), sa.func.count().label("questions"))
        .where(batch_question.c.answer.is_(None))
        .group_by(batch_question.c.batch_id.is_not(None))
    )
    questions = {bool(row.is_sent): row.questions for row in rows}
    open_count = connection.execute(sa.select(sa.func.count()).where(language_batch.c.state != ENDED)).scalar_one()
    failed = connection.execute(
        sa.select(language_batch.c.failed_code)
        .where(language_batch.c.failed_code.is_not(None))
        .order_by(language_batch.c.created_at.desc())
        .limit(1)
    ).scalar_one_or_none()
    return {
        "under_way": open_count,
        "unsent_questions": questions.get(False, 0),
        "unanswered_questions": questions.get(True, 0),
        "last_failed_code": failed,
    }
