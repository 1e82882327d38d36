"""ROUGE (Lin, 2004): how many words, pairs of words, or words in order a summary shares with one that a person wrote.

Words are lower-case runs of letters and digits, as in Google's `rouge_score` without its stemmer. Of several reference
summaries each is compared by itself, and the best F1 counts.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence

_WORD = re.compile(r"[a-z0-9]+")


def rouge_1(summary: str, references: Sequence[str]) -> float:
    """The best F1 over single words; 0 where there is nothing to compare."""
    return _best(summary, references, lambda ours, theirs: _shared(ours, theirs, 1))


def rouge_2(summary: str, references: Sequence[str]) -> float:
    """The best F1 over pairs of neighbouring words."""
    return _best(summary, references, lambda ours, theirs: _shared(ours, theirs, 2))


def rouge_l(summary: str, references: Sequence[str]) -> float:
    """The best F1 over the longest run of words in common, gaps allowed."""
    return _best(summary, references, _in_order)


Counted = tuple[int, int, int]


def _best(summary: str, references: Sequence[str], count: Callable[[list[str], list[str]], Counted]) -> float:
    ours = _WORD.findall(summary.lower())
    return max((_f1(*count(ours, _WORD.findall(one.lower()))) for one in references), default=0.0)


def _f1(hits: int, ours: int, theirs: int) -> float:
    return 2 * hits / (ours + theirs) if hits else 0.0


def _shared(ours: list[str], theirs: list[str], length: int) -> Counted:
    mine, other = (
        Counter(tuple(words[i : i + length]) for i in range(len(words) - length + 1)) for words in (ours, theirs)
    )
    return sum((mine & other).values()), sum(mine.values()), sum(other.values())


def _in_order(ours: list[str], theirs: list[str]) -> Counted:
    row = [0] * (len(theirs) + 1)
    for word in ours:
        before = 0
        for place, other in enumerate(theirs, start=1):
            kept = row[place]
            row[place] = before + 1 if word == other else max(row[place], row[place - 1])
            before = kept
    return row[-1], len(ours), len(theirs)
