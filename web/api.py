"""The API for programs, `/api/v1`: JSON documents with stable keys, errors as problem+json."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from crm.access import Permission
from crm.audit import Action
from crm.call_documents import call_document, page_document
from crm.calls import MAX_PAGE, list_calls
from crm.one_call import call_in_full
from crm.status import status as read_status
from web.audit import note_read
from web.auth import ApiViewer, api_viewer, needs
from web.filters import WantedCalls
from web.site import OurSite

router = APIRouter(prefix="/api/v1", dependencies=[Depends(api_viewer)])


@router.get("/calls", tags=["calls"], dependencies=[Depends(needs(Permission.READ_CALLS))])
def calls(
    site: OurSite,
    viewer: ApiViewer,
    wanted: WantedCalls,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Calls at once.")] = 50,
    after: Annotated[str, Query(description="`next` of the page before.", max_length=100)] = "",
) -> dict[str, Any]:
    """Calls, newest first; `next` is the key of the page behind this one, null on the last."""
    with site.wiring.database.read() as connection:
        return page_document(list_calls(connection, viewer, wanted.wanted, limit=limit, after=after))


@router.get("/calls/{call_id}", tags=["calls"], dependencies=[Depends(needs(Permission.READ_CALLS))])
def call(site: OurSite, viewer: ApiViewer, call_id: UUID) -> dict[str, Any]:
    """One call in full."""
    with site.wiring.database.read() as connection:
        found = call_in_full(connection, viewer, call_id, site.wiring.redaction)
    if found.transcript:
        note_read(site, viewer, Action.READ_TRANSCRIPT, call_id)
    return call_document(found)


@router.get("/status", tags=["operations"], dependencies=[Depends(needs(Permission.OPERATE))])
def status(site: OurSite) -> dict[str, Any]:
    """What stands where: calls by stage and cause."""
    with site.wiring.database.read() as connection:
        return read_status(connection, site.clock())
