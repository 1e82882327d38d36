"""The review queue by the API: which calls wait for a person's look, and why."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from crm.access import Permission
from crm.call_documents import line_document
from crm.calls import MAX_PAGE
from crm.review_queue import Cause, review_count, review_page
from web.api_models_writes import ReviewList
from web.api_route import ApiRoute, answer
from web.auth import ApiViewer, api_viewer, needs
from web.filters import After
from web.problems import answers
from web.site import OurSite

router = APIRouter(prefix="/api/v1", tags=["reviews"], dependencies=[Depends(api_viewer)], route_class=ApiRoute)


@router.get("/reviews", dependencies=[Depends(needs(Permission.CORRECT))], responses=answers(ReviewList, 304, 400))
def reviews(
    site: OurSite,
    viewer: ApiViewer,
    cause: Annotated[Cause | None, Query(description="Only calls that wait for this.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Calls at once.")] = 50,
    after: After = "",
) -> Response:
    """Calls that wait for a person's look, newest first: correct, confirm or approve each by its `revision`."""
    with site.wiring.database.read() as connection:
        page = review_page(connection, viewer, cause=cause, limit=limit, after=after, find=site.wiring.redaction)
        waiting = review_count(connection, viewer)
    items = [
        {"call": line_document(item.line), "causes": [cause.value for cause in item.causes], "revision": item.revision}
        for item in page.items
    ]
    return answer({"items": items, "waiting": waiting, "next": page.next_key})
