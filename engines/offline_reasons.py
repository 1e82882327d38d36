"""The reason of a call by likeness to the taxonomy's own words: no training, no download."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calls.reasons import INSUFFICIENT, OTHER, Reason, Taxonomy
from engines.tfidf import STOP_WORDS, TfIdf

# With fewer customer words than this nobody could tell the reason.
MIN_CUSTOMER_WORDS = 5
# Callers begin with their matter: each further turn of theirs counts this much less. Never the first turn alone, which
# is a greeting as often as not.
_TURN_DECAY = 0.7
# What agents say repeats the matter in the company's words, but also offers things that nobody called for.
_AGENT_WEIGHT = 0.8
# Below this likeness the call is about none of the reasons. Of the demo calls with a quarter of their words misheard
# 1 in 100 stays below it, of dialogues about quite other things half; those above it get a low confidence.
_LIKENESS_FLOOR = 0.18
# The share of right answers over the margin between the two best reasons, fitted on the STAR dialogues.
_MARGIN_SLOPE, _MARGIN_OFFSET = 7.4, -0.1

_STOP_WORDS = STOP_WORDS - {"amount", "bill"}
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_LONGER_WORD = re.compile(r"\w\w+")
_ENDINGS = ("ations", "ation", "ings", "ing", "ments", "ment", "ies", "ed", "es", "s", "e", "y")
_SHORTEST_STEM = 3
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Match:
    """The reason that fits best, how sure that is (0..1), and the next ones, best first.

    `is_unsure`: whoever found it was not sure enough, as was measured on other calls.
    """

    code: str
    confidence: float
    runners_up: tuple[str, ...] = ()
    is_unsure: bool = False


class ReasonClassifier(Protocol):
    """Finds the reason of a call, and the words that speak for it."""

    def match(self, customer_turns: Sequence[str], agent_turns: Sequence[str]) -> Match:
        """The reason of a call in which these turns were said, in order."""

    def closest(self, code: str, texts: Sequence[str]) -> int | None:
        """Which of `texts` speaks most for the reason `code`; None when none does."""


class ReasonMatcher:
    """Compares calls with one taxonomy's labels, definitions and examples (TF-IDF over `terms`)."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._codes = [reason.code for reason in taxonomy.reasons]
        self._weights = TfIdf([described(reason) for reason in taxonomy.reasons], terms)
        self._reasons = self._weights.vectors

    def match(self, customer_turns: Sequence[str], agent_turns: Sequence[str]) -> Match:
        """The reason of a call in which these turns were said, in order."""
        said = sum(count_words(turn) for turn in customer_turns)
        if said < MIN_CUSTOMER_WORDS:
            return Match(INSUFFICIENT, round(1 - said / (2 * MIN_CUSTOMER_WORDS), 3))
        likeness = self._likeness(customer_turns, _TURN_DECAY) + _AGENT_WEIGHT * self._likeness([" ".join(agent_turns)])
        order = [int(i) for i in np.argsort(-likeness, kind="stable")]
        best = float(likeness[order[0]])
        if best < _LIKENESS_FLOOR:
            return Match(OTHER, round(1 - best / (2 * _LIKENESS_FLOOR), 3))
        second = float(likeness[order[1]]) if len(order) > 1 else 0.0
        margin = (best - second) / best
        confidence = 1 / (1 + math.exp(-(_MARGIN_SLOPE * margin + _MARGIN_OFFSET)))
        runners_up = tuple(self._codes[i] for i in order[1:3] if likeness[i] > 0.8 * best)
        return Match(self._codes[order[0]], round(confidence, 3), runners_up)

    def closest(self, code: str, texts: Sequence[str]) -> int | None:
        """Which of `texts` is most like the reason `code`; None when none has a word in common with it."""
        if code not in self._codes or not texts:
            return None
        likeness = self._weights.weigh(texts) @ self._reasons[self._codes.index(code)].T
        column = np.asarray(likeness.todense()).ravel()
        return int(column.argmax()) if column.max() > 0 else None

    def _likeness(self, turns: Sequence[str], decay: float = 1.0) -> NDArray[np.float64]:
        """The cosine of the turns, the k-th one weighted decay**k, with each reason."""
        vectors = self._weights.weigh(turns)
        whole = np.asarray(decay ** np.arange(vectors.shape[0], dtype=np.float64) @ vectors).ravel()
        length = float(np.linalg.norm(whole))
        return np.asarray(self._reasons @ whole, dtype=np.float64).ravel() / (length or 1.0)


def count_words(text: str) -> int:
    """How many words a text has."""
    return len(_WORD.findall(text))


def terms(text: str) -> list[str]:
    """The words of a text without the commonest ones, their stems (marked `~`), and the neighbouring pairs of both.

    Stems bring "booking" and "booked" together; words as they are keep "service" apart from "serving".
    """
    words = [word for word in _LONGER_WORD.findall(text.lower()) if word not in _STOP_WORDS]
    stems = [f"~{stem(word)}" for word in words]
    return [*words, *stems, *(f"{first} {second}" for said in (words, stems) for first, second in pairwise(said))]


def stem(word: str) -> str:
    """An English word without its ending; a doubled letter that this leaves is single again ("planning": "plan")."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            left = word.removesuffix(ending)
            is_doubled = len(left) > _SHORTEST_STEM and left[-1] == left[-2] and left[-1] not in "aeiols"
            return left[:-1] if is_doubled else left
    return word


def described(reason: Reason) -> str:
    """A reason as one text: label, definition, examples.

    Sentences of the definition that begin with "Not" are left out: they name what belongs elsewhere, and words do not
    know that they are denied.
    """
    parts = [part for part in _SENTENCE_END.split(reason.definition) if not part.startswith("Not ")]
    # The label twice: it is the owner's own name for the matter.
    return " ".join((reason.label, reason.label, *parts, *reason.examples))
