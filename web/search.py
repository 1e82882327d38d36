"""Search by words: what was found, the best of the newest calls first, each with the turns that have the words."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from calls.search_terms import Excerpt
from crm.access import Permission, Viewer
from crm.audit import Action, note
from crm.calls import filter_choices
from crm.search import SearchPage, search
from web.auth import PageVisitor, needs
from web.filters import WantedCalls
from web.site import OurSite, Site

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.READ_CALLS))])


@router.get("/search")
def search_page(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    wanted: WantedCalls,
    after: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """What was found, the best of the newest calls first, each with the turns that have the words."""
    text = wanted.wanted.text
    with site.wiring.database.read() as connection:
        found = None
        if text:
            found = search(connection, visitor.viewer, text, wanted.wanted, after=after, find=site.wiring.redaction)
        context = {
            "visitor": visitor,
            "wanted": wanted,
            "after": after,
            "found": found,
            "pieces": pieces,
            "choices": filter_choices(connection, visitor.viewer),
        }
    if found and found.hits:
        note_excerpts(site, visitor.viewer, found)
    return site.templates.TemplateResponse(request, "search.html", context)


def pieces(given: Excerpt) -> list[tuple[str, bool]]:
    """The excerpt cut at its places: texts, and whether each is what was looked for."""
    cut: list[tuple[str, bool]] = []
    at = 0
    for begin, end in given.places:
        cut += [(given.text[at:begin], False), (given.text[begin:end], True)]
        at = end
    return [(text, is_found) for text, is_found in [*cut, (given.text[at:], False)] if text]


def note_excerpts(site: Site, viewer: Viewer, found: SearchPage) -> None:
    """Write down that `viewer` read parts of these transcripts, and not what was looked for."""
    ids = ",".join(hit.line.id.hex[:8] for hit in found.hits)
    with site.wiring.database.write() as connection:
        note(connection, viewer, Action.READ_TRANSCRIPT, detail=f"search: {ids}", now=site.clock())
