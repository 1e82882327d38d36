"""The parts of a call's page as plain values: quotes, doubts, answers, the history of changes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from calls.corrections import Field
from calls.reasons import Taxonomy
from calls.transcript import Turn
from calls.words import outcome_words, readable
from crm.one_call import AnalysisRow, CallInFull

_SAID_OF = {
    Field.REASON: "Reason",
    Field.OUTCOME: "Outcome",
    Field.HEADLINE: "Headline",
    Field.SUMMARY: "Summary",
    Field.NEXT_STEPS: "Next steps",
    Field.SPEAKERS: "Agent and customer swapped",
    Field.CUSTOMER: "Customer",
    Field.APPROVAL: "Approved for the CRM",
}
# What these were and are is a number or an id that tells a reader nothing.
_WITHOUT_VALUES = {Field.SPEAKERS, Field.CUSTOMER, Field.APPROVAL}


@dataclass(frozen=True)
class Change:
    """One entry of a call's history, in words; `before` and `after` are empty where they would say nothing."""

    what: str
    before: str
    after: str
    by: str
    at: datetime


def quotes_of(found: CallInFull) -> Sequence[dict[str, Any]]:
    """The quotes that the analysis rests on, each with its turn where the transcript has it."""
    if not found.analysis or not found.transcript:
        return []
    turns = found.transcript.turns
    return [
        {"field": item["field"], "quote": item["quote"], "turn": turns[item["turn"]]}
        for item in found.analysis.evidence
        if 0 <= item["turn"] < len(turns)
    ]


def turns_behind(quotes: Sequence[dict[str, Any]]) -> dict[str, list[Turn]]:
    """The turns that each field of the analysis rests on, each turn once; those of all next steps are together."""
    found: dict[str, list[Turn]] = {}
    for item in quotes:
        field = "next_steps" if item["field"].startswith("next_steps.") else item["field"]
        turns = found.setdefault(field, [])
        if item["turn"] not in turns:
            turns.append(item["turn"])
    return found


def doubts_of(found: CallInFull, questions: Mapping[str, str]) -> dict[str, list[str]]:
    """What of the analysis is missing or not to be relied on, by the code that says why."""
    doubts: dict[str, list[str]] = {}
    for item in found.analysis.skipped if found.analysis else ():
        kind, _, code = item["feature"].partition(".")
        name = f"“{questions.get(code, code)}”" if kind == "answers" else readable(kind)
        doubts.setdefault(item["code"], []).append(name)
    return doubts


def answers_of(
    found: CallInFull, questions: Mapping[str, str], behind: Mapping[str, list[Turn]]
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


def history_of(found: AnalysisRow | CallInFull | None, taxonomy: Taxonomy | None) -> list[Change]:
    """What people said of the call, newest first."""
    if found is None:
        return []
    changes = []
    for said in reversed(found.reviews):
        field = Field(said.field)
        is_confirmed = said.before == said.after
        before, after = (_in_words(field, word, taxonomy) for word in (said.before, said.after))
        changes.append(
            Change(
                what=f"{_SAID_OF[field]}{' confirmed' if is_confirmed else ''}",
                before="" if is_confirmed else before,
                after=after,
                by=said.reviewed_by,
                at=said.reviewed_at,
            )
        )
    return changes


def _in_words(field: Field, word: str | None, taxonomy: Taxonomy | None) -> str:
    if not word or field in _WITHOUT_VALUES:
        return ""
    if field is Field.REASON:
        return taxonomy.label(word) if taxonomy else word
    if field is Field.OUTCOME:
        return outcome_words(word) or "Not known"
    if field is Field.NEXT_STEPS:
        return _steps_in_words(word)
    return word


def _steps_in_words(word: str) -> str:
    try:
        return "; ".join(step["text"] for step in json.loads(word)) or "none"
    except ValueError:
        # What must not leave was marked across the bounds of a step: what is left is no list any more.
        return ""
