"""The check that every analysis passes, whoever made it: its claims must be borne out by the call's own words."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from calls.analysis import Analysis, Evidence, NextStep, Outcome, Sentiment, SkippedFeature
from calls.quotes import find_quote
from calls.reasons import INSUFFICIENT, OTHER, AnswerKind, Question, Taxonomy
from calls.suspicion import without_orders, without_the_prompt
from calls.transcript import Turn

HEADLINE_LENGTH = 90
SUMMARY_LENGTH = 2_000
SUBJECT_LENGTH = 120
STEP_LENGTH = 300
ANSWER_LENGTH = 500
MAX_STEP_COUNT = 10
MAX_SECONDARY_COUNT = 3
MOOD_LIMIT = 5.0

# A word that names something: longer than most that only join others.
_NAME = re.compile(r"\w{4,}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
# Control characters, which PostgreSQL and terminals choke on, and the marks that turn text about.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff\ufeff]+")

_ONE_BY_ONE = ("answers.", "secondary_reasons.")
_OF_SALES = (Outcome.SALE, Outcome.NO_SALE)

Answer = bool | float | str | None


def check_analysis(analysis: Analysis, turns: Sequence[Turn], taxonomy: Taxonomy) -> Analysis:
    """The part of `analysis` that stands up to the conversation and the taxonomy; checking it again changes nothing.

    A quote stands in the turn that it names, in the turn's own words; one from another turn gets that turn's index; one
    that was never said is dropped, and so is one out of words that give orders to the reader of the call. Numbers are
    brought into their range, texts cut, labels outside the lists dropped. `skipped` tells what is missing or not borne
    out:

    - `reason`: `label_outside_taxonomy`; `summary`: `missing`; `outcome`: `no_sales_reason` where it tells of a sale
    - `headline`, `reason`, `summary`, `outcome`, `sentiment`: `unsupported` where the claim has no quote left
    - `next_steps`, `secondary_reasons`, `subject`, `answers.CODE`: `unsupported` where some were dropped for that;
      `answers.CODE`: `invalid_answer`
    - every claim: `suspicious_instruction` where anybody in the call gives orders to its reader; what rests on nothing
      else is dropped, and the reason has no confidence
    - `headline`, `summary`, `next_steps`, `subject`, `answers.CODE`: `leaked_prompt` where the text was the prompt's
    """
    skipped = list(analysis.skipped)
    checked = replace(analysis, evidence=tuple(_found(analysis.evidence, turns)))
    checked, told = without_orders(checked, turns, taxonomy)
    skipped += told
    checked, told = without_the_prompt(checked)
    skipped += told
    supported = {item.field for item in checked.evidence}
    reason_code = checked.reason_code
    if reason_code is not None and reason_code not in taxonomy.codes:
        reason_code = None
        skipped.append(SkippedFeature("reason", "label_outside_taxonomy"))
    secondary, told = _secondary(checked.secondary_reason_codes, reason_code, taxonomy, supported)
    skipped += told
    steps, evidence = _supported_steps(checked.next_steps, checked.evidence)
    if len(steps) < len(checked.next_steps):
        skipped.append(SkippedFeature("next_steps", "unsupported"))
    answers, told = _checked_answers(checked.answers, taxonomy, supported)
    skipped += told
    subject = _cut(checked.subject, SUBJECT_LENGTH)
    if subject and "subject" not in supported and not _is_named(subject, turns):
        subject = ""
        skipped.append(SkippedFeature("subject", "unsupported"))
    outcome = checked.outcome
    if outcome in _OF_SALES and not _is_about_sales(reason_code, secondary, taxonomy):
        outcome = Outcome.UNKNOWN
        skipped.append(SkippedFeature("outcome", "no_sales_reason"))
    kept = {f"answers.{code}" for code, answer in answers.items() if answer is not None}
    kept |= {f"secondary_reasons.{code}" for code in secondary}
    checked = replace(
        checked,
        headline=_headline(checked, reason_code, taxonomy),
        summary=_cut(checked.summary, SUMMARY_LENGTH),
        reason_code=reason_code,
        reason_confidence=_within(checked.reason_confidence, 0.0, 1.0) if reason_code else None,
        secondary_reason_codes=secondary,
        outcome=outcome,
        next_steps=steps,
        sentiment=_mood(checked.sentiment),
        subject=subject,
        language=checked.language.lower() if _LANGUAGE.fullmatch(checked.language.lower()) else "",
        answers=answers,
        evidence=tuple(item for item in evidence if item.field in kept or not item.field.startswith(_ONE_BY_ONE)),
    )
    if not checked.summary:
        skipped.append(SkippedFeature("summary", "missing"))
    skipped += [SkippedFeature(field, "unsupported") for field in _claims(checked) if field not in supported]
    if checked.headline not in {"", _label(reason_code, taxonomy)} and not {"reason", "summary"} & supported:
        skipped.append(SkippedFeature("headline", "unsupported"))
    return replace(checked, skipped=tuple(dict.fromkeys(skipped)))


def plain_text(text: str) -> str:
    """The text on one line, without unprintable signs."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


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


def _headline(analysis: Analysis, reason_code: str | None, taxonomy: Taxonomy) -> str:
    return _cut(analysis.headline, HEADLINE_LENGTH) or _label(reason_code, taxonomy)


def _label(reason_code: str | None, taxonomy: Taxonomy) -> str:
    return taxonomy.label(reason_code) if reason_code else ""


def _secondary(
    codes: Sequence[str], reason_code: str | None, taxonomy: Taxonomy, supported: set[str]
) -> tuple[tuple[str, ...], list[SkippedFeature]]:
    """The first few that are in the list and have a quote."""
    known = list(dict.fromkeys(code for code in codes if taxonomy.reason(code) and code != reason_code))
    kept = [code for code in known if f"secondary_reasons.{code}" in supported]
    refused = [SkippedFeature("secondary_reasons", "unsupported")] if len(kept) < len(known) else []
    return tuple(kept[:MAX_SECONDARY_COUNT]), refused


def _is_named(subject: str, turns: Sequence[Turn]) -> bool:
    """Whether somebody said one of the subject's own words: a name in the call's language needs no quote."""
    names = _NAME.findall(subject.casefold()) or subject.casefold().split()
    return any(name in f" {turn.text.casefold()}" for turn in turns for name in names)


def _is_about_sales(reason_code: str | None, secondary: Sequence[str], taxonomy: Taxonomy) -> bool:
    reasons = (taxonomy.reason(code) for code in (reason_code, *secondary) if code)
    return any(reason is not None and reason.is_sales for reason in reasons)


def _mood(mood: Sentiment) -> Sentiment:
    return Sentiment(*(_within(value, -MOOD_LIMIT, MOOD_LIMIT) for value in (mood.start, mood.end, mood.overall)))


def _within(value: float | None, least: float, most: float) -> float | None:
    if value is None or math.isnan(value):
        return None
    return min(most, max(least, value))


def _cut(text: str, length: int) -> str:
    """The text on one line without unprintable signs; where longer than `length`, cut at a word with an ellipsis."""
    plain = plain_text(text)
    if len(plain) <= length:
        return plain
    whole_words = plain[:length].rsplit(" ", 1)[0] if " " in plain[:length] else ""
    # A word longer than half the room is cut in two rather than lost.
    kept = whole_words if len(whole_words) > length // 2 else plain[: length - 1]
    return kept[: length - 1].rstrip(" ,;:-") + "…"
