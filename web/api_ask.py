"""Questions about calls by the API."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response

from crm.access import Permission
from runtime.ask import Asked, ask
from web.api_models_search import Answer, Question
from web.api_route import BEARS_KEY, ApiRoute, answer
from web.ask import note_asked
from web.auth import ApiViewer, api_viewer, needs
from web.filters import WantedCalls
from web.problems import answers
from web.site import OurSite

router = APIRouter(prefix="/api/v1", tags=["search"], dependencies=[Depends(api_viewer)], route_class=ApiRoute)


@router.post(
    "/ask",
    dependencies=[Depends(needs(Permission.ASK, Permission.READ_CALLS)), BEARS_KEY],
    responses=answers(Answer, 400, 404),
)
def ask_calls(site: OurSite, viewer: ApiViewer, wanted: WantedCalls, given: Question) -> Response:
    """A question about one call (`call_id`) or about the calls of the filter, answered from the calls alone.

    Each statement has the words of a call behind it; what no call says is answered with "No sufficient context for
    answering the question". Counts come from the query in `counted`, which was run read-only over the star schema.
    """
    asked = ask(site.wiring, viewer, given.question, call_id=given.call_id, wanted=wanted.wanted, now=site.clock())
    note_asked(site, viewer, asked)
    return answer(_document(asked))


def _document(asked: Asked) -> dict[str, Any]:
    counted = asked.counted
    return {
        "question": asked.question,
        "text": asked.text,
        "statements": [
            {
                "text": said.text,
                "quotes": [
                    {
                        "call_id": str(quote.call_id),
                        "turn": quote.turn,
                        "start_s": quote.start_s,
                        "quote": quote.quote,
                    }
                    for quote in said.quotes
                ],
            }
            for said in asked.statements
        ],
        "counted": counted
        and {
            "sql": counted.sql,
            "parameters": {name: _plain(value) for name, value in counted.parameters.items()},
            "columns": list(counted.columns),
            "rows": [[_plain(value) for value in row] for row in counted.rows],
            "is_cut": counted.is_cut,
        },
        "call_ids": [str(one) for one in asked.call_ids],
        "answered_by": asked.answered_by,
        "is_extractive": asked.is_extractive,
        "notes": list(asked.notes),
    }


def _plain(value: object) -> object:
    """A value of a database as JSON has it: whole numbers and fractions, texts, truths."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else float(str(value))
