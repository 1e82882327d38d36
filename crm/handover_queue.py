"""Which calls are to go to which CRM.

The database holds the truth: a call that is done, or has changed since, is found by `call.modified_at`, so that nobody
who changes a call has to think of CRMs.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa

from calls.corrections import Field
from calls.handover import Rules, State, first_state
from calls.pipeline import Stage
from crm.corrections import is_approved
from crm.database import insert
from crm.erased import is_erased, words_are_gone
from crm.handover_tables import handover, handover_destination
from crm.reason_tables import review
from crm.tables import call, call_analysis, transcript

# A change is committed some time after the moment that it carries, and clocks differ.
OVERLAP = timedelta(minutes=10)
CALLS_AT_ONCE = 500

# Found by the index of what changed, and not by one of stages, which SQLite thinks better of: most calls are done.
_IS_DONE = sa.and_(call.c.finished_at.is_not(None), call.c.stage.concat("") == Stage.DONE)


def know_destinations(connection: sa.Connection, wanted: Iterable[tuple[str, str]], *, now: datetime) -> None:
    """Let these (name, kind) be known; a new one gets the calls that change from now on."""
    rows = [
        {"name": name, "kind": kind, "since": now, "looked_until": now, "failure_count": 0} for name, kind in wanted
    ]
    if rows:
        new = insert(connection, handover_destination).on_conflict_do_nothing(index_elements=["name"])
        connection.execute(new, rows)


def look(connection: sa.Connection, destination: str, rules: Rules, *, now: datetime) -> int:
    """Queue the calls that changed since the last look; returns how many were decided about, at most CALLS_AT_ONCE.

    Whoever looks at once waits for the other.
    """
    at = sa.select(handover_destination).where(handover_destination.c.name == destination).with_for_update()
    known = connection.execute(at).one()
    after = max(known.since, known.looked_until - OVERLAP)
    changed = connection.execute(_changed(destination).where(call.c.modified_at > after).limit(CALLS_AT_ONCE)).all()
    _decide(connection, destination, changed, rules, now)
    approved = _approved_since(connection, destination, after)
    if approved:
        _wake(connection, destination, approved, now)
    looked_until = now if len(changed) < CALLS_AT_ONCE else max(known.looked_until, changed[-1].modified_at)
    mine = handover_destination.c.name == destination
    connection.execute(sa.update(handover_destination).where(mine).values(looked_until=looked_until))
    return len(changed) + len(approved)


def queue_since(
    connection: sa.Connection, destination: str, since: datetime, rules: Rules, *, now: datetime, after: UUID | None
) -> tuple[int, UUID | None]:
    """Queue calls that happened since then, whenever they changed: at most CALLS_AT_ONCE of them behind the id `after`;
    returns how many were new to the destination, and the last id, None at the end.
    """
    asked = _with_analysis(destination).where(call.c.happened_at >= since, _IS_DONE).order_by(call.c.id)
    if after is not None:
        asked = asked.where(call.c.id > after)
    rows = connection.execute(asked.limit(CALLS_AT_ONCE)).all()
    new = [row for row in rows if row.seen_at is None]
    _decide(connection, destination, new, rules, now)
    return len(new), rows[-1].id if len(rows) == CALLS_AT_ONCE else None


def _with_analysis(destination: str) -> sa.Select[tuple[UUID, datetime, bool, bool, bool, datetime | None]]:
    return (
        sa.select(
            call.c.id,
            call.c.modified_at,
            call.c.is_sample,
            sa.or_(call_analysis.c.is_demo, sa.func.coalesce(transcript.c.is_demo, sa.false())).label("is_demo"),
            is_approved().label("is_approved"),
            handover.c.seen_at,
        )
        .join_from(call, call_analysis, sa.and_(call_analysis.c.call_id == call.c.id, call_analysis.c.is_current))
        .outerjoin(transcript, sa.and_(transcript.c.call_id == call.c.id, transcript.c.is_current))
        .outerjoin(handover, sa.and_(handover.c.call_id == call.c.id, handover.c.destination == destination))
        # Of what was erased, nothing is told to anybody; a summary that is not kept any more replaces none at a CRM.
        .where(~is_erased(), sa.or_(call.c.is_sample, ~words_are_gone()))
    )


def _changed(destination: str) -> sa.Select[tuple[UUID, datetime, bool, bool, bool, datetime | None]]:
    return (
        _with_analysis(destination)
        .where(
            _IS_DONE,
            call.c.is_sample.is_(False),
            sa.or_(handover.c.seen_at.is_(None), handover.c.seen_at < call.c.modified_at),
        )
        .order_by(call.c.modified_at)
    )


def _decide(
    connection: sa.Connection, destination: str, rows: Sequence[sa.Row[tuple[object, ...]]], rules: Rules, now: datetime
) -> None:
    decided = []
    for row in rows:
        told = first_state(
            stage=Stage.DONE,
            is_sample=row.is_sample,
            is_demo=row.is_demo,
            is_approved=row.is_approved,
            rules=rules,
        )
        if told is not None:
            decided.append(_row(row.id, destination, told, row.modified_at, now))
    if not decided:
        return
    new = insert(connection, handover)
    # What is being sent stays with its claim: its result sees that there is news.
    is_waiting = handover.c.state == State.WAITING
    goes_on = sa.and_(is_waiting, new.excluded.state == State.WAITING)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["call_id", "destination"],
            set_={
                "state": new.excluded.state,
                "seen_at": new.excluded.seen_at,
                "last_code": sa.case((goes_on, handover.c.last_code), else_=new.excluded.last_code),
                "due_at": sa.case((goes_on, handover.c.due_at), else_=new.excluded.due_at),
                "attempt_count": sa.case((goes_on, handover.c.attempt_count), else_=0),
            },
        ),
        decided,
    )


def _row(
    call_id: UUID, destination: str, told: tuple[State, str], seen_at: datetime, now: datetime
) -> dict[str, object]:
    state, code = told
    return {
        "call_id": call_id,
        "destination": destination,
        "state": state,
        "seen_at": seen_at,
        "due_at": now,
        "attempt_count": 0,
        "token": 0,
        "last_code": code or None,
        "asked_by": "",
    }


def _approved_since(connection: sa.Connection, destination: str, after: datetime) -> list[UUID]:
    """Held calls that somebody approved since then, and that stand as they were approved."""
    rows = connection.execute(
        sa.select(handover.c.call_id)
        .join_from(review, handover, handover.c.call_id == review.c.call_id)
        .join(call_analysis, sa.and_(call_analysis.c.call_id == review.c.call_id, call_analysis.c.is_current))
        .where(
            review.c.field == Field.APPROVAL,
            review.c.reviewed_at > after,
            review.c.revision == call_analysis.c.revision,
            handover.c.destination == destination,
            handover.c.state == State.HELD,
        )
        .distinct()
    )
    return list(rows.scalars())


def _wake(connection: sa.Connection, destination: str, call_ids: Sequence[UUID], now: datetime) -> None:
    connection.execute(
        sa.update(handover)
        .where(handover.c.destination == destination, handover.c.call_id.in_(call_ids))
        .values(state=State.WAITING, due_at=now, attempt_count=0, last_code=None, last_detail=None)
    )
