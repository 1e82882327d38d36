"""What is left of an analysis where somebody in the call gives orders to its reader, or where it repeats the prompt."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from calls.analysis import Analysis, Evidence, Outcome, Sentiment, SkippedFeature
from calls.injections import Span, find_injections, merged, overlaps
from calls.prompts import TASK
from calls.quotes import find_quote
from calls.reasons import Taxonomy
from calls.transcript import Turn

# Quotes of such words are kept under this field, whether the model named them or they were found here.
ORDERS = "addressed_to_model"
SUSPICIOUS = "suspicious_instruction"
LEAKED = "leaked_prompt"
# So many words of the prompt in a row are no chance.
_LEAK_WORD_COUNT = 8
_QUOTED_WORD_COUNT = 60

_WORD = re.compile(r"\w+")


def without_orders(
    analysis: Analysis, turns: Sequence[Turn], taxonomy: Taxonomy
) -> tuple[Analysis, list[SkippedFeature]]:
    """The analysis without what rests on words that give orders to the reader of the call alone, and the marks.

    Its quotes must have been found in the turns. Where there are such words every claim is marked, and the reason has
    no confidence: nobody can say what the words did to the rest of the answer.
    """
    said = {turn.index: turn.text for turn in turns}
    named = (place for item in analysis.evidence if item.field == ORDERS for place in _places(item, said))
    spans = merged([*find_injections(turns, taxonomy.codes), *named])
    if not spans:
        return analysis, []
    orders = [find_quote(_beginning(said[span.turn][span.start : span.end]), turns, span.turn) for span in spans]
    clean = [item for item in analysis.evidence if item.field != ORDERS and not _is_ordered(item, said, spans)]
    supported = {item.field for item in clean}
    fell = {item.field for item in analysis.evidence if item.field not in supported} - {ORDERS}
    steps = [index for index in range(len(analysis.next_steps)) if f"next_steps.{index}" not in fell]
    renamed = {f"next_steps.{old}": f"next_steps.{new}" for new, old in enumerate(steps)}
    left = replace(
        analysis,
        headline="" if "summary" in fell or not {"summary", "reason"} & supported else analysis.headline,
        summary="" if "summary" in fell else analysis.summary,
        reason_code=None if "reason" in fell else analysis.reason_code,
        reason_confidence=None,
        secondary_reason_codes=tuple(
            code for code in analysis.secondary_reason_codes if f"secondary_reasons.{code}" not in fell
        ),
        outcome=Outcome.UNKNOWN if "outcome" in fell else analysis.outcome,
        is_resolved=None if "outcome" in fell else analysis.is_resolved,
        next_steps=tuple(analysis.next_steps[index] for index in steps),
        sentiment=Sentiment() if "sentiment" in fell else analysis.sentiment,
        subject="" if "subject" in fell else analysis.subject,
        answers={code: None if f"answers.{code}" in fell else answer for code, answer in analysis.answers.items()},
        evidence=(
            *(replace(item, field=renamed.get(item.field, item.field)) for item in clean),
            *dict.fromkeys(Evidence(ORDERS, order.turn, order.quote) for order in orders if order),
        ),
    )
    return left, [SkippedFeature(feature, SUSPICIOUS) for feature in _claims(analysis)]


def without_the_prompt(analysis: Analysis) -> tuple[Analysis, list[SkippedFeature]]:
    """The analysis without texts that repeat the prompt, and the marks."""
    leaks = {
        "headline": analysis.headline,
        "summary": analysis.summary,
        "subject": analysis.subject,
        "next_steps": next((step.text for step in analysis.next_steps if _repeats_the_prompt(step.text)), ""),
        **{f"answers.{code}": answer for code, answer in analysis.answers.items() if isinstance(answer, str)},
    }
    leaked = {feature for feature, text in leaks.items() if _repeats_the_prompt(text)}
    if not leaked:
        return analysis, []
    kept = [index for index, step in enumerate(analysis.next_steps) if not _repeats_the_prompt(step.text)]
    renamed = {f"next_steps.{old}": f"next_steps.{new}" for new, old in enumerate(kept)}
    left = replace(
        analysis,
        headline="" if "headline" in leaked else analysis.headline,
        summary="" if "summary" in leaked else analysis.summary,
        subject="" if "subject" in leaked else analysis.subject,
        next_steps=tuple(analysis.next_steps[index] for index in kept),
        answers={code: None if f"answers.{code}" in leaked else answer for code, answer in analysis.answers.items()},
        evidence=tuple(
            replace(item, field=renamed.get(item.field, item.field))
            for item in analysis.evidence
            if item.field in renamed or not item.field.startswith("next_steps.")
        ),
    )
    return left, [SkippedFeature(feature, LEAKED) for feature in leaks if feature in leaked]


def _claims(analysis: Analysis) -> Iterator[str]:
    yield from ("reason", "summary")
    if analysis.outcome is not Outcome.UNKNOWN or analysis.is_resolved is not None:
        yield "outcome"
    if analysis.sentiment != Sentiment():
        yield "sentiment"
    if analysis.next_steps:
        yield "next_steps"
    if analysis.secondary_reason_codes:
        yield "secondary_reasons"
    if analysis.subject:
        yield "subject"
    yield from (f"answers.{code}" for code, answer in analysis.answers.items() if answer is not None)


def _is_ordered(item: Evidence, said: dict[int, str], spans: Iterable[Span]) -> bool:
    """Whether the quote stands nowhere in its turn but in such words."""
    return all(overlaps(place, spans) for place in _places(item, said))


def _places(item: Evidence, said: dict[int, str]) -> list[Span]:
    text, at = said[item.turn], -1
    places = []
    while (at := text.find(item.quote, at + 1)) >= 0:
        places.append(Span(item.turn, at, at + len(item.quote)))
    return places


def _beginning(text: str) -> str:
    """As much of a text as a person needs to see what it is."""
    words = list(_WORD.finditer(text))
    return text[: words[_QUOTED_WORD_COUNT - 1].end()] if len(words) > _QUOTED_WORD_COUNT else text


def _repeats_the_prompt(text: str) -> bool:
    return any(run in _runs_of_the_prompt() for run in _runs(text))


@lru_cache(maxsize=1)
def _runs_of_the_prompt() -> frozenset[tuple[str, ...]]:
    return frozenset(_runs(TASK))


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    return (tuple(words[at : at + _LEAK_WORD_COUNT]) for at in range(len(words) - _LEAK_WORD_COUNT + 1))
