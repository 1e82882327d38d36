"""Words of a call that give orders to whoever reads it: a model must not follow them, and no claim may rest on them.

Nothing here decides what a model does. It finds what a claim must not be borne out by, so that an answer that obeyed is
seen for one, and it finds more than the plain wording: letters that were spelled out, look-alike letters, words in
disorder, text that was turned round or encoded, orders that are parted over several turns of one speaker.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from calls.injection_disguises import COMPACT, FILLERS, MARKUP, OFTEN_SCRAMBLED, TELLING, WITHOUT_GAPS
from calls.injection_languages import SPACED, UNSPACED
from calls.injection_patterns import ENGLISH, IMPERATIVES, OWN_DEED
from calls.transcript import Speaker, Turn

# So many words before and after an order belong to it: what it wants is said there.
MARGIN_WORD_COUNT = 25
_MIN_SPELLED = 4
_MIN_SCRAMBLED = 6
# Turns with fewer blanks say no more than that somebody listens.
_MIN_GAPS = 2
# Words in which digits stand among letters, from which on lone digits are letters, too.
_MIN_MIXED = 3

_JOINERS = "\u00ad\u200b-\u200f\u2060-\u2064\ufeff'’"
_TOKEN = re.compile(rf"(?:[^\W_]|[{_JOINERS}])+|[_:=]|[.?!;\n…。！？]")
_JOINER = re.compile(rf"[{_JOINERS}]")
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{24,}={0,2}")
_SIGNS = {"_": "underscore", ":": "colon", "=": "equals"}
# Letters that no decomposition makes plain, and those of other scripts that look like Latin ones.
_PLAIN = str.maketrans({"ø": "o", "æ": "ae", "ł": "l", "đ": "d", "ı": "i", "œ": "oe"})
_LOOK_ALIKE = str.maketrans("авеікмнорстухѕјԁһɡαεικνορτυχ", "abeikmhopctyxsjdhgaeiknoptux")
_AS_LETTERS = str.maketrans("0134578", "oieastb")
# The spelling alphabet of telephony and aviation: each word stands for its first letter.
_SPELLED = (
    *("alpha", "alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet", "juliett"),
    *("kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor"),
    *("whiskey", "whisky", "xray", "yankee", "zulu"),
)
_NATO = {word: word[0] for word in _SPELLED}
_SCRAMBLED = {(word[0], "".join(sorted(word))): word for word in OFTEN_SCRAMBLED}
_ONE_LESS = {word[:at] + word[at + 1 :]: word for word in OFTEN_SCRAMBLED for at in range(1, len(word) - 1)}


@dataclass(frozen=True, order=True)
class Span:
    """Characters `start` to `end` of the text of turn `turn`."""

    turn: int
    start: int
    end: int


def find_injections(turns: Sequence[Turn], codes: Iterable[str] = ()) -> tuple[Span, ...]:
    """Where somebody gives orders to the reader of the call, the words around them included, in order.

    `codes` are the taxonomy's: who says one that is written with an underscore talks to a machine.
    """
    dictated = tuple(sorted(code.replace("_", " underscore ") for code in codes if "_" in code))
    found: set[Span] = set()
    for speaker in Speaker:
        own = [turn for turn in turns if turn.speaker is speaker]
        spoken = set(_spoken(own, dictated))
        if speaker is Speaker.UNKNOWN:
            # Both sides are in here: "Sorry?" between two halves of an order is the other one's.
            spoken |= set(_spoken([turn for turn in own if turn.text.count(" ") >= _MIN_GAPS], dictated))
        told = {span.turn for span in spoken}
        found |= spoken
        found |= {
            Span(turn.index, 0, len(turn.text)) for turn in own if turn.index not in told and _is_written(turn.text)
        }
    return merged(found)


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same characters in as few spans as it takes, in order."""
    joined: list[Span] = []
    for span in sorted(spans):
        last = joined[-1] if joined else None
        if last and last.turn == span.turn and span.start <= last.end:
            joined[-1] = Span(last.turn, last.start, max(last.end, span.end))
        else:
            joined.append(span)
    return tuple(joined)


