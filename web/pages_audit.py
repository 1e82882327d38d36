"""The page of the audit log: who read and changed what."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from crm.access import Permission
from crm.audit import entries, verify
from web.auth import PageVisitor, needs
from web.filters import Words
from web.site import OurSite

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.READ_AUDIT))])
AUDIT_LENGTH = 100


@router.get("/audit")
def audit_page(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    *,
    call: Annotated[str, Query(max_length=36, pattern=r"^[0-9a-fA-F-]*$")] = "",
    user: Annotated[Words, Query()] = "",
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    check: Annotated[bool, Query()] = False,
) -> Response:
    """Who read and changed what, the latest first."""
    try:
        call_id = UUID(call) if call else None
    except ValueError:
        return RedirectResponse("/audit", 303)
    with site.wiring.database.read() as connection:
        found = entries(connection, call_id=call_id, actor=user, before=before, limit=AUDIT_LENGTH + 1)
        verdict = verify(connection) if check else None
    context = {
        "visitor": visitor,
        "entries": found[:AUDIT_LENGTH],
        "next_before": found[AUDIT_LENGTH - 1].seq if len(found) > AUDIT_LENGTH else None,
        "verdict": verdict,
        "call": call,
        "user": user,
    }
    return site.templates.TemplateResponse(request, "audit.html", context)
