"""Erasure over the API: a call, or a customer with all calls."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from crm.access import Permission
from crm.calls import see_call
from crm.customers import customer_in_full
from runtime.erasing import Eraser, erasure_document, extent_document
from web.auth import ApiViewer, needs
from web.site import OurSite

router = APIRouter(prefix="/api/v1", dependencies=[Depends(needs(Permission.ERASE))])

DryRun = Annotated[bool, Query(description="Say what would go, and change nothing.")]
_ERASED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What is gone. Repeating it is no error and finds nothing.",
        "content": {
            "application/json": {
                "example": {
                    "dry_run": False,
                    "calls": 1,
                    "objects": 4,
                    "contacts": 0,
                    "classifiers": 0,
                    "crm_objects": [{"system": "salesforce", "id": "00T5g00000AbCdEFGH"}],
                    "objects_left": 0,
                }
            }
        },
    }
}


@router.delete("/calls/{call_id}", tags=["privacy"], responses=_ERASED)
def erase_call(site: OurSite, viewer: ApiViewer, call_id: UUID, dry_run: DryRun = False) -> dict[str, Any]:
    """Erase a call: what was said, who it was, and its recording. Its place in the figures stays, and it cannot come in
    again.
    """
    eraser, now = Eraser(site.wiring, viewer), site.clock()
    with site.wiring.database.read() as connection:
        see_call(connection, viewer, call_id)
    if dry_run:
        return extent_document(eraser.extent_of_call(call_id))
    erased = eraser.erase_call(call_id, now=now)
    return erasure_document(erased, eraser.doomed_count(now=now))


@router.delete("/customers/{contact_id}", tags=["privacy"], responses=_ERASED)
def erase_customer(site: OurSite, viewer: ApiViewer, contact_id: UUID, dry_run: DryRun = False) -> dict[str, Any]:
    """Erase everything of a customer: name, number, and all calls. The figures keep counting the calls."""
    eraser, now = Eraser(site.wiring, viewer), site.clock()
    with site.wiring.database.read() as connection:
        customer_in_full(connection, viewer, contact_id)
    person = eraser.person_of_contact(contact_id)
    if dry_run:
        return extent_document(eraser.extent_of_person(person))
    erased = eraser.erase_person(person, now=now)
    return erasure_document(erased, eraser.doomed_count(now=now))