def overlaps(span: Span, others: Iterable[Span]) -> bool:
    """Whether any character of `span` is in one of `others`."""
    return any(other.turn == span.turn and other.start < span.end and span.start < other.end for other in others)


def _spoken(turns: Sequence[Turn], dictated: tuple[str, ...]) -> Iterator[Span]:
    """Orders in plain words, also over several turns; the words around them only within the turns that they touch."""
    words = [word for turn in turns for word in _words(turn)]
    places = [word.place for word in words]
    text = " ".join(word.plain for word in words)
    starts = [0, *accumulate(len(word.plain) + 1 for word in words)]
    found = [
        (bisect_right(starts, start) - 1, bisect_right(starts, end - 1) - 1) for start, end in _matches(text, dictated)
    ]
    found += [(at, at) for at, word in enumerate(words) if word.is_spelled and COMPACT.search(word.plain)]
    for first, last in found:
        begin, stop = first, last
        while begin > 0 and places[begin - 1].turn == places[first].turn and first - begin < MARGIN_WORD_COUNT:
            begin -= 1
        while stop + 1 < len(places) and places[stop + 1].turn == places[last].turn and stop - last < MARGIN_WORD_COUNT:
            stop += 1
        for turn in {place.turn for place in places[begin : stop + 1]}:
            own = [place for place in places[begin : stop + 1] if place.turn == turn]
            yield Span(turn, own[0].start, own[-1].end)


@dataclass(frozen=True)
class _Word:
    """A word in plain form and its place; `is_spelled` is one whose letters were said one by one."""

    plain: str
    place: Span
    is_spelled: bool = False


def _words(turn: Turn) -> Iterator[_Word]:
    """The turn's words; letters that were spelled out are one word."""
    said = [
        _Word(_plain(match.group()), Span(turn.index, match.start(), match.end()))
        for match in _TOKEN.finditer(turn.text)
    ]
    said = [word for word in said if word.plain not in FILLERS]
    if sum(_is_mixed(turn.text[word.place.start : word.place.end]) for word in said) >= _MIN_MIXED:
        said = [_Word(word.plain.translate(_AS_LETTERS), word.place) for word in said]
    spelled: list[_Word] = []
    for word in [*said, None]:
        if word and ((len(word.plain) == 1 and word.plain.isalpha()) or word.plain in _NATO):
            spelled.append(word)
            continue
        if word and word.plain == "|" and spelled:
            # "I. G. N. O. R. E.": the stops are the engine's.
            continue
        if len(spelled) >= _MIN_SPELLED:
            joined = "".join(_NATO.get(one.plain, one.plain) for one in spelled)
            yield _Word(joined, Span(turn.index, spelled[0].place.start, spelled[-1].place.end), is_spelled=True)
        else:
            yield from spelled
        spelled = []
        if word:
            yield word


@lru_cache(maxsize=65_536)
def _plain(token: str) -> str:
    """A word in the form that patterns are written in; `|` for what ends a sentence."""
    if token in _SIGNS:
        return _SIGNS[token]
    text = _without_marks(_JOINER.sub("", token))
    if not text or not text[0].isalnum():
        return "|" if text else "'"
    if any(letter.isascii() and letter.isalpha() for letter in text) and not text.isascii():
        text = text.translate(_LOOK_ALIKE)
    if _is_mixed(text):
        text = text.translate(_AS_LETTERS)
    if len(text) < _MIN_SCRAMBLED - 1:
        return text
    return _SCRAMBLED.get((text[0], "".join(sorted(text)))) or _ONE_LESS.get(text, text)


def _is_mixed(text: str) -> bool:
    """Whether digits stand among letters, as in "1gn0re"."""
    return any(letter.isdigit() for letter in text) and any(letter.isalpha() for letter in text)


