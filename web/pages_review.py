"""The review queue: one call after the other that a person should look at, by keyboard."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from crm.access import Permission
from crm.audit import Action
from crm.call_documents import timing_document
from crm.one_call import call_in_full
from crm.review_queue import MAX_COUNT, Cause, review_count, review_page
from crm.taxonomies import current_taxonomy
from web.audit import note_read
from web.auth import PageVisitor, needs
from web.call_parts import doubts_of, quotes_of
from web.filters import After
from web.site import OurSite

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.CORRECT))])
_CAUSES = {
    Cause.LOW_CONFIDENCE: "Unsure of the reason",
    Cause.OTHER: "Reason is “other”",
    Cause.NO_REASON: "No reason",
    Cause.UNSUPPORTED: "Not borne out by the call",
    Cause.SUSPICIOUS: "Orders to the program",
    Cause.UNREAD_NAME: "Name not read",
}
# What a key chooses; c, j, s and o do something else.
_KEYS = "123456789abdefghiklmnpqrtuvwxyz"


@router.get("/review")
def review_queue_page(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    cause: Annotated[Cause | None, Query()] = None,
    after: After = "",
) -> Response:
    """The next call of the queue, why it is there, and all that can be said of it with one key."""
    with site.wiring.database.read() as connection:
        page = review_page(connection, visitor.viewer, cause=cause, limit=1, after=after, find=site.wiring.redaction)
        item = page.items[0] if page.items else None
        found = call_in_full(connection, visitor.viewer, item.line.id, site.wiring.redaction) if item else None
        taxonomy = current_taxonomy(connection)
        count = review_count(connection, visitor.viewer)
    if found and found.transcript:
        note_read(site, visitor.viewer, Action.READ_TRANSCRIPT, found.line.id)
    questions = {q.code: q.text for q in taxonomy.questions} if taxonomy else {}
    place = {"cause": cause.value if cause else "", "after": page.next_key or ""}
    context = {
        "visitor": visitor,
        "skip": f"/review?{urlencode({name: value for name, value in place.items() if value})}",
        "cause": cause,
        "causes": _CAUSES,
        "after": after,
        "next_key": page.next_key,
        "count": count,
        "is_more": count >= MAX_COUNT,
        "item": item,
        "call": found,
        "quotes": quotes_of(found) if found else [],
        "doubts": doubts_of(found, questions) if found else {},
        "timing": timing_document(found) if found else {},
        "taxonomy": taxonomy,
        "keys": _KEYS,
        # What was said of takes its call out of the queue: the same place shows the next one.
        "here": str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
    }
    return site.templates.TemplateResponse(request, "review.html", context)
