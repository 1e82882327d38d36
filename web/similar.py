"""Similar calls on a page of their own, of which the page of a call fetches the list."""

from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from crm.access import Permission, Viewer
from crm.calls import lines_of, see_call
from crm.similar import SimilarCalls, similar_calls
from web.auth import PageVisitor, needs
from web.site import OurSite, Site

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.READ_CALLS))])


@router.get("/calls/{call_id}/similar")
def similar_page(request: Request, site: OurSite, visitor: PageVisitor, call_id: UUID) -> Response:
    """The calls that are about the same as this one, of those that the visitor may see."""
    found = similar_of(site, visitor.viewer, call_id)
    with site.wiring.database.read() as connection:
        [line] = lines_of(connection, visitor.viewer, [call_id])
    context = {
        "visitor": visitor,
        "line": line,
        "found": found,
        "is_on": site.wiring.settings.similar.is_on,
    }
    return site.templates.TemplateResponse(request, "similar.html", context)


def similar_of(site: Site, viewer: Viewer, call_id: UUID, *, limit: int = 10) -> SimilarCalls:
    """See similar_calls; none where the settings want none, whatever vectors there are."""
    with site.wiring.database.read() as connection:
        if site.wiring.settings.similar.is_on:
            return similar_calls(connection, viewer, call_id, limit=limit)
        see_call(connection, viewer, call_id)
    return SimilarCalls(None, ())
