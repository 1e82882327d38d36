"""Words that somebody looks for in a conversation, marked where they are said."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from calls.unsure import Run


@dataclass(frozen=True)
class ShownRun:
    """A stretch of a turn that is shown alike: what the engine was not sure of, what is looked for, or the rest."""

    text: str
    is_unsure: bool = False
    is_found: bool = False


def mark_words(runs: Sequence[Run], words: str) -> list[ShownRun]:
    """The runs of one turn with the places that contain `words` cut out; letters' case and kinds of blanks do not
    count. "" is found nowhere.
    """
    whole = "".join(run.text for run in runs)
    places = find_words(whole, words)
    if not places:
        return [ShownRun(run.text, run.is_unsure) for run in runs]
    shown: list[ShownRun] = []
    at = 0
    for run in runs:
        end = at + len(run.text)
        cuts = sorted({at, end, *(cut for place in places for cut in place if at < cut < end)})
        for first, last in pairwise(cuts):
            is_found = any(start <= first and last <= stop for start, stop in places)
            shown.append(ShownRun(whole[first:last], run.is_unsure, is_found))
        at = end
    return shown


def find_words(text: str, words: str) -> list[tuple[int, int]]:
    """Where `words` stand in `text`, as (start, end), from left to right; quotation marks around them do not count."""
    parts = words.replace('"', " ").split()
    if not parts:
        return []
    pattern = re.compile(r"\s+".join(re.escape(part) for part in parts), re.IGNORECASE)
    return [found.span() for found in pattern.finditer(text)]
