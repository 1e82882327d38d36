"""Questions to a language engine that may wait for a batch: put, found again, and forgotten once the call is done."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID, uuid4

import sqlalchemy as sa

from crm.batch_tables import batch_prompt, batch_question
from crm.database import insert

# A question that so many batches brought no answer to is asked directly.
MOST_MISSES = 3


@dataclass(frozen=True)
class KeptRow:
    """What became of one question."""

    answer: str | None
    is_sent: bool
    is_given_up: bool


@dataclass(frozen=True)
class NewQuestion:
    """A question as it is put: `body` and `messages` are JSON of the API's request."""

    key: str
    deployment: str
    body: str
    messages: str
    max_output_tokens: int


def find_question(connection: sa.Connection, key: str) -> KeptRow | None:
    """The question of that key; None where it was never put."""
    row = connection.execute(
        sa.select(batch_question.c.answer, batch_question.c.batch_id, batch_question.c.miss_count).where(
            batch_question.c.question_key == key
        )
    ).one_or_none()
    if row is None:
        return None
    is_sent = row.batch_id is not None
    return KeptRow(row.answer, is_sent, row.answer is None and not is_sent and row.miss_count >= MOST_MISSES)


def put_question(connection: sa.Connection, call_id: UUID, given: NewQuestion, *, now: datetime) -> None:
    """Leave a question for the next batch; one of its key that is there already stays as it is."""
    prompt_key = sha256(given.body.encode()).hexdigest()
    prompt = {"prompt_key": prompt_key, "body": given.body, "created_at": now}
    connection.execute(insert(connection, batch_prompt).values(prompt).on_conflict_do_nothing())
    row = {
        "id": uuid4(),
        "question_key": given.key,
        "call_id": call_id,
        "deployment": given.deployment,
        "prompt_key": prompt_key,
        "messages": given.messages,
        "max_output_tokens": given.max_output_tokens,
        "size_bytes": len(given.body.encode()) + len(given.messages.encode()),
        "asked_at": now,
        "send_at": now,
    }
    connection.execute(insert(connection, batch_question).values(row).on_conflict_do_nothing())


def forget_questions(connection: sa.Connection, call_id: UUID) -> None:
    """The call's analysis stands: its questions and answers go, but for rows whose price is still to come."""
    of_call = batch_question.c.call_id == call_id
    comes = sa.and_(batch_question.c.batch_id.is_not(None), batch_question.c.answer.is_(None))
    connection.execute(sa.update(batch_question).where(of_call, comes).values(messages=None))
    connection.execute(sa.delete(batch_question).where(of_call, ~comes))
