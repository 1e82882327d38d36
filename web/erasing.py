"""Erasure over the API: a call, or a customer with all calls."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from crm.access import Permission
from crm.calls import see_call
from crm.customers import customer_in_full
from runtime.erasing import Eraser, erasure_document, extent_document
from web.api_models import Model, example
from web.api_route import BEARS_KEY, ApiRoute, answer
from web.auth import ApiViewer, needs
from web.problems import answers
from web.site import OurSite

router = APIRouter(
    prefix="/api/v1", tags=["privacy"], dependencies=[Depends(needs(Permission.ERASE))], route_class=ApiRoute
)


class CrmObject(Model):
    """What a CRM still holds, since it was handed over: to be erased there."""

    system: str
    id: str


class Erasure(Model):
    """What is gone: calls, objects of the store, customers, classifiers that those calls taught. A dry run says what
    would go, and gives `recordings` in place of the last four. Repeating an erasure is no error and finds nothing.
    """

    model_config = example(
        {
            "dry_run": False,
            "calls": 1,
            "contacts": 0,
            "objects": 5,
            "classifiers": 0,
            "crm_objects": [{"system": "salesforce", "id": "00T5g00000AbCdEFGH"}],
            "objects_left": 0,
        }
    )

    dry_run: bool
    calls: int
    contacts: int
    recordings: int | None = None
    objects: int | None = None
    classifiers: int | None = None
    crm_objects: list[CrmObject] | None = None
    # What the store could not delete yet; a worker goes on with it.
    objects_left: int | None = None


DryRun = Annotated[bool, Query(description="Say what would go, and change nothing.")]


@router.delete("/calls/{call_id}", dependencies=[BEARS_KEY], responses=answers(Erasure, 409))
def erase_call(site: OurSite, viewer: ApiViewer, call_id: UUID, dry_run: DryRun = False) -> Response:
    """Erase a call: what was said, who it was, and its recording. Its place in the figures stays, and it cannot come in
    again.
    """
    eraser, now = Eraser(site.wiring, viewer), site.clock()
    with site.wiring.database.read() as connection:
        see_call(connection, viewer, call_id)
    if dry_run:
        return answer(extent_document(eraser.extent_of_call(call_id)))
    return answer(erasure_document(eraser.erase_call(call_id, now=now), eraser.doomed_count(now=now)))


@router.delete("/customers/{contact_id}", dependencies=[BEARS_KEY], responses=answers(Erasure, 409))
def erase_customer(site: OurSite, viewer: ApiViewer, contact_id: UUID, dry_run: DryRun = False) -> Response:
    """Erase everything of a customer: name, number, and all calls. The figures keep counting the calls."""
    eraser, now = Eraser(site.wiring, viewer), site.clock()
    with site.wiring.database.read() as connection:
        customer_in_full(connection, viewer, contact_id)
    person = eraser.person_of_contact(contact_id)
    if dry_run:
        return answer(extent_document(eraser.extent_of_person(person)))
    return answer(erasure_document(eraser.erase_person(person, now=now), eraser.doomed_count(now=now)))
