"""Customers: find one, and see all their calls and what they call about again."""

from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from crm.access import Permission
from crm.customers import calls_of_customer, customer_in_full, find_customers, reasons_of_customer
from crm.redacted import sees_names
from web.auth import PageVisitor, needs
from web.filters import After, Words
from web.site import OurSite
from web.timeline import draw_moods

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.READ_CALLS))])
_AT_ONCE = 50
_MOODS_SHOWN = 12


@router.get("/customers")
def customers_page(
    request: Request, site: OurSite, visitor: PageVisitor, text: Words = "", after: After = ""
) -> Response:
    """Customers by name, account or number, those who called last first; without words all."""
    with site.wiring.database.read() as connection:
        page = find_customers(
            connection, visitor.viewer, text.strip(), limit=_AT_ONCE, after=after, find=site.wiring.redaction
        )
    context = {"visitor": visitor, "page": page, "text": text, "after": after, "sees_names": sees_names(visitor.viewer)}
    return site.templates.TemplateResponse(request, "customers.html", context)


@router.get("/customers/{contact_id}")
def customer_page(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    contact_id: UUID,
    after: After = "",
) -> Response:
    """One customer: contact, account, all calls as a timeline, repeated calls by reason."""
    with site.wiring.database.read() as connection:
        customer = customer_in_full(connection, visitor.viewer, contact_id, site.wiring.redaction)
        page = calls_of_customer(
            connection, visitor.viewer, contact_id, limit=_AT_ONCE, after=after, find=site.wiring.redaction
        )
        reasons = reasons_of_customer(connection, visitor.viewer, contact_id)
    scores = [line.sentiment_customer for line in page.calls if line.sentiment_customer is not None]
    context = {
        "visitor": visitor,
        "customer": customer,
        "page": page,
        "after": after,
        "reasons": reasons,
        "most": max((one.call_count for one in reasons), default=0),
        "moods": draw_moods(scores[:_MOODS_SHOWN][::-1]),
    }
    return site.templates.TemplateResponse(request, "customer.html", context)
