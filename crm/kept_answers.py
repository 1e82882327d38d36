"""Answers to writes that came with an idempotency key: the same write again gets the same answer, and is not done anew.

A key belongs to one caller and one request. Its claim stands before the work begins; whoever sends the same meanwhile
is told to wait. A claim whose process died may be taken again after a while: the writes themselves bear a repetition.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from calls.errors import CallwiseError
from crm.database import insert
from crm.tables import UtcDateTime, metadata

KEPT_FOR = timedelta(hours=24)
# No write takes so long.
CLAIM_STANDS_FOR = timedelta(minutes=5)

kept_answer = sa.Table(
    "kept_answer",
    metadata,
    # A hash of who asked and what they may do: with other rights, it is another caller.
    sa.Column("caller", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    # Of method, path and body, under a secret.
    sa.Column("request_hash", sa.Text, nullable=False),
    sa.Column("claimed_at", UtcDateTime, nullable=False, index=True),
    # NULL while it is being worked on.
    sa.Column("status", sa.SmallInteger),
    sa.Column("body", sa.Text),
)


class KeyReused(CallwiseError):
    """The key came with another request before."""

    code = "idempotency_key_reused"


class StillWorking(CallwiseError):
    """The same request is being worked on at this moment."""

    code = "still_working"


@dataclass(frozen=True)
class KeptAnswer:
    """An answer that was given before."""

    status: int
    body: str


def claim(connection: sa.Connection, caller: str, key: str, request_hash: str, *, now: datetime) -> KeptAnswer | None:
    """Take the key for this request; the answer where it was answered already, None where it is to be worked on.

    Raises KeyReused or StillWorking.
    """
    connection.execute(sa.delete(kept_answer).where(kept_answer.c.claimed_at < now - KEPT_FOR))
    row = {"caller": caller, "key": key, "request_hash": request_hash, "claimed_at": now}
    taken = connection.execute(
        insert(connection, kept_answer).values(row).on_conflict_do_nothing().returning(kept_answer.c.key)
    ).one_or_none()
    if taken is not None:
        return None
    known = connection.execute(sa.select(kept_answer).where(*_of(caller, key)).with_for_update()).one()
    if known.request_hash != request_hash:
        raise KeyReused("this idempotency key came with another request before: use a key for one request only")
    if known.status is not None:
        return KeptAnswer(known.status, known.body)
    if known.claimed_at > now - CLAIM_STANDS_FOR:
        raise StillWorking("the same request is being worked on: ask again in a moment")
    connection.execute(sa.update(kept_answer).where(*_of(caller, key)).values(claimed_at=now))
    return None


def keep(connection: sa.Connection, caller: str, key: str, answer: KeptAnswer) -> None:
    """This is the answer to what the key was claimed for."""
    kept = sa.update(kept_answer).where(*_of(caller, key)).values(status=answer.status, body=answer.body)
    connection.execute(kept)


def release(connection: sa.Connection, caller: str, key: str) -> None:
    """Nothing was done: the key may be used again."""
    connection.execute(sa.delete(kept_answer).where(*_of(caller, key), kept_answer.c.status.is_(None)))


def _of(caller: str, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return kept_answer.c.caller == caller, kept_answer.c.key == key
