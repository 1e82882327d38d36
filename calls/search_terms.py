"""What somebody looks for, as words and phrases; where they stand in a text, and how well a text fits."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

# Letters and digits make words; everything else parts them.
_WORD = re.compile(r"[^\W_]+")
_PIECE = re.compile(r'"([^"]*)"?|(\S+)')
MAX_TERMS = 12
_MAX_WORDS = 30
# What stands in the headline and the summary weighs so much more than what was said somewhere in the call.
_ABOUT_WEIGHT = 4.0
# A word that is there twice tells more than once, but not twice as much (BM25's k1).
_SATURATION = 1.2
_AROUND = 70


@dataclass(frozen=True)
class Terms:
    """Runs of words, lower case, each of which has to be there, its words side by side."""

    runs: tuple[tuple[str, ...], ...] = ()

    @cached_property
    def _patterns(self) -> list[re.Pattern[str]]:
        return [
            re.compile(r"(?<![^\W_])" + r"[\W_]+".join(map(re.escape, run)) + r"(?![^\W_])", re.IGNORECASE)
            for run in self.runs
        ]

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where the runs stand in the text (begin, end), in order; overlapping ones are one."""
        found = sorted(match.span() for pattern in self._patterns for match in pattern.finditer(text))
        joined: list[tuple[int, int]] = []
        for begin, end in found:
            if joined and begin < joined[-1][1]:
                joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
            else:
                joined.append((begin, end))
        return joined

    def count_in(self, text: str) -> int:
        """How many of the runs stand in the text."""
        return sum(pattern.search(text) is not None for pattern in self._patterns)

    def score(self, about: str, said: str) -> float:
        """How well a call fits: the more often its runs are there, and the more in what it was about."""
        weighed = 0.0
        for pattern in self._patterns:
            count = _ABOUT_WEIGHT * len(pattern.findall(about)) + len(pattern.findall(said))
            weighed += count / (count + _SATURATION)
        return weighed


@dataclass(frozen=True)
class Excerpt:
    """A part of a text with the places (begin, end) in it that were looked for; `is_cut` tells of more before it and
    behind it.
    """

    text: str
    places: tuple[tuple[int, int], ...]
    is_cut: tuple[bool, bool] = (False, False)


def read_terms(text: str) -> Terms:
    """The runs of words in what was typed: "in quotes" they belong together, as do words that no space parts."""
    runs: dict[tuple[str, ...], None] = {}
    word_count = 0
    for quoted, bare in _PIECE.findall(text):
        run = tuple(_WORD.findall((quoted or bare).lower()))[: _MAX_WORDS - word_count]
        if run:
            runs.setdefault(run)
            word_count += len(run)
        if len(runs) == MAX_TERMS or word_count == _MAX_WORDS:
            break
    return Terms(tuple(runs))


def excerpt(text: str, places: Sequence[tuple[int, int]]) -> Excerpt:
    """The part around the first of these places, cut at words."""
    first = places[0][0] if places else 0
    begin, end = max(0, first - _AROUND), min(len(text), first + 2 * _AROUND)
    if begin:
        begin = text.find(" ", begin, first) + 1 or begin
    if end < len(text):
        space = text.rfind(" ", first, end)
        end = space if space > first else end
    inside = tuple((max(a, begin) - begin, min(b, end) - begin) for a, b in places if a < end and b > begin)
    return Excerpt(text[begin:end], inside, (begin > 0, end < len(text)))
