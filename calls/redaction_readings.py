"""A card's number that is read out in pieces: over several turns, with questions and words in between."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from calls.redaction_contexts import contexts_of
from calls.redaction_patterns import is_card
from calls.spoken_digits import DigitRun

# For so many turns after a card's number was spoken of may it be read out, and so long may its reader pause.
_READING_TURNS = 24
_READING_PAUSE = 6

# Read out, the pieces make up most of a card's number.
_LEAST_DIGITS = 12
# A turn of more words than this, after that, speaks of something else.
_INTERJECTION_WORDS = 6
# Where nobody spoke of a card: the groups of its number, and the words between two of them.
_GROUP_DIGITS = range(3, 13)
_MOST_GROUPS = 10
_WORDS_BETWEEN = 16

# Opens the reading out of a card's number.
_CARD_NUMBER = re.compile(
    r"\bcard(?:['’]s)? (?:number|details|information|info|digits|is|please)\b|"
    r"\b(?:number|digits|numbers)\b.{0,30}\bcard\b|"
    r"\b(?:long|16|sixteen)[ -](?:digit )?(?:card )?number\b|\b(?:visa|mastercard|amex|american express)\b",
    re.IGNORECASE,
)
# Ends it: something else is spoken of.
_OTHER_TOPIC = re.compile(
    r"\b(?:expir\w+|valid (?:until|thru|through)|anything else|zip ?code|post ?code|birth|address|e-?mail)\b",
    re.IGNORECASE,
)
OTHER_NUMBERS = frozenset({"CVV", "PIN", "SSN", "IBAN", "NATIONAL_ID", "ACCOUNT", "PHONE", "ORDER"})
_KNOWN_OTHERWISE = frozenset({"ORDER", "MONEY", "PHONE", "ACCOUNT", "NATIONAL_ID", "IBAN"})
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Part:
    """A run of digits in turn `turn`: `contexts` stand before it, nearest last, `own` of them in its own turn.

    `opens_turn`, `ends_turn`: nothing but a few words stands before it, after it. `kind` where it is read out as a
    part of something longer.
    """

    turn: int
    run: DigitRun
    contexts: tuple[str, ...]
    own: tuple[str, ...]
    opens_turn: bool
    ends_turn: bool
    kind: str | None = None


def read_out(parts: Sequence[Part], texts: Sequence[str]) -> set[Part]:
    """The parts that are read out after a card's number was spoken of.

    Someone asks for it, or announces it; then come groups of digits, from both sides where one repeats the other, until
    something else is spoken of. Only as many digits as most of a card's make it a number, so that "it ends in 7709"
    stays.
    """
    if not _is_card_read(parts):
        return set()
    digits = Counter[int]()
    for part in parts:
        digits[part.turn] += len(part.run.digits)
    read: set[Part] = set()
    for turns in _readings(texts, digits):
        group = [part for part in parts if part.turn in turns and not OTHER_NUMBERS.intersection(part.own[-1:])]
        if _is_card_read(group):
            read.update(group)
    return read


def _readings(texts: Sequence[str], digits: Counter[int]) -> Iterator[range]:
    """The turns in which a card's number may be read out; `digits` says how many each has."""
    index = 0
    while index < len(texts):
        end = index + 1
        if _CARD_NUMBER.search(texts[index]):
            end = _reading_end(texts, index, digits)
            yield range(index, end)
        index = end


def _reading_end(texts: Sequence[str], opening: int, digits: Counter[int]) -> int:
    last, count = opening, digits[opening]
    for turn in range(opening + 1, min(len(texts), opening + _READING_TURNS)):
        last, count = turn if digits[turn] else last, count + digits[turn]
        if count >= _LEAST_DIGITS and not digits[turn] and len(_WORD.findall(texts[turn])) > _INTERJECTION_WORDS:
            break
        says_other = _OTHER_TOPIC.search(texts[turn]) or OTHER_NUMBERS.intersection(contexts_of(texts[turn]))
        if says_other or turn - last > _READING_PAUSE:
            break
    return last + 1


def _is_card_read(group: Sequence[Part]) -> bool:
    """Whether these, said in more than one piece, make up a card's number: long enough, in groups of it."""
    groups = [part for part in group if len(part.run.digits) >= 2]
    return len(groups) > 1 and sum(len(part.run.digits) for part in groups) >= _LEAST_DIGITS


def scattered(parts: Sequence[Part], texts: Sequence[str], speakers: Sequence[str]) -> set[Part]:
    """The parts that one speaker says one after the other, with words in between, and that are a card's number.

    Nobody has spoken of a card, so that first digits, length and check must all be a card's, and each part one of its
    groups: "it is like 3723 like 868658 like 20132".
    """
    found: set[Part] = set()
    by_speaker: dict[str, list[Part]] = {}
    for part in parts:
        if len(part.run.digits) in _GROUP_DIGITS and not _KNOWN_OTHERWISE.intersection(part.own[-1:]):
            by_speaker.setdefault(speakers[part.turn], []).append(part)
    for said in by_speaker.values():
        for first in range(len(said)):
            for last in range(first + 1, min(len(said), first + _MOST_GROUPS)):
                group = said[first : last + 1]
                if not _is_near(group[-2], group[-1], texts):
                    break
                if is_card("".join(not_repeated([one.run for one in group]))):
                    found.update(group)
    return found


def not_repeated(runs: Sequence[DigitRun]) -> list[str]:
    """The digits of each part but those that repeat the part before, as a listener does."""
    return [run.digits for place, run in enumerate(runs) if not place or run.digits != runs[place - 1].digits]


def _is_near(last: Part, part: Part, texts: Sequence[str]) -> bool:
    """Whether few words are said between the two, by both sides together."""
    if last.turn == part.turn:
        between = [texts[part.turn][last.run.end : part.run.start]]
    else:
        between = [texts[last.turn][last.run.end :], *texts[last.turn + 1 : part.turn]]
        between.append(texts[part.turn][: part.run.start])
    return sum(1 for text in between for _ in islice(_WORD.finditer(text), _WORDS_BETWEEN + 1)) <= _WORDS_BETWEEN
