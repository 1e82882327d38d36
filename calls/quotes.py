"""Finding a quote in what was said: by words, without regard to case, punctuation and ways of writing."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from calls.transcript import Turn

# One word, or one sign of a script that is written without spaces.
_WORD = re.compile(r"[぀-ヿ㐀-鿿豈-﫿฀-๿]|(?:(?![぀-ヿ㐀-鿿豈-﫿฀-๿])[^\W_])+(?:['’](?:[^\W_])+)*")
# A single "yes" is found in any call and supports nothing, unless the turn says no more than that.
MIN_WORD_COUNT = 2


@dataclass(frozen=True)
class FoundQuote:
    """Where a quote stands: the turn's index, and the turn's own words as they are written there."""

    turn: int
    quote: str


@dataclass(frozen=True)
class _Words:
    """The words of a text in their comparable form, and where each stands in it."""

    words: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]


def find_quote(quote: str, turns: Sequence[Turn], turn_index: int) -> FoundQuote | None:
    """Where `quote` was said: in the turn of that index, else in the first turn that holds it; None where in none.

    Words must follow each other as in the turn; case, punctuation, accents written apart and the form of apostrophes do
    not count.
    """
    wanted = _words(quote).words
    if not wanted:
        return None
    named_first = sorted(turns, key=lambda turn: turn.index != turn_index)
    for turn in named_first:
        said = _words(turn.text)
        if len(wanted) < MIN_WORD_COUNT and len(said.words) >= MIN_WORD_COUNT:
            continue
        at = _place(wanted, said.words)
        if at is not None:
            start, end = said.spans[at][0], said.spans[at + len(wanted) - 1][1]
            return FoundQuote(turn.index, turn.text[start:end])
    return None


def word_count(text: str) -> int:
    """How many words a text has; of scripts without blanks every sign is one."""
    return len(_words(text).words)


def _place(wanted: tuple[str, ...], said: tuple[str, ...]) -> int | None:
    for at in range(len(said) - len(wanted) + 1):
        if said[at] == wanted[0] and said[at : at + len(wanted)] == wanted:
            return at
    return None


@lru_cache(maxsize=4096)
def _words(text: str) -> _Words:
    matches = list(_WORD.finditer(text))
    words = tuple(_comparable(match.group()) for match in matches)
    return _Words(words, tuple(match.span() for match in matches))


def _comparable(word: str) -> str:
    plain = unicodedata.normalize("NFKC", word).casefold()
    return unicodedata.normalize("NFC", plain.replace("'", "").replace("’", ""))
