"""Digits as people write and say them: "4111 1111", "four one double one", "forty one eleven"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_UNITS = {"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7"}
_UNITS |= {"eight": "8", "nine": "9", "oh": "0", "nought": "0", "naught": "0", "niner": "9"}
_TEENS = {"ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15"}
_TEENS |= {"sixteen": "16", "seventeen": "17", "eighteen": "18", "nineteen": "19"}
_TENS = {"twenty": "2", "thirty": "3", "forty": "4", "fourty": "4", "fifty": "5", "sixty": "6", "seventy": "7"}
_TENS |= {"eighty": "8", "ninety": "9"}
_HUNDREDS = {"hundred": "00", "thousand": "000"}
_REPEATS = {"double": 2, "triple": 3, "treble": 3}
# Speech engines write these for digits that were said; they count only between two digits ("one for two").
_SOUNDS_LIKE = {"o": "0", "to": "2", "too": "2", "for": "4", "ate": "8", "won": "1", "tree": "3", "fife": "5"}
# What people say between the groups of a long number without ending it.
_FILLERS = frozenset({"uh", "um", "er", "erm", "and", "then", "okay", "ok", "yes", "yeah", "dash", "hyphen", "space"})

_NUMBER_WORDS = frozenset().union(_UNITS, _TEENS, _TENS, _HUNDREDS, _REPEATS)

_PIECE = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+")
# Anything else between two pieces ends a number: a full stop and a capital, a currency sign, a bracketed mark.
_GLUE = re.compile(r"[\s,.\-–—()/+_·\u200b\u2060\ufeff]*")


@dataclass(frozen=True)
class DigitRun:
    """One number, as read: `text[start:end]` says or writes `digits`; `is_written` where figures alone stand there.

    `group_count` counts the words or groups of figures that it was read from.
    """

    start: int
    end: int
    digits: str
    is_written: bool
    group_count: int


class _Piece(NamedTuple):
    start: int
    end: int
    word: str
    is_filler: bool = False


def has_numbers(text: str) -> bool:
    """Whether a number may stand in `text`: where not, `digit_runs` finds none, whatever it may bridge."""
    words = _PIECE.findall(text.lower())
    return not _NUMBER_WORDS.isdisjoint(words) or any(map(str.isdigit, words))


def digit_runs(text: str, *, bridge_word_count: int = 0) -> Iterator[DigitRun]:
    """The numbers of `text`, from left to right, each as long as it goes.

    Groups may be parted by spaces, hyphens, dots, commas, brackets and by what people say in between ("uh", "and
    then"). `bridge_word_count` other words may stand between two groups: a speech engine that mishears one digit breaks
    a number in two. English number words and the figures of any script are known.
    """
    if not has_numbers(text):
        return
    run: list[_Piece] = []
    skipped: list[_Piece] = []
    others = 0
    for match in _PIECE.finditer(text):
        word = match.group().lower()
        if not run and not _is_number(word):
            continue
        piece = _Piece(match.start(), match.end(), word)
        broken = bool(run) and not _GLUE.fullmatch(text, (skipped or run)[-1].end, piece.start)
        if broken:
            yield from _read(run)
            run, skipped, others = [], [], 0
        # "4 2 0 O": at the end, too, but not in "5 o clock".
        if _is_number(piece.word) or (piece.word == "o" and len(run) >= 3):
            run += [*skipped, piece] if run else [piece]
            skipped, others = [], 0
        elif run:
            others += piece.word not in _FILLERS and piece.word not in _SOUNDS_LIKE
            if others > bridge_word_count or len(skipped) >= 3 + bridge_word_count:
                yield from _read(run)
                run, skipped, others = [], [], 0
            else:
                skipped.append(_Piece(piece.start, piece.end, piece.word, is_filler=piece.word not in _SOUNDS_LIKE))
    yield from _read(run)


def is_filler(word: str) -> bool:
    """Whether people say `word` between the groups of a number without ending it."""
    return word.lower() in _FILLERS


def _is_number(word: str) -> bool:
    return word in _NUMBER_WORDS or word.isdigit()


def _read(run: list[_Piece]) -> Iterator[DigitRun]:
    """The run's digits; nothing where it holds none ("double")."""
    numbers = [piece for piece in run if not piece.is_filler]
    digits, repeat, tens = "", 1, ""
    for piece in numbers:
        word = piece.word
        if word in _REPEATS:
            digits, tens, repeat = digits + _full(tens), "", _REPEATS[word]
        elif word in _TENS:
            digits, tens = digits + _full(tens), _TENS[word]
        elif tens and word in _UNITS and _UNITS[word] != "0":
            digits, tens = digits + tens + _UNITS[word], ""
        else:
            digits, tens = digits + _full(tens) + _value(word) * repeat, ""
            repeat = 1
    digits += _full(tens)
    # A lone "oh" is no zero.
    if digits and any(piece.word != "oh" for piece in numbers):
        written = all(piece.word.isdigit() for piece in numbers)
        yield DigitRun(run[0].start, run[-1].end, digits, written, len(numbers))


def _full(tens: str) -> str:
    return tens + "0" if tens else ""


def _value(word: str) -> str:
    if word.isdigit():
        return "".join(str(int(figure)) for figure in word) if word.isdecimal() else ""
    for table in (_UNITS, _TEENS, _HUNDREDS, _SOUNDS_LIKE):
        if word in table:
            return table[word]
    return ""
