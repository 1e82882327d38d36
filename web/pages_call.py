"""The page of one call, and what people do to a call from it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from calls.pipeline import TERMINAL_STAGES
from calls.suspicion import ORDERS
from calls.transcript import Turn
from calls.unsure import mark_unsure
from calls.words import readable
from crm import retries
from crm.access import Permission
from crm.audit import Action, note
from crm.call_documents import timing_document
from crm.calls import earlier_calls, see_call
from crm.one_call import CallInFull, call_in_full
from crm.swaps import correct_agent_channel
from crm.taxonomies import current_taxonomy
from web.audit import note_read
from web.auth import CheckedForm, PageVisitor, needs
from web.site import OurSite
from web.timeline import draw_strip

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.READ_CALLS))])


@router.get("/calls/{call_id}")
def call_page(request: Request, site: OurSite, visitor: PageVisitor, call_id: UUID) -> Response:
    """One call in full."""
    with site.wiring.database.read() as connection:
        found = call_in_full(connection, visitor.viewer, call_id)
        earlier = earlier_calls(connection, visitor.viewer, call_id, limit=5)
        taxonomy = current_taxonomy(connection)
    heard = found.transcript
    if heard:
        note_read(site, visitor.viewer, Action.READ_TRANSCRIPT, call_id)
    quotes = _quotes(found)
    behind = _turns_behind(quotes)
    questions = {q.code: q.text for q in taxonomy.questions} if taxonomy else {}
    context = {
        "visitor": visitor,
        "call": found,
        "line": found.line,
        "analysis": found.analysis,
        "heard": heard,
        "voices": {one.channel: one.speaker.value for one in heard.channels} if heard else {},
        "marked": [mark_unsure(said, site.wiring.settings.speech.unsure_below) for said in heard.utterances_by_turn]
        if heard
        else [],
        "timing": timing_document(found),
        "strip": draw_strip(heard.turns, _length_s(found)) if heard else None,
        "quotes": quotes,
        "behind": {field: turns for field, turns in behind.items() if field in {"summary", "outcome", "next_steps"}},
        "answers": _answers(found, questions, behind),
        "doubts": _doubts(found, questions),
        "orders": behind.get(ORDERS, []),
        "earlier": earlier,
        "has_ended": found.line.stage in TERMINAL_STAGES,
        "can_play": found.recording is not None
        and found.recording.has_sound
        and found.line.failed_code not in {"not_audio", "empty", "object_gone"},
    }
    return site.templates.TemplateResponse(request, "call.html", context)


@router.post("/calls/{call_id}/retry", dependencies=[Depends(needs(Permission.OPERATE)), CheckedForm])
def retry_call(site: OurSite, visitor: PageVisitor, call_id: UUID) -> Response:
    """Give a failed call another attempt."""
    with site.wiring.database.write() as connection:
        see_call(connection, visitor.viewer, call_id)
        if retries.retry(connection, now=site.clock(), call_ids=[call_id]):
            note(connection, visitor.viewer, Action.RETRY, call_id=call_id, now=site.clock())
    return RedirectResponse(f"/calls/{call_id}", 303)


@router.post("/calls/{call_id}/agent-channel", dependencies=[Depends(needs(Permission.CORRECT)), CheckedForm])
def correct_channel(
    site: OurSite, visitor: PageVisitor, call_id: UUID, agent_channel: Annotated[Literal["0", "1"], Form()]
) -> Response:
    """Say on which channel the agent is; sent twice, it is said once."""
    with site.wiring.database.write() as connection:
        see_call(connection, visitor.viewer, call_id)
        correct_agent_channel(connection, call_id, int(agent_channel), now=site.clock())
    return RedirectResponse(f"/calls/{call_id}", 303)


def _length_s(found: CallInFull) -> float | None:
    return (found.recording.duration_s if found.recording else None) or found.line.duration_s


def _quotes(found: CallInFull) -> Sequence[dict[str, Any]]:
    """The quotes that the analysis rests on, each with its turn where the transcript has it."""
    if not found.analysis or not found.transcript:
        return []
    turns = found.transcript.turns
    return [
        {"field": item["field"], "quote": item["quote"], "turn": turns[item["turn"]]}
        for item in found.analysis.evidence
        if 0 <= item["turn"] < len(turns)
    ]


def _turns_behind(quotes: Sequence[dict[str, Any]]) -> dict[str, list[Turn]]:
    """The turns that each field of the analysis rests on, each turn once."""
    found: dict[str, list[Turn]] = {}
    for item in quotes:
        turns = found.setdefault(item["field"], [])
        if item["turn"] not in turns:
            turns.append(item["turn"])
    return found


def _doubts(found: CallInFull, questions: dict[str, str]) -> dict[str, list[str]]:
    """What of the analysis is missing or not to be relied on, by the code that says why."""
    doubts: dict[str, list[str]] = {}
    for item in found.analysis.skipped if found.analysis else ():
        kind, _, code = item["feature"].partition(".")
        name = questions.get(code, code) if kind == "answers" else readable(kind)
        doubts.setdefault(item["code"], []).append(name)
    return doubts


def _answers(
    found: CallInFull, questions: dict[str, str], behind: dict[str, list[Turn]]
) -> list[tuple[str, str, list[Turn]]]:
    """The owner's questions with their answers in words and the turns behind them; an unanswered one is left out."""
    words = {True: "yes", False: "no"}
    given = found.analysis.answers if found.analysis else {}
    return [
        (
            questions.get(code, code),
            words[answer] if isinstance(answer, bool) else str(answer),
            behind.get(f"answers.{code}", []),
        )
        for code, answer in given.items()
        if answer is not None
    ]
