"""Ask: a question about one call or about the calls of a filter, on a page that works without JavaScript."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from calls.asking import QUESTION_LENGTH
from crm.access import Permission, Viewer
from crm.audit import Action, note
from crm.calls import lines_of, see_call
from runtime.ask import Asked, answerer_of, ask
from web.auth import CheckedForm, PageVisitor, Visitor, needs
from web.filters import UrlFilter, WantedCalls, Words
from web.site import OurSite, Site

router = APIRouter(
    include_in_schema=False, dependencies=[Depends(needs(Permission.ASK)), Depends(needs(Permission.READ_CALLS))]
)
CallId = Annotated[UUID | None, Query(description="The call in question; without, the calls of the filter are.")]


@router.get("/ask")
def ask_page(
    *, request: Request, site: OurSite, visitor: PageVisitor, wanted: WantedCalls, call: CallId = None
) -> Response:
    """The form; nothing is asked yet."""
    if call is not None:
        with site.wiring.database.read() as connection:
            see_call(connection, visitor.viewer, call)
    return _page(request, site, visitor, wanted=wanted, call=call, asked=None)


@router.post("/ask", dependencies=[CheckedForm])
def answer_page(
    *,
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    wanted: WantedCalls,
    question: Annotated[Words, Form(max_length=QUESTION_LENGTH)] = "",
    call: CallId = None,
) -> Response:
    """What the calls say, each statement with the call and the turn, and what was counted with its query."""
    asked = ask(site.wiring, visitor.viewer, question, call_id=call, wanted=wanted.wanted, now=site.clock())
    note_asked(site, visitor.viewer, asked)
    return _page(request, site, visitor, wanted=wanted, call=call, asked=asked)


def note_asked(site: Site, viewer: Viewer, asked: Asked) -> None:
    """Write down whose transcripts an answer quotes, and not what was asked."""
    ids = dict.fromkeys(quote.call_id.hex[:8] for said in asked.statements for quote in said.quotes)
    if ids:
        with site.wiring.database.write() as connection:
            note(connection, viewer, Action.READ_TRANSCRIPT, detail=f"ask: {','.join(ids)}", now=site.clock())


def _page(
    request: Request, site: Site, visitor: Visitor, *, wanted: UrlFilter, call: UUID | None, asked: Asked | None
) -> Response:
    ids = list(dict.fromkeys(quote.call_id for said in asked.statements for quote in said.quotes)) if asked else []
    if call is not None and call not in ids:
        ids.append(call)
    with site.wiring.database.read() as connection:
        lines = {line.id: line for line in lines_of(connection, visitor.viewer, ids, site.wiring.redaction)}
    context = {
        "visitor": visitor,
        "wanted": wanted,
        "call": call,
        "asked": asked,
        "lines": lines,
        "is_extractive": asked.is_extractive if asked else answerer_of(site.wiring).is_extractive,
        "address": f"/ask{wanted.query(call=str(call) if call else '')}",
        "question_length": QUESTION_LENGTH,
    }
    return site.templates.TemplateResponse(request, "ask.html", context)
