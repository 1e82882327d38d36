"""Where the hand-over of calls stands, and what a person may do about it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.errors import CallwiseError
from calls.handover import Rules, State, first_state
from crm.access import Permission, Viewer
from crm.calls import NoSuchCall, see_call
from crm.corrections import approval_of
from crm.crm_links import Entity
from crm.database import insert
from crm.destinations import iso_moment
from crm.erased import what_is_gone
from crm.handover_tables import crm_link, handover, handover_destination
from crm.reviews import NotUnderstood
from crm.tables import call, call_analysis


class NoSuchDestination(CallwiseError):
    """Nothing of that name is configured."""

    code = "no_such_destination"


class NotApproved(CallwiseError):
    """The summary has to be approved before it goes to a CRM."""

    code = "not_approved"


@dataclass(frozen=True)
class Standing:
    """Where the hand-over of one call to one destination stands; `object_id` is its id there, once it has one."""

    destination: str
    kind: str
    state: State | None
    code: str | None
    due_at: datetime | None
    attempt_count: int
    sent_at: datetime | None
    sent_revision: int | None
    object_id: str | None
    asked_by: str
    is_paused: bool


@dataclass(frozen=True)
class FailedHandover:
    """One call that could not be handed over, and why."""

    call_id: UUID
    destination: str
    code: str | None
    detail: str | None


def standings(connection: sa.Connection, viewer: Viewer, call_id: UUID) -> list[Standing]:
    """Where the hand-over of the call stands, for each destination by name. Raises NoSuchCall."""
    see_call(connection, viewer, call_id)
    rows = connection.execute(
        sa.select(
            handover_destination.c.name,
            handover_destination.c.kind,
            handover_destination.c.paused_at,
            handover,
            crm_link.c.crm_object_id,
        )
        .select_from(handover_destination)
        .outerjoin(
            handover, sa.and_(handover.c.destination == handover_destination.c.name, handover.c.call_id == call_id)
        )
        .outerjoin(
            crm_link,
            sa.and_(
                crm_link.c.entity == Entity.CALL,
                crm_link.c.entity_id == call_id,
                crm_link.c.crm_system == handover_destination.c.name,
            ),
        )
        .order_by(handover_destination.c.name)
    )
    return [
        Standing(
            destination=row.name,
            kind=row.kind,
            state=State(row.state) if row.state else None,
            code=row.last_code,
            due_at=row.due_at if row.state == State.WAITING else None,
            attempt_count=row.attempt_count or 0,
            sent_at=row.sent_at,
            sent_revision=row.sent_revision,
            object_id=row.crm_object_id or None,
            asked_by=row.asked_by or "",
            is_paused=row.paused_at is not None,
        )
        for row in rows
    ]


def ask_for(
    connection: sa.Connection, viewer: Viewer, call_id: UUID, destination: str, rules: Rules, *, now: datetime
) -> State:
    """Let the call go to that destination, by the viewer's word, also where it was sent before or failed; returns where
    it stands then. A demo engine's result goes, too: a person has seen it.

    Raises NotAllowed, NoSuchCall, NoSuchDestination, NotUnderstood, and NotApproved where it has to be and is not.
    """
    viewer.require(Permission.HAND_OVER)
    see_call(connection, viewer, call_id)
    known = sa.select(handover_destination.c.name).where(handover_destination.c.name == destination)
    if connection.execute(known).first() is None:
        raise NoSuchDestination(f"nothing is called {destination} among what calls are handed over to")
    row = connection.execute(
        sa.select(call.c.modified_at, call.c.stage, call_analysis.c.id.label("analysis_id"))
        .outerjoin_from(call, call_analysis, sa.and_(call_analysis.c.call_id == call.c.id, call_analysis.c.is_current))
        .where(call.c.id == call_id)
    ).one_or_none()
    gone = what_is_gone(connection, call_id)
    if row is None or gone == "call":
        raise NoSuchCall(f"no call has the id {call_id}")
    if gone:
        raise NotUnderstood("the words of this call are not kept any more: a CRM keeps the summary that it has")
    told = first_state(
        stage=row.stage,
        is_sample=False,
        is_demo=False,
        is_approved=approval_of(connection, call_id) is not None,
        rules=rules,
    )
    if told is None or row.analysis_id is None:
        raise NotUnderstood("this call is not done: there is nothing to hand over")
    if told[0] is State.HELD:
        raise NotApproved("somebody has to approve this call's summary first")
    asked = {"state": State.WAITING, "seen_at": row.modified_at, "due_at": now, "asked_by": viewer.name}
    anew = asked | {
        "attempt_count": 0,
        "last_code": None,
        "last_detail": None,
        # Whoever is sending it now has lost it: two of the same do no harm, one that is lost does.
        "token": handover.c.token + 1,
    }
    new = insert(connection, handover).values(call_id=call_id, destination=destination, **asked)
    connection.execute(new.on_conflict_do_update(index_elements=["call_id", "destination"], set_=anew))
    # What was sent before may be gone there: the same is sent once more.
    connection.execute(
        sa.update(crm_link)
        .where(
            crm_link.c.entity == Entity.CALL,
            crm_link.c.entity_id == call_id,
            crm_link.c.crm_system == destination,
        )
        .values(payload_sha256=None)
    )
    return State.WAITING


def resume(connection: sa.Connection, viewer: Viewer, destination: str, *, now: datetime) -> int:
    """Let a paused destination go on, and give calls that failed there another go; returns how many those are.

    Raises NotAllowed and NoSuchDestination.
    """
    viewer.require(Permission.OPERATE)
    mine = handover_destination.c.name == destination
    anew = {"paused_at": None, "not_before": None, "failure_count": 0, "last_code": None, "last_detail": None}
    if not connection.execute(sa.update(handover_destination).where(mine).values(anew)).rowcount:
        raise NoSuchDestination(f"nothing is called {destination} among what calls are handed over to")
    return connection.execute(
        sa.update(handover)
        .where(handover.c.destination == destination, handover.c.state == State.FAILED)
        .values(state=State.WAITING, due_at=now, attempt_count=0)
    ).rowcount


def failed_handovers(connection: sa.Connection, *, limit: int = 20) -> list[FailedHandover]:
    """Calls that could not be handed over, the latest first."""
    rows = connection.execute(
        sa.select(handover.c.call_id, handover.c.destination, handover.c.last_code, handover.c.last_detail)
        .where(handover.c.state == State.FAILED)
        .order_by(handover.c.due_at.desc())
        .limit(limit)
    )
    return [FailedHandover(*row) for row in rows]


def standing_document(found: Standing) -> dict[str, Any]:
    """As the API and the command line tell it."""
    return {
        "destination": found.destination,
        "kind": found.kind,
        "state": found.state.value if found.state else None,
        "code": found.code,
        "due_at": iso_moment(found.due_at),
        "attempt_count": found.attempt_count,
        "sent_at": iso_moment(found.sent_at),
        "sent_revision": found.sent_revision,
        "object_id": found.object_id,
        "asked_by": found.asked_by,
        "is_paused": found.is_paused,
    }
