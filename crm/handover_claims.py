"""Who sends which call to which CRM now, and what came of it.

A claim counts the attempt before it is made and moves `due_at` to the end of its lease, so that a dead worker's call
becomes due by itself; a result is written only under the token of its claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from calls.handover import PAUSE_AFTER_FAILURES, State, next_attempt_s
from crm.crm_links import Entity, link
from crm.handover_tables import handover, handover_destination

MAX_DETAIL = 300


@dataclass(frozen=True)
class Claim:
    """The right to send one call to one destination until the lease ends; `attempt` counts from 1."""

    call_id: UUID
    destination: str
    token: int
    attempt: int
    seen_at: datetime
    # The person who asked for it; "" where nobody had to.
    asked_by: str = ""


def claim(connection: sa.Connection, destination: str, *, now: datetime, limit: int, lease: timedelta) -> list[Claim]:
    """Take at most `limit` calls whose turn it is, the longest-waiting first; none for a destination that waits."""
    is_open = sa.and_(
        handover_destination.c.paused_at.is_(None),
        sa.or_(handover_destination.c.not_before.is_(None), handover_destination.c.not_before <= now),
    )
    asked = sa.select(handover_destination.c.name).where(handover_destination.c.name == destination, is_open)
    if connection.execute(asked).first() is None:
        return []
    rows = connection.execute(
        sa.select(
            handover.c.call_id, handover.c.token, handover.c.attempt_count, handover.c.seen_at, handover.c.asked_by
        )
        .where(handover.c.destination == destination, handover.c.state == State.WAITING, handover.c.due_at <= now)
        .order_by(handover.c.due_at, handover.c.call_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    taken = [
        Claim(row.call_id, destination, row.token + 1, row.attempt_count + 1, row.seen_at, row.asked_by) for row in rows
    ]
    if taken:
        connection.execute(
            sa.update(handover)
            .where(handover.c.destination == destination, handover.c.call_id.in_([one.call_id for one in taken]))
            .values(attempt_count=handover.c.attempt_count + 1, token=handover.c.token + 1, due_at=now + lease)
        )
    return taken


def lock_destination(connection: sa.Connection, destination: str) -> None:
    """Lock what is known of a destination, before any call of it, as whoever looks for changed calls does: two that
    lock in another order would wait for each other.
    """
    mine = handover_destination.c.name == destination
    connection.execute(sa.select(handover_destination.c.name).where(mine).with_for_update())


def note_sent(
    connection: sa.Connection, held: Claim, object_id: str, payload_sha256: str, revision: int, *, now: datetime
) -> bool:
    """Note that the CRM has the call, under this id; False for a claim that was lost, of which nothing is kept.

    A call that changed meanwhile is sent again.
    """
    is_news = handover.c.seen_at > held.seen_at
    # A decision that it is not to go, made meanwhile, stands, though this once it went.
    stands = handover.c.state != State.WAITING
    done = connection.execute(
        sa.update(handover)
        .where(*_held(held))
        .values(
            state=sa.case((stands, handover.c.state), (is_news, State.WAITING), else_=State.SENT),
            due_at=now,
            attempt_count=0,
            last_code=None,
            last_detail=None,
            sent_at=now,
            sent_revision=revision,
        )
    )
    if not done.rowcount:
        return False
    link(connection, Entity.CALL, held.call_id, held.destination, object_id, payload_sha256=payload_sha256, now=now)
    mine = handover_destination.c.name == held.destination
    well = {"failure_count": 0, "not_before": None, "last_code": None, "last_detail": None, "last_sent_at": now}
    connection.execute(sa.update(handover_destination).where(mine).values(well))
    return True


def note_unchanged(connection: sa.Connection, held: Claim, revision: int, *, now: datetime) -> None:
    """The CRM has this very payload already: nothing was sent."""
    is_news = handover.c.seen_at > held.seen_at
    connection.execute(
        sa.update(handover)
        .where(*_in_turn(held))
        .values(
            state=sa.case((is_news, State.WAITING), else_=State.SENT),
            due_at=now,
            attempt_count=0,
            last_code=None,
            last_detail=None,
            sent_revision=revision,
        )
    )


def note_other_state(connection: sa.Connection, held: Claim, state: State, code: str) -> None:
    """It is not to be sent, as it turned out: it is held, or left."""
    values = {"state": state, "last_code": code, "last_detail": None, "attempt_count": 0}
    connection.execute(sa.update(handover).where(*_in_turn(held)).values(values))


def note_gone(connection: sa.Connection, held: Claim) -> None:
    """The call has no analysis any more: it is found again when it has one."""
    connection.execute(sa.delete(handover).where(*_held(held)))


def note_failed(
    connection: sa.Connection, held: Claim, code: str, detail: str, *, is_final: bool, now: datetime
) -> None:
    """Note that this call failed: it is tried again in its time, or left to a person where that cannot help."""
    wait_s = None if is_final else next_attempt_s(held.attempt)
    values: dict[str, object] = {"last_code": code, "last_detail": detail[:MAX_DETAIL] or None}
    if wait_s is None:
        values |= {"state": State.FAILED, "due_at": now}
    else:
        values |= {"due_at": now + timedelta(seconds=wait_s)}
    connection.execute(sa.update(handover).where(*_in_turn(held)).values(values))


def put_back(connection: sa.Connection, held: Sequence[Claim], code: str, detail: str, *, not_before: datetime) -> None:
    """Nothing is wrong with these calls of one destination: they wait, uncounted, and it takes no others before."""
    for one in held:
        values = {"due_at": not_before, "attempt_count": one.attempt - 1, "last_code": code}
        connection.execute(sa.update(handover).where(*_in_turn(one)).values(values))
    if held:
        mine = handover_destination.c.name == held[0].destination
        told = {"not_before": not_before, "last_code": code, "last_detail": detail[:MAX_DETAIL] or None}
        connection.execute(sa.update(handover_destination).where(mine).values(told))


def count_failure(
    connection: sa.Connection, destination: str, code: str, detail: str, *, pauses: bool = False, now: datetime
) -> bool:
    """One more request of which nothing came; returns whether the destination waits for a person now.

    The last one that is borne pauses it, or this one with `pauses`.
    """
    mine = handover_destination.c.name == destination
    count = connection.execute(
        sa.update(handover_destination)
        .where(mine)
        .values(
            failure_count=handover_destination.c.failure_count + 1,
            last_code=code,
            last_detail=detail[:MAX_DETAIL] or None,
        )
        .returning(handover_destination.c.failure_count)
    ).scalar_one()
    if not pauses and count < PAUSE_AFTER_FAILURES:
        return False
    connection.execute(
        sa.update(handover_destination).where(mine, handover_destination.c.paused_at.is_(None)).values(paused_at=now)
    )
    return True


def _held(held: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        handover.c.call_id == held.call_id,
        handover.c.destination == held.destination,
        handover.c.token == held.token,
    )


def _in_turn(held: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    return (*_held(held), handover.c.state == State.WAITING)
