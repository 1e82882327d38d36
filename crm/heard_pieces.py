"""Answers of a speech API that were paid for, kept until the transcript that they are for is written."""

from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from crm.database import insert
from crm.tables import call, heard_piece, queue

# What people said must not lie here for ever where a call failed and nobody tried it again.
KEPT_FOR = timedelta(days=30)


def kept_answer(connection: sa.Connection, recording_id: UUID, key: str) -> str | None:
    """The answer that was kept for this piece of the recording; None where there is none."""
    kept: str | None = connection.execute(
        sa.select(heard_piece.c.answer).where(
            heard_piece.c.recording_id == recording_id, heard_piece.c.piece_key == key
        )
    ).scalar_one_or_none()
    return kept


def keep_answer(connection: sa.Connection, recording_id: UUID, key: str, answer: str, *, now: datetime) -> None:
    """Keep the answer to one piece; the first one stays where two workers asked."""
    row = {"recording_id": recording_id, "piece_key": key, "answer": answer, "created_at": now}
    connection.execute(insert(connection, heard_piece).values(row).on_conflict_do_nothing())


def forget_answers(connection: sa.Connection, recording_id: UUID, *, now: datetime) -> None:
    """Remove the recording's answers, and those of any other that are older than KEPT_FOR."""
    connection.execute(
        sa.delete(heard_piece).where(
            sa.or_(heard_piece.c.recording_id == recording_id, heard_piece.c.created_at < now - KEPT_FOR)
        )
    )


def queue_of(connection: sa.Connection, call_id: UUID) -> str | None:
    """The name of the queue that the call came through; None where nobody said."""
    name: str | None = connection.execute(
        sa.select(queue.c.name).join_from(call, queue, call.c.queue_id == queue.c.id).where(call.c.id == call_id)
    ).scalar_one_or_none()
    return name
