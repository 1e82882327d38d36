"""The list of calls, as a page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from calls.pipeline import Stage
from crm.access import Permission
from crm.calls import filter_choices, has_samples, list_calls
from web.auth import PageVisitor, needs
from web.filters import WantedCalls
from web.site import OurSite

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.READ_CALLS))])
PAGE_LENGTH = 50


@router.get("/calls")
def calls_page(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    wanted: WantedCalls,
    after: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """The list of calls, newest first."""
    with site.wiring.database.read() as connection:
        page = list_calls(connection, visitor.viewer, wanted.wanted, limit=PAGE_LENGTH, after=after)
        context = {
            "visitor": visitor,
            "page": page,
            "wanted": wanted,
            "after": after,
            "choices": filter_choices(connection, visitor.viewer),
            "stages": [*Stage],
            "has_samples": has_samples(connection),
        }
    return site.templates.TemplateResponse(request, "calls.html", context)
