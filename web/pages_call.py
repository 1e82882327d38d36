"""The page of one call, and what people do to a call from it."""

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from calls.analysis import NextStep, Outcome
from calls.corrections import Changes, WrongCorrection
from calls.errors import CallwiseError
from calls.pipeline import TERMINAL_STAGES
from calls.suspicion import ORDERS
from calls.unsure import mark_unsure
from crm import retries
from crm.access import Permission
from crm.audit import Action, note
from crm.call_documents import timing_document
from crm.calls import earlier_calls, see_call
from crm.corrections import Conflict, confirm, correct
from crm.erased import what_is_gone
from crm.one_call import CallInFull, beyond_shown, call_in_full
from crm.redacted import is_redacted
from crm.reviews import NotUnderstood, UnknownReason
from crm.swaps import NoChannels
from crm.taxonomies import current_taxonomy
from web.audit import note_read
from web.auth import CheckedForm, PageVisitor, Visitor, needs, own_path
from web.call_parts import answers_of, doubts_of, history_of, quotes_of, turns_behind
from web.filters import Words
from web.finding import ShownRun, mark_words
from web.pages_handover import call_part
from web.site import OurSite, Site
from web.timeline import draw_moods, draw_strip, draw_talk

router = APIRouter(include_in_schema=False, dependencies=[Depends(needs(Permission.READ_CALLS))])
_EARLIER_SHOWN = 5
_SAID = {
    "corrected": {
        "tone": "good",
        "text": "Your correction is kept, also when the call is looked at by a machine again.",
    },
    "same": {"tone": "", "text": "Nothing was different from what is there."},
    "confirmed": {"tone": "good", "text": "The reason is confirmed."},
}


