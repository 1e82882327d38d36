"""Customers by the API: find them, and read one with what they call about and their calls."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from crm.access import Permission
from crm.call_documents import line_document, moment
from crm.calls import MAX_PAGE
from crm.customers import Customer, calls_of_customer, customer_in_full, find_customers, reasons_of_customer
from web.api_models_work import CustomerInFull, CustomerList
from web.api_route import ApiRoute, answer
from web.auth import ApiViewer, api_viewer, needs
from web.filters import After, Words
from web.problems import answers
from web.site import OurSite

router = APIRouter(prefix="/api/v1", tags=["customers"], dependencies=[Depends(api_viewer)], route_class=ApiRoute)


@router.get(
    "/customers", dependencies=[Depends(needs(Permission.READ_CALLS))], responses=answers(CustomerList, 304, 400)
)
def customers(
    site: OurSite,
    viewer: ApiViewer,
    text: Annotated[Words, Query(description="Part of a name, an account or a number.")] = "",
    limit: Annotated[int, Query(ge=1, le=100, description="Customers at once.")] = 50,
    after: After = "",
) -> Response:
    """Customers by name, account or number, those who called last first; without words, all. Where words fit more than
    500, some of them: more words find the others.
    """
    with site.wiring.database.read() as connection:
        page = find_customers(connection, viewer, text.strip(), limit=limit, after=after, find=site.wiring.redaction)
    return answer({"customers": [_customer(one) for one in page.customers], "next": page.next_key})


@router.get(
    "/customers/{contact_id}",
    dependencies=[Depends(needs(Permission.READ_CALLS))],
    responses=answers(CustomerInFull, 304, 400, 404),
)
def customer(
    site: OurSite,
    viewer: ApiViewer,
    contact_id: UUID,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Calls at once.")] = 50,
    after: After = "",
) -> Response:
    """One customer: what they call about, how often again, and their calls, newest first."""
    with site.wiring.database.read() as connection:
        found = customer_in_full(connection, viewer, contact_id, site.wiring.redaction)
        reasons = reasons_of_customer(connection, viewer, contact_id)
        page = calls_of_customer(connection, viewer, contact_id, limit=limit, after=after, find=site.wiring.redaction)
    document = _customer(found) | {
        "reasons": [
            {
                "code": one.code,
                "label": one.label,
                "call_count": one.call_count,
                "repeat_count": one.repeat_count,
                "last_call_at": moment(one.last_call_at),
            }
            for one in reasons
        ],
        "calls": [line_document(line) for line in page.calls],
        "next": page.next_key,
    }
    return answer(document)


def _customer(found: Customer) -> dict[str, Any]:
    return {
        "id": str(found.id),
        "name": found.name or None,
        "email": found.email,
        "number": found.phone_e164,
        "account": {
            "id": str(found.account_id) if found.account_id else None,
            "name": found.account,
            "domain": found.account_domain,
        },
        "call_count": found.call_count,
        "first_call_at": moment(found.first_call_at),
        "last_call_at": moment(found.last_call_at),
    }
