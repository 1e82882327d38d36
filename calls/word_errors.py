"""How wrong a transcript is: word and character errors against what was really said, with their intervals."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NORMALISATION = (
    "lower case; punctuation gone but for apostrophes in words, hyphens split words; text in square brackets gone;"
    " numbers, contractions and hesitations as they are written"
)
_RESAMPLES = 2000
_MARKS = re.compile(r"\[[^\]]*\]")
_WORD = re.compile(r"\w+(?:'\w+)*")
_APOSTROPHES = str.maketrans("’‘ʼ`", "''''")


def normalise(text: str) -> list[str]:
    """The words that are compared, by NORMALISATION."""
    plain = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES).lower()
    return _WORD.findall(_MARKS.sub(" ", plain).replace("_", " "))


@dataclass(frozen=True)
class Errors:
    """What has to be changed to get from the reference to what was heard; errors of several calls add up."""

    reference_count: int = 0
    substitution_count: int = 0
    deletion_count: int = 0
    insertion_count: int = 0

    @property
    def count(self) -> int:
        """All of them."""
        return self.substitution_count + self.deletion_count + self.insertion_count

    def __add__(self, other: "Errors") -> "Errors":
        return Errors(*(getattr(self, name) + getattr(other, name) for name in Errors.__dataclass_fields__))


@dataclass(frozen=True)
class Rate:
    """A rate over calls: the sum of the parts over the sum of the wholes, with its 95 % interval."""

    value: float
    low: float
    high: float


def align(reference: Sequence[str], heard: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """The cheapest way from the one to the other: pairs of places, None for what was left out or put in.

    Of ways with as many errors one that matches the most words is taken.
    """
    steps = _steps(*_as_numbers(reference, heard))
    pairs: list[tuple[int | None, int | None]] = []
    at, there = len(reference), len(heard)
    while at or there:
        step = steps[at, there]
        if step == _PAIR:
            at, there = at - 1, there - 1
            pairs.append((at, there))
        elif step == _LEFT_OUT:
            at -= 1
            pairs.append((at, None))
        else:
            there -= 1
            pairs.append((None, there))
    return pairs[::-1]


def word_errors(reference: Sequence[str], heard: Sequence[str]) -> Errors:
    """The errors of one alignment."""
    pairs = align(reference, heard)
    return Errors(
        reference_count=len(reference),
        substitution_count=sum(r is not None and h is not None and reference[r] != heard[h] for r, h in pairs),
        deletion_count=sum(h is None for _, h in pairs),
        insertion_count=sum(r is None for r, _ in pairs),
    )


def character_distance(reference: str, heard: str) -> int:
    """How many characters have to be changed, put in or left out."""
    first, second = (np.frombuffer(text.encode("utf-32-le"), np.uint32) for text in (reference, heard))
    row = np.arange(len(second) + 1, dtype=np.int64)
    for character in first:
        row = _next_row(row, (second != character).astype(np.int64), 1)
    return int(row[-1])


def rate_over(parts: Sequence[tuple[float, float]]) -> Rate | None:
    """The rate of (part, whole) pairs, one a call, with an interval by the bootstrap over calls (percentiles, seeded).

    None where there is no whole. The interval of one call is that call, which says nothing of its width.
    """
    pairs = np.array(parts, dtype=np.float64).reshape(-1, 2)
    whole = pairs[:, 1].sum()
    if whole == 0:
        return None
    drawn = np.random.default_rng(0).integers(0, len(pairs), (_RESAMPLES, len(pairs)))
    sums = pairs[drawn].sum(axis=1)
    rates = sums[sums[:, 1] > 0]
    low, high = np.percentile(rates[:, 0] / rates[:, 1], [2.5, 97.5])
    return Rate(round(float(pairs[:, 0].sum() / whole), 4), round(float(low), 4), round(float(high), 4))


_PAIR, _LEFT_OUT, _PUT_IN = 0, 1, 2


def _as_numbers(*texts: Sequence[str]) -> tuple[NDArray[np.int64], ...]:
    numbers: dict[str, int] = {}
    return tuple(np.array([numbers.setdefault(w, len(numbers)) for w in words], dtype=np.int64) for words in texts)


def _steps(reference: NDArray[np.int64], heard: NDArray[np.int64]) -> NDArray[np.uint8]:
    """For each pair of prefixes the last step of the cheapest way, one byte each."""
    # An error costs more than all matches together bring, so that matches decide between ways of as many errors.
    error = len(reference) + 1
    steps = np.full((len(reference) + 1, len(heard) + 1), _PUT_IN, dtype=np.uint8)
    steps[:, 0] = _LEFT_OUT
    row = np.arange(len(heard) + 1, dtype=np.int64) * error
    for place, word in enumerate(reference, start=1):
        pair = np.where(heard == word, -1, error)
        following = _next_row(row, pair, error)
        is_pair, is_left_out = following[1:] == row[:-1] + pair, following[1:] == row[1:] + error
        steps[place, 1:] = np.where(is_pair, _PAIR, np.where(is_left_out, _LEFT_OUT, _PUT_IN))
        row = following
    return steps


def _next_row(row: NDArray[np.int64], pair: NDArray[np.int64], error: int) -> NDArray[np.int64]:
    """The next row of the table of costs: numpy has no step that looks to its left, but a running minimum."""
    best = np.empty_like(row)
    best[0] = row[0] + error
    best[1:] = np.minimum(row[:-1] + pair, row[1:] + error)
    place = np.arange(len(row)) * error
    running: NDArray[np.int64] = np.minimum.accumulate(best - place) + place
    return running
