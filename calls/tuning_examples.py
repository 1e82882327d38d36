"""Fine-tuning examples: a call's prompt, and the answer that a model should have given, as people left it.

A line of the file is one conversation in OpenAI's chat format ("Supervised fine-tuning", "Formatting your data"): the
same system and user texts as in a real request, so that the tuned model is asked what it was taught.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from calls.analysis import Analysis, Evidence, SkippedFeature
from calls.checking import check_analysis
from calls.prompts import Prompt
from calls.reasons import INSUFFICIENT, OTHER, Taxonomy
from calls.redaction import SensitiveFinder, redact
from calls.transcript import Turn

# What people reviewed is right as often as anybody can say.
_CONFIDENCE = 0.99
# Longer than most words that only join others.
_WORD = re.compile(r"\w{4,}")
_QUOTE_WORDS = 25


def worth_teaching(
    analysis: Analysis, turns: Sequence[Turn], taxonomy: Taxonomy, find: SensitiveFinder | None = None
) -> Analysis | None:
    """The analysis as the call's redacted turns bear it out now; None where reason or summary would not stand.

    Texts are redacted again by what `find` finds: what was written before a rule for it existed does not leave either.
    """
    clean = replace(
        analysis,
        headline=redact(analysis.headline, find),
        summary=redact(analysis.summary, find),
        subject=redact(analysis.subject, find),
        next_steps=tuple(replace(step, text=redact(step.text, find)) for step in analysis.next_steps),
        answers={
            code: redact(value, find) if isinstance(value, str) else value for code, value in analysis.answers.items()
        },
        reason_confidence=_CONFIDENCE,
        skipped=(),
    )
    checked = check_analysis(clean, turns, taxonomy)
    wrong = {SkippedFeature(field, code) for field in ("reason", "summary") for code in ("unsupported", "missing")}
    if checked.reason_code is None or checked.reason_confidence is None or not checked.summary:
        return None
    return None if wrong & set(checked.skipped) else checked


def with_quotes(analysis: Analysis, turns: Sequence[Turn]) -> Analysis:
    """The analysis with a quote for the summary and each next step that has none: what a person wrote has no quotes of
    a model's, and the turn that shares most of its words takes their place. Where none shares any, none is added.
    """
    texts = {"summary": analysis.summary}
    texts |= {f"next_steps.{index}": step.text for index, step in enumerate(analysis.next_steps)}
    has = {item.field for item in analysis.evidence}
    added = [_closest(field, text, turns) for field, text in texts.items() if field not in has]
    return replace(analysis, evidence=(*analysis.evidence, *(item for item in added if item is not None)))


def _closest(field: str, text: str, turns: Sequence[Turn]) -> Evidence | None:
    wanted = set(_WORD.findall(text.lower()))
    shared = [(len(wanted & set(_WORD.findall(turn.text.lower()))), -turn.index, turn) for turn in turns]
    count, _, turn = max(shared, key=lambda one: one[:2], default=(0, 0, None))
    if turn is None or not count:
        return None
    return Evidence(field, turn.index, " ".join(turn.text.split()[:_QUOTE_WORDS]))


def example_line(prompt: Prompt, analysis: Analysis, taxonomy: Taxonomy) -> str:
    """One line of the file."""
    answer = json.dumps(answer_document(analysis, taxonomy), ensure_ascii=False)
    said = (("system", prompt.system), ("user", prompt.user), ("assistant", answer))
    return json.dumps({"messages": [{"role": role, "content": text} for role, text in said]}, ensure_ascii=False)


def answer_document(analysis: Analysis, taxonomy: Taxonomy) -> dict[str, Any]:
    """The answer from which `calls.answers.read_answer` would read this analysis.

    The summary's three parts are not kept apart in the database: sentences go to the first, the last to `result`.
    """
    situation, what_was_done, result = _parts(analysis.summary)
    mood = analysis.sentiment
    return {
        "addressed_to_model": _quotes(analysis, "addressed_to_model"),
        "language": analysis.language,
        "reason": {
            "quotes": _quotes(analysis, "reason"),
            "code": analysis.reason_code,
            "confidence": analysis.reason_confidence,
        },
        "secondary_reasons": [
            _quote(analysis, f"secondary_reasons.{code}") | {"code": code}
            for code in analysis.secondary_reason_codes
            if code not in {OTHER, INSUFFICIENT} and _quotes(analysis, f"secondary_reasons.{code}")
        ],
        "headline": analysis.headline,
        "summary": {
            "quotes": _quotes(analysis, "summary"),
            "situation": situation,
            "what_was_done": what_was_done,
            "result": result,
        },
        "outcome": {
            "quotes": _quotes(analysis, "outcome"),
            "value": analysis.outcome.value,
            "is_resolved": analysis.is_resolved,
        },
        "next_steps": [
            _quote(analysis, f"next_steps.{number}")
            | {
                "owner": step.owner if step.owner in {"agent", "customer"} else "other",
                "text": step.text,
                "due_on": step.due_on.isoformat() if step.due_on else None,
            }
            for number, step in enumerate(analysis.next_steps)
        ],
        "sentiment": {
            "quotes": _quotes(analysis, "sentiment"),
            "start": mood.start,
            "end": mood.end,
            "overall": mood.overall,
        },
        "subject": _quote(analysis, "subject") | {"text": analysis.subject},
        "answers": {
            question.code: _quote(analysis, f"answers.{question.code}") | {"value": analysis.answers.get(question.code)}
            for question in taxonomy.questions
        },
    }


def _quotes(analysis: Analysis, field: str) -> list[dict[str, Any]]:
    return [{"turn": item.turn, "quote": item.quote} for item in analysis.evidence if item.field == field]


def _quote(analysis: Analysis, field: str) -> dict[str, Any]:
    found = _quotes(analysis, field)
    return found[0] if found else {"turn": None, "quote": None}


def _parts(summary: str) -> tuple[str, str, str]:
    sentences = summary.replace("! ", "!\n").replace("? ", "?\n").replace(". ", ".\n").split("\n")
    if len(sentences) < 3:
        return sentences[0], sentences[1] if len(sentences) > 1 else "", ""
    return sentences[0], " ".join(sentences[1:-1]), sentences[-1]