def _without_marks(text: str) -> str:
    """Lower case without accents."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).translate(_PLAIN)


def _matches(text: str, dictated: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    beginnings = {word[:3] for word in text.split(" ")}
    for pattern in _patterns():
        if (pattern.beginnings and not pattern.beginnings & beginnings) or (
            pattern.is_of_other_script and text.isascii()
        ):
            continue
        for match in pattern.words.finditer(text):
            if not (pattern.is_imperative and OWN_DEED.search(text, max(0, match.start() - 16), match.start())):
                yield match.span()
    for code in dictated:
        at = f" {text} ".find(f" {code} ")
        if at >= 0:
            yield at, at + len(code)


@dataclass(frozen=True)
class _Pattern:
    """A pattern, and the first three letters of words of which one must be said for it to match; none: any may be."""

    words: re.Pattern[str]
    is_imperative: bool = False
    is_of_other_script: bool = False
    beginnings: frozenset[str] = frozenset()


@lru_cache(maxsize=1)
def _patterns() -> tuple[_Pattern, ...]:
    made = [_Pattern(re.compile(one)) for one in ENGLISH]
    made += [_Pattern(re.compile(one), is_imperative=True) for one in IMPERATIVES]
    for language in SPACED.values():
        lift, rules, write, fields = map(
            _without_marks_in_pattern, (language.lift, language.rules, language.write, language.fields)
        )
        either = rf"\b(?:(?:{lift})(?: \S+){{0,8}}? (?:{rules})|(?:{rules})(?: \S+){{0,6}}? (?:{lift}))(?!\w)"
        made.append(_Pattern(re.compile(either), is_of_other_script=not rules.isascii(), beginnings=_beginnings(rules)))
        if write:
            dictated = re.compile(rf"\b(?:{write})(?: \S+){{0,6}}? (?:{fields})(?!\w)")
            made.append(_Pattern(dictated, beginnings=_beginnings(fields)))
        if language.other:
            made.append(_Pattern(re.compile(rf"\b(?:{_without_marks_in_pattern(language.other)})(?!\w)")))
    return tuple(made)


def _beginnings(pattern: str) -> frozenset[str]:
    """Of the words that a list of stems is made of; none where a stem may stand within a word."""
    if re.search(r"(?:^|[|(])\\w\*", pattern):
        return frozenset()
    return frozenset(stem[:3] for stem in re.findall(r"[^\W\d_]{2,}", re.sub(r"\\w", " ", pattern)))


def _without_marks_in_pattern(pattern: str) -> str:
    # Only letters are changed: `\W` of a pattern must not become `\w`.
    return re.sub(r"[^\x00-\x7f]+", lambda match: _without_marks(match.group()), pattern)


def _is_written(text: str) -> bool:
    """Whether a text holds an order by signs that nobody says, in a script without blanks, or hidden."""
    if MARKUP.search(text) or (not text.isascii() and any(pattern.search(text) for pattern in _unspaced())):
        return True
    if WITHOUT_GAPS.search(_letters(text)):
        return True
    plain = _tellings(text)
    if any(len(_tellings(view)) > max(1, len(plain)) for view in (text[::-1], codecs.encode(text, "rot13"))):
        return True
    return any(" " in decoded and decoded.isprintable() for decoded in _decoded(text))


def _tellings(text: str) -> frozenset[str]:
    return TELLING & frozenset(_TOKEN.findall(text.lower()))


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, _without_marks(text)))


@lru_cache(maxsize=1)
def _unspaced() -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"(?:{one}).{{0,24}}?(?:{two})|(?:{two}).{{0,24}}?(?:{one})") for one, two in UNSPACED)


def _decoded(text: str) -> Iterator[str]:
    """What the text holds in base64 or hex: nobody says either, and a model reads both."""
    for match in _ENCODED.finditer(text):
        encoded = match.group().rstrip("=")
        for decode in (base64.urlsafe_b64decode, base64.b64decode):
            with suppress(ValueError, binascii.Error):
                yield decode(encoded + "=" * (-len(encoded) % 4)).decode("ascii")
        with suppress(ValueError):
            yield bytes.fromhex(encoded).decode("ascii")
