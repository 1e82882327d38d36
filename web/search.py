"""Search by words: what was found, the best of the newest calls first, each with the turns that have the words."""

from collections.abc import Sequence

import structlog
from fastapi import APIRouter, Depends, Request
from starlette.background import BackgroundTask
from starlette.responses import Response

from calls.errors import TransientError
from calls.search_terms import Excerpt
from crm.access import Permission, Viewer
from crm.audit import Action, note
from crm.calls import filter_choices
from crm.findings import Looked, keep_looked
from crm.search import SearchPage, search
from web.auth import PageVisitor, needs
from web.filters import After, WantedCalls
from web.site import OurSite, Site

log = structlog.get_logger()
router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.READ_CALLS))])


@router.get("/search")
def search_page(
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    wanted: WantedCalls,
    after: After = "",
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
    background = keeping(site, found) if found else None
    return site.templates.TemplateResponse(request, "search.html", context, background=background)


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


def keeping(site: Site, found: SearchPage) -> BackgroundTask | None:
    """What is done once the answer is sent: what had to be looked for is kept, for whoever searches next."""
    return BackgroundTask(_keep, site, found.looked) if found.looked else None


def _keep(site: Site, looked: Sequence[Looked]) -> None:
    try:
        with site.wiring.database.write() as connection:
            keep_looked(connection, looked, site.wiring.redaction)
    except TransientError as error:
        # A worker does it by and by.
        log.info("findings_not_kept", code=error.code)
