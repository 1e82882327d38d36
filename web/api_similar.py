"""Similar calls by the API."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from crm.access import Permission
from crm.similar import MAX_SIMILAR, similar_document
from web.api_models_similar import SimilarCalls
from web.api_route import ApiRoute, answer
from web.auth import ApiViewer, api_viewer, needs
from web.problems import answers
from web.similar import similar_of
from web.site import OurSite

router = APIRouter(prefix="/api/v1", tags=["search"], dependencies=[Depends(api_viewer)], route_class=ApiRoute)


@router.get(
    "/calls/{call_id}/similar",
    dependencies=[Depends(needs(Permission.READ_CALLS))],
    responses=answers(SimilarCalls, 304, 400, 404),
)
def similar(
    site: OurSite,
    viewer: ApiViewer,
    call_id: UUID,
    limit: Annotated[int, Query(ge=1, le=MAX_SIMILAR, description="Calls at most.")] = 10,
) -> Response:
    """Calls that are about the same as this one, of those that the caller may see, the nearest first.

    Compared is what the analyses say. `model` is null where nothing can be compared (yet).
    """
    return answer(similar_document(call_id, similar_of(site, viewer, call_id, limit=limit)))
