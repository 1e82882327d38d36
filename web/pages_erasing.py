"""Erasure by hand: a page that says what goes and what stays, and the form on it that does it."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import Response

from crm.access import Permission
from crm.calls import see_call
from crm.customers import customer_in_full
from runtime.erasing import Eraser
from web.auth import CheckedForm, PageVisitor, Visitor, needs
from web.site import OurSite, Site

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.ERASE))])
# Of the form: that whoever sends it has said so.
Confirmed = Annotated[bool, Form()]


@router.get("/calls/{call_id}/erasure")
def call_erasure_page(request: Request, site: OurSite, visitor: PageVisitor, call_id: UUID) -> Response:
    """What would go with this call."""
    with site.wiring.database.read() as connection:
        see_call(connection, visitor.viewer, call_id)
    extent = Eraser(site.wiring, visitor.viewer).extent_of_call(call_id)
    return _page(request, site, visitor, "call", call_id, extent=extent)


@router.post("/calls/{call_id}/erasure", dependencies=[CheckedForm])
def erase_call(
    request: Request, site: OurSite, visitor: PageVisitor, call_id: UUID, confirmed: Confirmed = False
) -> Response:
    """Erase it, where that was confirmed; sent again, it finds nothing."""
    if not confirmed:
        return call_erasure_page(request, site, visitor, call_id)
    with site.wiring.database.read() as connection:
        see_call(connection, visitor.viewer, call_id)
    eraser, now = Eraser(site.wiring, visitor.viewer), site.clock()
    erased = eraser.erase_call(call_id, now=now)
    return _page(request, site, visitor, "call", call_id, erased=erased, left=eraser.doomed_count(now=now))


@router.get("/customers/{contact_id}/erasure")
def customer_erasure_page(request: Request, site: OurSite, visitor: PageVisitor, contact_id: UUID) -> Response:
    """What would go with this customer."""
    with site.wiring.database.read() as connection:
        customer_in_full(connection, visitor.viewer, contact_id)
    eraser = Eraser(site.wiring, visitor.viewer)
    extent = eraser.extent_of_person(eraser.person_of_contact(contact_id))
    return _page(request, site, visitor, "customer", contact_id, extent=extent)


@router.post("/customers/{contact_id}/erasure", dependencies=[CheckedForm])
def erase_customer(
    request: Request, site: OurSite, visitor: PageVisitor, contact_id: UUID, confirmed: Confirmed = False
) -> Response:
    """Erase the customer with all calls, where that was confirmed; sent again, it goes on where it was cut off."""
    if not confirmed:
        return customer_erasure_page(request, site, visitor, contact_id)
    with site.wiring.database.read() as connection:
        customer_in_full(connection, visitor.viewer, contact_id)
    eraser, now = Eraser(site.wiring, visitor.viewer), site.clock()
    erased = eraser.erase_person(eraser.person_of_contact(contact_id), now=now)
    return _page(request, site, visitor, "customer", contact_id, erased=erased, left=eraser.doomed_count(now=now))


def _page(request: Request, site: Site, visitor: Visitor, kind: str, id_: UUID, **told: Any) -> Response:
    """`told` is the extent of what would go; or what went, and how many objects the store still has to delete."""
    context = {"visitor": visitor, "kind": kind, "path": f"/{kind}s/{id_}", "extent": None, "erased": None} | told
    return site.templates.TemplateResponse(request, "erasure.html", context)
