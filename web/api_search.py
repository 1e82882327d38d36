"""Search by the API."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from calls.search_terms import Excerpt
from crm.access import Permission
from crm.call_documents import line_document, moment
from crm.search import MAX_HITS, Hit, SearchPage, search
from web.api_models_search import SearchResult
from web.api_route import ApiRoute, answer
from web.auth import ApiViewer, api_viewer, needs
from web.filters import WantedCalls
from web.problems import answers
from web.search import keeping, note_excerpts
from web.site import OurSite

router = APIRouter(prefix="/api/v1", tags=["search"], dependencies=[Depends(api_viewer)], route_class=ApiRoute)


@router.get("/search", dependencies=[Depends(needs(Permission.READ_CALLS))], responses=answers(SearchResult, 304, 400))
def search_calls(
    site: OurSite,
    viewer: ApiViewer,
    wanted: WantedCalls,
    limit: Annotated[int, Query(ge=1, le=MAX_HITS, description="Calls at once.")] = 20,
    after: Annotated[str, Query(description="`next` of the page before.", max_length=100)] = "",
) -> Response:
    """Calls with every word and "phrase" of `text`: the best of the newest first, with the turns that have them.

    Windows of the newest calls are ranked one after the other; `next` goes through them. `back_to` says how far
    back this window goes.
    """
    with site.wiring.database.read() as connection:
        text, find = wanted.wanted.text, site.wiring.redaction
        found = search(connection, viewer, text, wanted.wanted, limit=limit, after=after, find=find)
    if found.hits:
        note_excerpts(site, viewer, found)
    told = answer(search_document(found))
    told.background = keeping(site, found)
    return told


def search_document(found: SearchPage) -> dict[str, Any]:
    """What was found as JSON; texts are plain, and places in them are counted in characters."""
    return {
        "hits": [_hit(hit) for hit in found.hits],
        "back_to": found.back_to and moment(found.back_to),
        "next": found.next_key,
    }


def _hit(hit: Hit) -> Mapping[str, Any]:
    return {
        "call": line_document(hit.line),
        "score": round(hit.score, 3),
        "about": hit.about and _excerpt(hit.about),
        "said": [
            {
                "turn": said.turn,
                "speaker": said.speaker,
                "start_s": said.start_s,
                **_excerpt(said.excerpt),
            }
            for said in hit.said
        ],
    }


def _excerpt(given: Excerpt) -> dict[str, Any]:
    return {"text": given.text, "places": [list(place) for place in given.places]}
