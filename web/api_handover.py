"""Handing calls over by the API: a call as each CRM takes it, where its hand-over stands, and what is sent to where."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import Field
from starlette.responses import Response

from calls.crm_payloads import MAPPERS
from calls.handover import State, payload_hash
from crm.access import Permission
from crm.audit import Action, note
from crm.destinations import destinations_document
from crm.handover import call_link, handed_call, ids_in
from crm.handover_queue import know_destinations
from crm.handover_status import (
    NoSuchDestination,
    NotApproved,
    ask_for,
    resume,
    standing_document,
    standings,
)
from web.api_models import CALL_ID, MOMENT, Model, example
from web.api_route import BEARS_KEY, ApiRoute, answer
from web.auth import ApiViewer, api_viewer, needs
from web.errors import CannotBeDone, NotThere
from web.problems import answers
from web.site import OurSite

router = APIRouter(prefix="/api/v1", tags=["hand-over"], dependencies=[Depends(api_viewer)], route_class=ApiRoute)

# One for each mapper, so that the document of the API names them.
System = StrEnum("System", {name.replace("-", "_").upper(): name for name in MAPPERS})  # type: ignore[misc]
DestinationName = Annotated[
    str,
    Path(pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="A destination: salesforce, hubspot, or a webhook's name."),
]
_STANDING = {
    "destination": "salesforce",
    "kind": "salesforce",
    "state": "sent",
    "code": None,
    "due_at": None,
    "attempt_count": 0,
    "sent_at": MOMENT,
    "sent_revision": 2,
    "object_id": "00T5g00000AbCdEEAV",
    "asked_by": "",
    "is_paused": False,
}


class CrmPayload(Model):
    """A call as a CRM takes it."""

    model_config = example(
        {
            "system": "salesforce",
            "entity": "Task",
            "fields": {
                "Subject": "Dishwasher has not arrived",
                "Status": "Completed",
                "TaskSubtype": "Call",
                "ActivityDate": "2026-03-20",
                "CallType": "Inbound",
                "CallDurationInSeconds": 312,
                "CallDisposition": "Delivery status: Follow-up agreed",
            },
            "missing": [],
            "read_only": [],
            "sha256": "9f2c1c0c5d0f5f3f7d6f8e3b7d1f2a4c6b8e9d0a1b2c3d4e5f60718293a4b5c6",
            "object_id": None,
        }
    )

    system: str
    entity: str = Field(description="What the CRM calls it.")
    fields: dict[str, Any] = Field(description="In the CRM's own units: HubSpot's milliseconds, Dynamics' minutes.")
    missing: list[str] = Field(description="What the CRM asks for and nobody knows.")
    read_only: list[str] = Field(description="Of `fields`, what the CRM's own functions write alone.")
    sha256: str
    object_id: str | None = Field(description="What the call is called there, once it was handed over.")


class CallStanding(Model):
    """Where the hand-over of a call to one destination stands; `state` is null where it was never queued."""

    model_config = example(_STANDING)

    destination: str
    kind: str
    state: State | None
    code: str | None
    due_at: datetime | None
    attempt_count: int
    sent_at: datetime | None
    sent_revision: int | None
    object_id: str | None
    asked_by: str = Field(description="The person who asked for it; empty where nobody had to.")
    is_paused: bool


class CallStandings(Model):
    """Where the hand-over of a call stands, for each destination."""

    model_config = example({"id": CALL_ID, "destinations": [_STANDING]})

    id: UUID
    destinations: list[CallStanding]


class DestinationDocument(Model):
    """What is known of one destination; `calls` counts them by state."""

    name: str
    kind: str
    calls: dict[str, int]
    is_paused: bool
    paused_at: datetime | None
    not_before: datetime | None
    failure_count: int = Field(description="Failures since the last success; ten pause it.")
    last_code: str | None
    last_detail: str | None
    last_sent_at: datetime | None
    since: datetime


class DestinationList(Model):
    """Everything that calls are handed over to."""

    model_config = example(
        {
            "destinations": [
                {
                    "name": "salesforce",
                    "kind": "salesforce",
                    "calls": {"waiting": 2, "held": 0, "sent": 812, "failed": 1, "left": 0},
                    "is_paused": False,
                    "paused_at": None,
                    "not_before": None,
                    "failure_count": 0,
                    "last_code": None,
                    "last_detail": None,
                    "last_sent_at": MOMENT,
                    "since": MOMENT,
                }
            ]
        }
    )

    destinations: list[DestinationDocument]


class Resumed(Model):
    """The destination goes on, and so many calls that had failed get another go."""

    model_config = example({"name": "salesforce", "retried": 1})

    name: str
    retried: int


@router.get(
    "/calls/{call_id}/crm/{system}",
    dependencies=[Depends(needs(Permission.READ_CALLS))],
    responses=answers(CrmPayload, 304, 404, 409),
)
def payload(site: OurSite, viewer: ApiViewer, call_id: UUID, system: System) -> Response:
    """The call as that CRM takes it, in the words that the caller may read. Nothing is sent anywhere."""
    handovers = site.wiring.handovers
    with site.wiring.database.read() as connection:
        handed = handed_call(
            connection, viewer, call_id, find=site.wiring.redaction, page_url=handovers.page_url(call_id)
        )
        destination = str(system).partition("-")[0]
        told = handovers.payload(str(system), handed.call, ids_in(connection, handed, destination))
        known = call_link(connection, call_id, destination)
    return answer(
        {
            "system": told.system,
            "entity": told.entity,
            "fields": dict(told.fields),
            "missing": list(told.missing),
            "read_only": list(told.read_only),
            "sha256": payload_hash(told.fields),
            "object_id": known.object_id if known else None,
        }
    )


@router.post(
    "/calls/{call_id}/handover/{destination}",
    status_code=202,
    dependencies=[Depends(needs(Permission.HAND_OVER)), BEARS_KEY],
    responses=answers(CallStanding, 400, 404, 409, status=202),
)
def hand_over(site: OurSite, viewer: ApiViewer, call_id: UUID, destination: DestinationName) -> Response:
    """Let the call go to that destination, also where it was sent before or failed; the workers send it at once."""
    handovers = site.wiring.handovers
    with site.wiring.database.write() as connection:
        kinds = [(place.name, place.kind) for place in handovers.places.values()]
        know_destinations(connection, kinds, now=site.clock())
        try:
            ask_for(connection, viewer, call_id, destination, handovers.rules, now=site.clock())
        except (NoSuchDestination, NotApproved) as error:
            raise CannotBeDone(error.detail, code=error.code) from None
        note(connection, viewer, Action.HAND_OVER, call_id=call_id, detail=destination, now=site.clock())
        [standing] = [one for one in standings(connection, viewer, call_id) if one.destination == destination]
    return answer(standing_document(standing), 202)


@router.get(
    "/calls/{call_id}/handover",
    dependencies=[Depends(needs(Permission.READ_CALLS))],
    responses=answers(CallStandings, 304, 404),
)
def call_standings(site: OurSite, viewer: ApiViewer, call_id: UUID) -> Response:
    """Where the hand-over of the call stands."""
    with site.wiring.database.read() as connection:
        found = standings(connection, viewer, call_id)
    return answer({"id": str(call_id), "destinations": [standing_document(one) for one in found]})


@router.get("/handover", dependencies=[Depends(needs(Permission.OPERATE))], responses=answers(DestinationList, 304))
def destinations(site: OurSite) -> Response:
    """Everything that calls are handed over to, and how many calls stand where."""
    with site.wiring.database.read() as connection:
        return answer({"destinations": destinations_document(connection)})


@router.post(
    "/handover/{destination}/resume",
    dependencies=[Depends(needs(Permission.OPERATE)), BEARS_KEY],
    responses=answers(Resumed, 400, 404, 409),
)
def resume_destination(site: OurSite, viewer: ApiViewer, destination: DestinationName) -> Response:
    """Let a paused destination go on; calls that failed there are tried anew."""
    with site.wiring.database.write() as connection:
        try:
            retried = resume(connection, viewer, destination, now=site.clock())
        except NoSuchDestination as error:
            raise NotThere(error.detail, code=error.code) from None
        note(connection, viewer, Action.HAND_OVER, detail=f"resumed {destination}", now=site.clock())
    return answer({"name": destination, "retried": retried})
