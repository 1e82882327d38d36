"""Handing calls over from the pages: the part on a call's page, and what is paused on the operations page."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Form
from starlette.responses import RedirectResponse, Response

from crm.access import Permission, Viewer
from crm.audit import Action, note
from crm.corrections import Approval, approval_of, approve
from crm.destinations import destinations_document
from crm.handover_queue import know_destinations
from crm.handover_status import (
    FailedHandover,
    NoSuchDestination,
    NotApproved,
    Standing,
    ask_for,
    failed_handovers,
    resume,
    standings,
)
from web.auth import CheckedForm, PageVisitor, needs
from web.errors import CannotBeDone, NotThere
from web.site import OurSite, Site

router = APIRouter(include_in_schema=False)
Destination = Annotated[str, Form(max_length=40, pattern=r"^[a-z][a-z0-9_-]*$")]


@dataclass(frozen=True)
class HandoverPart:
    """What a call's page shows of its hand-over: nothing where nothing is configured."""

    standings: tuple[Standing, ...]
    needs_approval: bool
    approval: Approval | None

    @property
    def is_waiting_for_approval(self) -> bool:
        """Whether somebody has to approve the summary before it may go."""
        return self.needs_approval and self.approval is None


@dataclass(frozen=True)
class OperationsPart:
    """What the operations page shows: each destination as `destinations_document` tells it, and the latest failures."""

    destinations: tuple[dict[str, object], ...]
    failed: tuple[FailedHandover, ...]


def call_part(connection: sa.Connection, site: Site, viewer: Viewer, call_id: UUID) -> HandoverPart:
    """For the page of this call. Raises NoSuchCall."""
    chosen = site.wiring.settings.handover
    configured = site.wiring.handovers.places if chosen.is_configured else {}
    if not configured:
        return HandoverPart((), chosen.needs_approval, None)
    known = {one.destination: one for one in standings(connection, viewer, call_id)}
    # One that no worker has looked at yet is shown all the same.
    shown = [
        known.get(name, Standing(name, place.kind, None, None, None, 0, None, None, None, "", is_paused=False))
        for name, place in configured.items()
    ]
    return HandoverPart(tuple(shown), chosen.needs_approval, approval_of(connection, call_id))


def operations_part(connection: sa.Connection) -> OperationsPart:
    """For the operations page."""
    return OperationsPart(tuple(destinations_document(connection)), tuple(failed_handovers(connection, limit=5)))


@router.post("/calls/{call_id}/handover", dependencies=[Depends(needs(Permission.HAND_OVER)), CheckedForm])
def hand_over(
    *,
    site: OurSite,
    visitor: PageVisitor,
    call_id: UUID,
    destination: Destination,
    revision: Annotated[int, Form(ge=0)],
    approves: Annotated[bool, Form()] = False,
) -> Response:
    """Let the call go to a destination; with `approves`, its summary is approved as it was looked at."""
    handovers = site.wiring.handovers
    viewer, now = visitor.viewer, site.clock()
    with site.wiring.database.write() as connection:
        if approves:
            approve(connection, viewer, call_id, revision, now=now)
        kinds = [(place.name, place.kind) for place in handovers.places.values()]
        know_destinations(connection, kinds, now=now)
        try:
            ask_for(connection, viewer, call_id, destination, handovers.rules, now=now)
        except (NoSuchDestination, NotApproved) as error:
            raise CannotBeDone(error.detail, code=error.code) from None
        note(connection, viewer, Action.HAND_OVER, call_id=call_id, detail=destination, now=now)
    return RedirectResponse(f"/calls/{call_id}#handover", 303)


@router.post("/operations/handover", dependencies=[Depends(needs(Permission.OPERATE)), CheckedForm])
def resume_destination(site: OurSite, visitor: PageVisitor, code: Destination) -> Response:
    """Let a paused destination go on; `code` is its name."""
    with site.wiring.database.write() as connection:
        try:
            resume(connection, visitor.viewer, code, now=site.clock())
        except NoSuchDestination as error:
            raise NotThere(error.detail, code=error.code) from None
        note(connection, visitor.viewer, Action.HAND_OVER, detail=f"resumed {code}", now=site.clock())
    return RedirectResponse("/operations", 303)
