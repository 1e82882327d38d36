"""Made-up card numbers, said and written in the ways of callers, in little dialogues that know where they stand."""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from calls.redaction_patterns import luhn_holds

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_PREFIXES = {
    "4": 16,
    "51": 16,
    "55": 16,
    "2221": 16,
    "2720": 16,
    "6011": 16,
    "65": 16,
    "35": 16,
    "34": 15,
    "37": 15,
    "36": 14,
}

# What stands around a number. The first of each pair names a card, the second does not.
_ASKS = ("Can I have the number on the front of your card, please?", "All right. Whenever you are ready.")
_LEADS = (
    ("Sure, it's", "Okay, my card number is", "Yes, hang on. So it is"),
    ("Sure, it's", "Okay, so", "Yeah hold on,"),
)
_TAILS = ("", ". Did you get that?", ", and the name is Ben Wells", ". That's it.")
_NEXT = ("", "", "and ", "then ", "okay, ", "and the next ones are ", "it goes on ")
_REPEATING = ("", "", "Okay, ", "So that's ", "I have ")
_NODS = ("Mm-hm.", "Okay.", "Go on.", "Got it.", "Yes?", "Right, and the next ones?")
_AFTER = ("Thank you. That has gone through.", "Perfect, thanks. Anything else I can help you with today?")


@dataclass(frozen=True)
class Dialogue:
    """Turns, and where each word or figure that tells the number stands: (turn, start, end)."""

    texts: Sequence[str]
    speakers: Sequence[str]
    digit_words: Sequence[tuple[int, int, int]]


def card_number(draw: random.Random) -> str:
    """A number that may be one: a prefix that is in use, its length, the right check digit."""
    prefix = draw.choice(list(_PREFIXES))
    body = prefix + "".join(draw.choices("0123456789", k=_PREFIXES[prefix] - 1 - len(prefix)))
    return next(body + check for check in "0123456789" if luhn_holds(body + check))


def _groups(digits: str) -> list[str]:
    sizes = {15: (4, 6, 5), 14: (4, 6, 4)}.get(len(digits), (4, 4, 4, 4))
    edges = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    return [digits[a:b] for a, b in pairwise(edges)]


def words(digits: str, zero: str = "zero") -> str:
    """Each figure as a word."""
    return " ".join(zero if figure == "0" else WORDS[int(figure)] for figure in digits)


def _repeated(digits: str) -> str:
    said = []
    for match in re.finditer(r"(\d)\1{0,2}", digits):
        repeat = {1: "", 2: "double ", 3: "triple "}[len(match.group())]
        said.append(repeat + WORDS[int(match.group(1))])
    return " ".join(said)


def _pair(pair: str) -> str:
    if len(pair) < 2 or pair[0] == "0":
        return words(pair, "oh")
    tens, unit = pair[0], pair[1]
    if tens == "1":
        return _TEENS[int(unit)]
    return _TENS[int(tens)] + (f"-{WORDS[int(unit)]}" if unit != "0" else "")


def _in_pairs(digits: str) -> str:
    odd = len(digits) % 2
    return " ".join([*(WORDS[int(f)] for f in digits[:odd]), *(_pair(pair) for pair in re.findall("..", digits[odd:]))])


def _hesitating(digits: str, draw: random.Random) -> str:
    said = words(_groups(digits)[0])
    for group in _groups(digits)[1:]:
        said += draw.choice((", uh, ", " um ", " and then ", "... ", ", okay, ", " then ")) + words(group)
    return said


def _mixed(digits: str, draw: random.Random) -> str:
    return " ".join(
        group if draw.random() < 0.5 else words(group, draw.choice(("zero", "oh"))) for group in _groups(digits)
    )


# Twelve; each says a number in one turn, or gives the pieces of several.
STYLES: dict[str, Callable[[str, random.Random], str | list[str]]] = {
    "figures": lambda d, _: d,
    "groups of four": lambda d, _: " ".join(_groups(d)),
    "dashes": lambda d, draw: draw.choice(("-", "–", " - ")).join(_groups(d)),
    "dots and commas": lambda d, draw: draw.choice((".", ", ", ". ")).join(_groups(d)),
    "digit words": lambda d, draw: words(d) if draw.random() < 0.5 else ", ".join(words(g) for g in _groups(d)),
    "oh for zero": lambda d, _: words(d, "oh"),
    "double and triple": lambda d, _: _repeated(d),
    "pairs": lambda d, _: _in_pairs(d),
    "hesitating": _hesitating,
    "words and figures": _mixed,
    "the agent repeats": lambda d, draw: [g if draw.random() < 0.5 else words(g) for g in _groups(d)],
    "the customer pauses": lambda d, draw: [g if draw.random() < 0.5 else words(g) for g in _groups(d)],
}


def planted(style: str, count: int, draw: random.Random) -> list[Dialogue]:
    """`count` dialogues with a number each, in this style."""
    return [_dialogue(style, card_number(draw), draw, named=i % 2 == 0, known=i % 3 != 0) for i in range(count)]


def said_with_one_lost(count: int, draw: random.Random, *, named: bool) -> list[Dialogue]:
    """Numbers in words of which a speech engine has lost one figure."""
    made = []
    for _ in range(count):
        digits, at = card_number(draw), draw.randrange(14)
        made.append(_dialogue("digit words", digits[:at] + digits[at + 1 :], draw, named=named, known=True))
    return made


def _dialogue(style: str, digits: str, draw: random.Random, *, named: bool, known: bool) -> Dialogue:
    told = STYLES[style](digits, draw)
    lead, ask = draw.choice(_LEADS[0 if named else 1]), _ASKS[0 if named else 1]
    turns: list[tuple[str, str, str, str]] = [("agent", ask, "", "")]
    if isinstance(told, str):
        turns.append(("customer", f"{lead} ", told, draw.choice(_TAILS)))
    for place, group in enumerate(told if isinstance(told, list) else []):
        turns.append(("customer", f"{lead} " if not place else draw.choice(_NEXT), group, ""))
        if style == "the agent repeats":
            repeated = draw.choice((group, words(group) if group.isdigit() else group))
            turns.append(("agent", draw.choice(_REPEATING), repeated, draw.choice(("", ".", "?", ", okay."))))
        elif draw.random() < 0.6:
            turns.append(("agent", draw.choice(_NODS), "", ""))
    turns.append(("agent", draw.choice(_AFTER), "", ""))
    digit_words = [
        (index, len(before) + word.start(), len(before) + word.end())
        for index, (_, before, number, _) in enumerate(turns)
        for word in re.finditer(r"\w+", number)
        if word.group() not in {"uh", "um", "and", "then", "okay"}
    ]
    texts = ["".join(parts) for _, *parts in turns]
    return Dialogue(texts, [speaker if known else "unknown" for speaker, *_ in turns], digit_words)
