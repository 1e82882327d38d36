"""The check that every analysis passes, whoever made it: its claims must be borne out by the call's own words."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from calls.analysis import Analysis, Evidence, NextStep, Outcome, Sentiment, SkippedFeature
from calls.quotes import find_quote
from calls.reasons import INSUFFICIENT, OTHER, AnswerKind, Question, Taxonomy
from calls.transcript import Turn

HEADLINE_LENGTH = 90
SUMMARY_LENGTH = 2_000
SUBJECT_LENGTH = 120
STEP_LENGTH = 300
ANSWER_LENGTH = 500
MAX_STEP_COUNT = 10
MAX_SECONDARY_COUNT = 3
MOOD_LIMIT = 5.0

_LANGUAGE = re.compile(r"[a-z]{2,3}")
# Control characters, which PostgreSQL and terminals choke on, and the marks that turn text about.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff\ufeff]+")

Answer = bool | float | str | None


def check_analysis(analysis: Analysis, turns: Sequence[Turn], taxonomy: Taxonomy) -> Analysis:
    """The part of `analysis` that stands up to the conversation and the taxonomy; checking it again changes nothing.

    A quote stands in the turn that it names, in the turn's own words; one from another turn gets that turn's index; one
    that was never said is dropped. Numbers are brought into their range, texts cut, labels outside the lists dropped.
    `skipped` tells what is missing or not borne out:

    - `reason`: `label_outside_taxonomy`; `summary`: `missing`
    - `reason`, `summary`, `outcome`, `sentiment`: `unsupported` where the claim has no quote left
    - `next_steps`, `answers.CODE`: `unsupported` where some were dropped for that; `answers.CODE`: `invalid_answer`
    """
    evidence = tuple(_found(analysis.evidence, turns))
    supported = {item.field for item in evidence}
    skipped = list(analysis.skipped)
    reason_code = analysis.reason_code
    if reason_code is not None and reason_code not in taxonomy.codes:
        reason_code = None
        skipped.append(SkippedFeature("reason", "label_outside_taxonomy"))
    steps, evidence = _supported_steps(analysis.next_steps, evidence)
    if len(steps) < len(analysis.next_steps):
        skipped.append(SkippedFeature("next_steps", "unsupported"))
    answers, refused = _checked_answers(analysis.answers, taxonomy, supported)
    skipped += refused
    checked = replace(
        analysis,
        headline=_headline(analysis, reason_code, taxonomy),
        summary=_cut(analysis.summary, SUMMARY_LENGTH),
        reason_code=reason_code,
        reason_confidence=_within(analysis.reason_confidence, 0.0, 1.0) if reason_code else None,
        secondary_reason_codes=_secondary(analysis.secondary_reason_codes, reason_code, taxonomy),
        next_steps=steps,
        sentiment=_mood(analysis.sentiment),
        subject=_cut(analysis.subject, SUBJECT_LENGTH),
        language=analysis.language.lower() if _LANGUAGE.fullmatch(analysis.language.lower()) else "",
        answers=answers,
        evidence=tuple(item for item in evidence if not _is_of_dropped_answer(item, answers)),
    )
    if not checked.summary:
        skipped.append(SkippedFeature("summary", "missing"))
    skipped += [SkippedFeature(field, "unsupported") for field in _claims(checked) if field not in supported]
    return replace(checked, skipped=tuple(dict.fromkeys(skipped)))


def _found(evidence: Sequence[Evidence], turns: Sequence[Turn]) -> Iterator[Evidence]:
    seen = set()
    for item in evidence:
        found = find_quote(item.quote, turns, item.turn)
        if found and (item.field, found) not in seen:
            seen.add((item.field, found))
            yield Evidence(item.field, found.turn, found.quote)


def _claims(analysis: Analysis) -> Iterator[str]:
    """The fields that say something about the call, and so need a quote."""
    if analysis.reason_code not in {None, OTHER, INSUFFICIENT}:
        yield "reason"
    if analysis.summary:
        yield "summary"
    if analysis.outcome is not Outcome.UNKNOWN or analysis.is_resolved is not None:
        yield "outcome"
    if analysis.sentiment != Sentiment():
        yield "sentiment"


def _supported_steps(
    steps: Sequence[NextStep], evidence: Sequence[Evidence]
) -> tuple[tuple[NextStep, ...], tuple[Evidence, ...]]:
    """The steps that have a quote, and the evidence with their new numbers."""
    supported = {item.field for item in evidence}
    kept = [
        index for index, step in enumerate(steps) if f"next_steps.{index}" in supported and _cut(step.text, STEP_LENGTH)
    ][:MAX_STEP_COUNT]
    renamed = {f"next_steps.{old}": f"next_steps.{new}" for new, old in enumerate(kept)}
    return (
        tuple(
            NextStep(_cut(steps[index].text, STEP_LENGTH), _cut(steps[index].owner, 80), steps[index].due_on)
            for index in kept
        ),
        tuple(
            replace(item, field=renamed.get(item.field, item.field))
            for item in evidence
            if item.field in renamed or not item.field.startswith("next_steps.")
        ),
    )


def _checked_answers(
    answers: Mapping[str, Answer], taxonomy: Taxonomy, supported: set[str]
) -> tuple[dict[str, Answer], list[SkippedFeature]]:
    """An answer for each of the owner's questions: None where there is none, or none of the question's kind."""
    checked: dict[str, Answer] = {}
    refused = []
    for question in taxonomy.questions:
        given = answers.get(question.code)
        field = f"answers.{question.code}"
        checked[question.code] = answer = _typed(given, question)
        if given is not None and answer is None:
            refused.append(SkippedFeature(field, "invalid_answer"))
        elif answer is not None and field not in supported:
            checked[question.code] = None
            refused.append(SkippedFeature(field, "unsupported"))
    return checked, refused


def _typed(answer: Answer, question: Question) -> Answer:
    if question.kind is AnswerKind.YES_NO:
        return answer if isinstance(answer, bool) else None
    if question.kind is AnswerKind.NUMBER:
        is_number = isinstance(answer, (int, float)) and not isinstance(answer, bool) and math.isfinite(answer)
        return answer if is_number else None
    if not isinstance(answer, str):
        return None
    if question.kind is AnswerKind.CHOICE:
        return answer if answer in question.choices else None
    return _cut(answer, ANSWER_LENGTH) or None


def _is_of_dropped_answer(item: Evidence, answers: Mapping[str, Answer]) -> bool:
    return item.field.startswith("answers.") and answers.get(item.field.removeprefix("answers.")) is None


def _headline(analysis: Analysis, reason_code: str | None, taxonomy: Taxonomy) -> str:
    return _cut(analysis.headline, HEADLINE_LENGTH) or (taxonomy.label(reason_code) if reason_code else "")


def _secondary(codes: Sequence[str], reason_code: str | None, taxonomy: Taxonomy) -> tuple[str, ...]:
    known = dict.fromkeys(code for code in codes if taxonomy.reason(code) and code != reason_code)
    return tuple(known)[:MAX_SECONDARY_COUNT]


def _mood(mood: Sentiment) -> Sentiment:
    return Sentiment(*(_within(value, -MOOD_LIMIT, MOOD_LIMIT) for value in (mood.start, mood.end, mood.overall)))


def _within(value: float | None, least: float, most: float) -> float | None:
    if value is None or math.isnan(value):
        return None
    return min(most, max(least, value))


def _cut(text: str, length: int) -> str:
    """The text on one line without unprintable signs; where longer than `length`, cut at a word with an ellipsis."""
    plain = " ".join(_UNPRINTABLE.sub(" ", text).split())
    if len(plain) <= length:
        return plain
    whole_words = plain[:length].rsplit(" ", 1)[0] if " " in plain[:length] else ""
    # A word longer than half the room is cut in two rather than lost.
    kept = whole_words if len(whole_words) > length // 2 else plain[: length - 1]
    return kept[: length - 1].rstrip(" ,;:-") + "…"