@router.get("/calls/{call_id}")
def call_page(
    *,
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    call_id: UUID,
    t: Annotated[float | None, Query(ge=0, le=1e6)] = None,
    find: Words = "",
    said: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """One call in full; `t` is the second at which it is opened, `find` are words that are marked in it."""
    context = _call_context(site, visitor, call_id, at_s=t, find=find)
    context["said"] = _SAID.get(said)
    return site.templates.TemplateResponse(request, "call.html", context)


@router.post("/calls/{call_id}/retry", dependencies=[Depends(needs(Permission.OPERATE)), CheckedForm])
def retry_call(site: OurSite, visitor: PageVisitor, call_id: UUID) -> Response:
    """Give a failed call another attempt."""
    with site.wiring.database.write() as connection:
        see_call(connection, visitor.viewer, call_id)
        if retries.retry(connection, now=site.clock(), call_ids=[call_id]):
            note(connection, visitor.viewer, Action.RETRY, call_id=call_id, now=site.clock())
    return RedirectResponse(f"/calls/{call_id}", 303)


@router.post("/calls/{call_id}/corrections", dependencies=[Depends(needs(Permission.CORRECT)), CheckedForm])
def correct_call(
    *,
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    call_id: UUID,
    revision: Annotated[int, Form(ge=0)],
    reason: Annotated[Words | None, Form()] = None,
    outcome: Annotated[Outcome | None, Form()] = None,
    headline: Annotated[str | None, Form(max_length=1000)] = None,
    summary: Annotated[str | None, Form(max_length=10_000)] = None,
    step: Annotated[list[str] | None, Form(max_length=50)] = None,
    owner: Annotated[list[str] | None, Form(max_length=50)] = None,
    due_on: Annotated[list[str] | None, Form(max_length=50)] = None,
    agent_channel: Annotated[int | None, Form()] = None,
    customer: Annotated[Words | None, Form()] = None,
    names_customer: Annotated[bool, Form()] = False,
    to: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Say what is right of a call. Of two who do so at once the second gets their own words back, beside what is there
    now; nothing of either is lost.
    """
    typed: dict[str, Any] = {}
    if summary is not None:
        steps = [
            {"text": text, "owner": who, "due_on": day}
            for text, who, day in zip(step or [], owner or [], due_on or [], strict=False)
            if text.strip()
        ]
        typed = {"headline": headline or "", "summary": summary, "outcome": outcome, "next_steps": steps}
    if names_customer and customer is None:
        # An empty field comes as none.
        customer = ""
    if customer is not None:
        typed["customer"] = customer
    changes = Changes(reason=reason, outcome=outcome, agent_channel=agent_channel, customer=customer)
    try:
        with site.wiring.database.write() as connection:
            shown = call_in_full(connection, visitor.viewer, call_id, site.wiring.redaction)
            if summary is not None:
                changes = Changes(
                    outcome=outcome, headline=headline, summary=summary, next_steps=_steps(typed["next_steps"])
                )
            changes = beyond_shown(changes, shown)
            if changes.fields:
                correct(connection, visitor.viewer, call_id, revision, changes, now=site.clock())
    except Conflict as error:
        return _call_with(request, site, visitor, call_id, error=error, typed=typed, status=409)
    except (WrongCorrection, UnknownReason, NotUnderstood, NoChannels) as error:
        return _call_with(request, site, visitor, call_id, error=error, typed=typed, status=400)
    said = "corrected" if changes.fields else "same"
    return RedirectResponse(own_path(to) if to else f"/calls/{call_id}?said={said}", 303)


@router.post("/calls/{call_id}/confirmation", dependencies=[Depends(needs(Permission.CORRECT)), CheckedForm])
def confirm_reason(
    *,
    request: Request,
    site: OurSite,
    visitor: PageVisitor,
    call_id: UUID,
    revision: Annotated[int, Form(ge=0)],
    to: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Say that the reason is right as it is."""
    try:
        with site.wiring.database.write() as connection:
            confirm(connection, visitor.viewer, call_id, revision, now=site.clock())
    except Conflict as error:
        return _call_with(request, site, visitor, call_id, error=error, typed={}, status=409)
    return RedirectResponse(own_path(to) if to else f"/calls/{call_id}?said=confirmed", 303)


def _call_with(
    request: Request,
    site: Site,
    visitor: Visitor,
    call_id: UUID,
    *,
    error: CallwiseError,
    typed: dict[str, Any],
    status: int,
) -> Response:
    """The page as it is now, with what was typed still in its form and the reason why it was not taken."""
    context = _call_context(site, visitor, call_id)
    text = error.detail[:1].upper() + error.detail[1:] + "."
    if typed:
        text += " What you wrote is still in the form below."
    context |= {"said": {"tone": "bad", "text": text}, "typed": typed}
    return site.templates.TemplateResponse(request, "call.html", context, status)


def _call_context(
    site: Site, visitor: Visitor, call_id: UUID, *, at_s: float | None = None, find: str = ""
) -> dict[str, Any]:
    viewer = visitor.viewer
    with site.wiring.database.glance() as connection:
        found = call_in_full(connection, viewer, call_id, site.wiring.redaction)
        earlier = earlier_calls(connection, viewer, call_id, limit=_EARLIER_SHOWN, find=site.wiring.redaction)
        taxonomy = current_taxonomy(connection, site.known_taxonomies)
        handover = call_part(connection, site, viewer, call_id)
        heard = found.transcript
        gone = "" if heard is None or heard.turns else what_is_gone(connection, call_id)
    if heard:
        note_read(site, viewer, Action.READ_TRANSCRIPT, call_id)
    quotes = quotes_of(found)
    behind = turns_behind(quotes)
    questions = {q.code: q.text for q in taxonomy.questions} if taxonomy else {}
    marked = _marked(found, site.wiring.settings.speech.unsure_below, find)
    timing = timing_document(found)
    return {
        "visitor": visitor,
        "call": found,
        "line": found.line,
        "gone": gone,
        "may_correct": viewer.may(Permission.CORRECT) and gone != "call",
        "analysis": found.analysis,
        "revision": found.revision,
        "taxonomy": taxonomy,
        "outcomes": [*Outcome],
        "heard": heard,
        "is_redacted": is_redacted(viewer),
        "voices": {one.channel: one.speaker.value for one in heard.channels} if heard else {},
        "marked": marked,
        "find": find,
        "found_count": sum(run.is_found for runs in marked for run in runs),
        "at_s": at_s,
        "opened": _opened(found, at_s),
        "timing": timing,
        "talk": draw_talk(timing["talk_time_agent_s"], timing["talk_time_customer_s"], timing["non_talk_time_s"]),
        "strip": draw_strip(heard.turns, _length_s(found)) if heard else None,
        "mood_before": _moods(found, [line.sentiment_customer for line in earlier]),
        "quotes": quotes,
        "behind": {field: turns for field, turns in behind.items() if field in {"summary", "outcome", "next_steps"}},
        "answers": answers_of(found, questions, behind),
        "doubts": doubts_of(found, questions),
        "orders": behind.get(ORDERS, []),
        "earlier": earlier,
        "handover": handover,
        "history": history_of(found, taxonomy),
        "has_ended": found.line.stage in TERMINAL_STAGES,
        "can_play": viewer.may(Permission.HEAR_CALLS)
        and found.recording is not None
        and found.recording.has_sound
        and found.line.failed_code not in {"not_audio", "empty", "object_gone"},
        "said": None,
        "typed": {},
    }


def _length_s(found: CallInFull) -> float | None:
    return (found.recording.duration_s if found.recording else None) or found.line.duration_s


def _marked(found: CallInFull, unsure_below: float, find: str) -> list[list[ShownRun]]:
    if found.transcript is None:
        return []
    return [mark_words(mark_unsure(said, unsure_below), find) for said in found.transcript.utterances_by_turn]


def _opened(found: CallInFull, at_s: float | None) -> int | None:
    """The index of the turn that is said at this second, or last before it."""
    if at_s is None or found.transcript is None:
        return None
    begun = [turn.index for turn in found.transcript.turns if turn.start_s <= at_s + 0.05]
    return begun[-1] if begun else None


def _moods(found: CallInFull, before: list[float | None]) -> Any:
    scores = [*reversed(before), found.line.sentiment_customer]
    return draw_moods([score for score in scores if score is not None])


def _steps(rows: list[dict[str, str]]) -> tuple[NextStep, ...]:
    try:
        return tuple(
            NextStep(row["text"], row["owner"], date.fromisoformat(row["due_on"]) if row["due_on"] else None)
            for row in rows
        )
    except ValueError:
        raise WrongCorrection("a next step is due on no date; write 2026-03-14") from None
