"""Outcome, mood and promises by stated rules: lists of cues, each read where it counts.

A baseline: it reads English, knows no irony, and where no cue stands it says nothing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from calls.analysis import NextStep, Outcome, Sentiment
from engines.offline_sentences import Sentence

_COURTESY_WEIGHT = 0.5
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_LEAST_WORDS_FOR_MOOD = 15

_DEEDS = (
    r"call|phone|send|email|mail|write|ask|talk|speak|check|come|visit|deliver|pay|refund|bring|return|contact|pick"
    r"|replace|repair|fix|arrange|book|cancel|order|get back|look into|wait|try|think"
)
_PROMISE = re.compile(
    r"\b(?:i|we|he|she|they|(?:the|our|my|a) (?:technician|engineer|driver|manager|supervisor|colleague|team|office))"
    rf"(?:'ll| will| am going to| are going to| is going to) (?!not\b)(?:\w+ ){{0,2}}?(?:{_DEEDS})\b",
    re.IGNORECASE,
)
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True)
class FoundOutcome:
    """How a call ended, and the sentence that says so; None where no cue stands."""

    outcome: Outcome
    is_resolved: bool | None
    sentence: Sentence | None


def find_outcome(sentences: Sequence[Sentence], *, is_sales: bool) -> FoundOutcome:
    """The first of these rules that holds, of two cues in one rule the later one said:

    a sales call: sale or no_sale, by what was agreed to or declined; a hand-over: escalated; a customer who is
    discontent in the last third, or an agent who cannot help: unresolved; a promise to come back to the customer:
    follow_up; a customer who is content in the last third, or an agent who says that it is done: resolved; else
    unknown. The second to fourth give way to a customer who is content after them.
    """
    ending = [s for s in sentences if s.place >= 2 * len(sentences) / 3]
    if is_sales:
        bought, declined = _last(sentences, "buys"), _last(sentences, "declines")
        if bought and not _is_after(declined, bought):
            return FoundOutcome(Outcome.SALE, True, bought)
        if declined:
            return FoundOutcome(Outcome.NO_SALE, None, declined)
    content = _last(ending, "is_content")
    for outcome, cue in (
        (Outcome.ESCALATED, _last(sentences, "hands_over")),
        (Outcome.UNRESOLVED, _last(ending, "is_discontent") or _last(ending, "cannot_help")),
        (Outcome.FOLLOW_UP, _last(sentences, "defers")),
    ):
        # A promise to call back often comes last ("I will call you tonight to make sure"), after the customer's thanks.
        is_settled = content is not None if outcome is Outcome.FOLLOW_UP else _is_after(content, cue)
        if cue and not is_settled:
            return FoundOutcome(outcome, False, cue)
    settled = content or _last(ending, "has_done")
    return FoundOutcome(Outcome.RESOLVED, True, settled) if settled else FoundOutcome(Outcome.UNKNOWN, None, None)


def find_mood(sentences: Sequence[Sentence]) -> tuple[Sentiment, list[Sentence]]:
    """The customer's mood in the first third, the last quarter and overall, and the sentences that show it.

    5 * (glad - cross) / (glad + cross + 1) over the words of the two lists; a word that is denied ("not happy") counts
    for the other side, courtesy counts half. Nothing is judged where the customer says too little or no such word.
    """
    own = [s for s in sentences if s.is_customers]
    if sum(s.word_count for s in own) < _LEAST_WORDS_FOR_MOOD:
        return Sentiment(), []
    feelings = [_feeling(s.text) for s in own]
    shown = [s for s, (glad, cross) in zip(own, feelings, strict=True) if glad or cross]
    if not shown:
        return Sentiment(), []
    third, quarter = -(-len(own) // 3), -(-len(own) // 4)
    return Sentiment(_mood(feelings[:third]), _mood(feelings[-quarter:]), _mood(feelings)), shown


def find_next_steps(sentences: Sequence[Sentence], called_on: date | None) -> list[tuple[NextStep, Sentence]]:
    """What somebody said that they would do ("I will send you ..."), with the day that they named, if any."""
    steps = []
    for sentence in sentences:
        promise = _PROMISE.search(sentence.text)
        if promise and sentence.text.rstrip()[-1] != "?" and not _cue("is_at_once").is_in(sentence):
            owner = "customer" if sentence.is_customers else "agent"
            due_on = _named_day(sentence.text, called_on) if called_on else None
            steps.append((NextStep(sentence.text, owner, due_on), sentence))
    return steps


@dataclass(frozen=True)
class _Cue:
    """A list of cues as one pattern; `said_by` is `customer`, `agent` or `anybody`."""

    said_by: str
    pattern: re.Pattern[str]

    def is_in(self, sentence: Sentence) -> bool:
        is_theirs = self.said_by == "anybody" or sentence.is_of_unknown
        is_theirs = is_theirs or sentence.is_customers == (self.said_by == "customer")
        return is_theirs and bool(self.pattern.search(sentence.text))


@cache
def _table() -> Mapping[str, Any]:
    path = Path(__file__).with_name("offline_cues.yaml")
    table: Mapping[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return table


@cache
def _cue(name: str) -> _Cue:
    for said_by, lists in _table()["cues"].items():
        if name in lists:
            return _Cue(said_by, re.compile("|".join(rf"\b(?:{cue})" for cue in lists[name]), re.IGNORECASE))
    raise KeyError(name)


@cache
def _mood_words(kind: str) -> frozenset[str]:
    return frozenset(_table()["mood"][kind])


def _last(sentences: Sequence[Sentence], cue_name: str) -> Sentence | None:
    """The last sentence with a cue of that list."""
    return next((sentence for sentence in reversed(sentences) if _cue(cue_name).is_in(sentence)), None)


def _is_after(sentence: Sentence | None, other: Sentence | None) -> bool:
    return sentence is not None and other is not None and sentence.place > other.place


def _feeling(text: str) -> tuple[float, float]:
    """How glad and how cross the words are."""
    glad = cross = 0.0
    words = [word.lower().replace("’", "'") for word in _WORD.findall(text)]
    for i, word in enumerate(words):
        is_denied = bool(_mood_words("denials") & set(words[max(0, i - 2) : i]))
        weight = _COURTESY_WEIGHT if word in _mood_words("courtesy") else 1.0
        if word in _mood_words("glad") and not (is_denied and word in {"thank", "thanks"}):
            glad, cross = (glad, cross + weight) if is_denied else (glad + weight, cross)
        elif word in _mood_words("cross"):
            glad, cross = (glad + weight, cross) if is_denied else (glad, cross + weight)
    return glad, cross


def _mood(feelings: Sequence[tuple[float, float]]) -> float:
    glad, cross = sum(feeling[0] for feeling in feelings), sum(feeling[1] for feeling in feelings)
    return round(5 * (glad - cross) / (glad + cross + 1), 1)


def _named_day(text: str, called_on: date) -> date | None:
    said = text.lower()
    if re.search(r"\b(?:today|tonight|this (?:morning|afternoon|evening))\b", said):
        return called_on
    if re.search(r"\btomorrow\b", said):
        return called_on + timedelta(days=1)
    for number, name in enumerate(_WEEKDAYS):
        if re.search(rf"\b{name}\b", said):
            return called_on + timedelta(days=(number - called_on.weekday() - 1) % 7 + 1)
    return None
