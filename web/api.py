"""The API for programs, `/api/v1`: JSON documents with stable keys, errors as problem+json."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from crm.call_documents import call_document, page_document
from crm.calls import MAX_PAGE, list_calls
from crm.one_call import call_in_full
from crm.status import status as read_status
from web.auth import api_caller
from web.filters import WantedCalls
from web.site import OurSite

router = APIRouter(prefix="/api/v1", dependencies=[Depends(api_caller)])


@router.get("/calls", tags=["calls"])
def calls(
    site: OurSite,
    wanted: WantedCalls,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Calls at once.")] = 50,
    after: Annotated[str, Query(description="`next` of the page before.", max_length=100)] = "",
) -> dict[str, Any]:
    """Calls, newest first; `next` is the key of the page behind this one, null on the last."""
    with site.wiring.database.read() as connection:
        return page_document(list_calls(connection, wanted.wanted, limit=limit, after=after))


@router.get("/calls/{call_id}", tags=["calls"])
def call(site: OurSite, call_id: UUID) -> dict[str, Any]:
    """One call in full."""
    with site.wiring.database.read() as connection:
        return call_document(call_in_full(connection, call_id))


@router.get("/status", tags=["operations"])
def status(site: OurSite) -> dict[str, Any]:
    """What stands where: calls by stage and cause."""
    with site.wiring.database.read() as connection:
        return read_status(connection, site.clock())
