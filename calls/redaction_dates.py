"""Dates of birth: a date is nothing in itself, so that the words around it must say what it is."""

import re
from collections.abc import Iterator

_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?|januar|februar|märz|mai|juni|juli|oktober|dezember|janvier|février|mars|avril|juin|"
    r"juillet|août|septembre|octobre|novembre|décembre|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|"
    r"octubre|noviembre|diciembre|gennaio|febbraio|aprile|maggio|giugno|luglio|settembre|ottobre|dicembre|januari|"
    r"februari|maart|mei|augustus|stycznia|lutego|marca|kwietnia|maja|czerwca|lipca|sierpnia|września|października|"
    r"listopada|grudnia)\b\.?"
)
_ORDINAL_UNIT = r"(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)"
_UNIT = r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)"
_TEEN = r"(?:ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen)"
_TEN = r"(?:twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)"
_BELOW_100 = rf"(?:{_TEN}(?:[ -]{_UNIT})?|{_TEEN}|{_UNIT})"
_DAY = (
    rf"(?:\d{{1,2}}(?:st|nd|rd|th|er|\.|º)?|(?:tenth|eleventh|twelfth|thirteenth|(?:four|fif|six|seven|eigh|nine)teenth|"
    rf"twentieth|thirtieth|{_ORDINAL_UNIT})|(?:twenty|thirty)[ -]{_ORDINAL_UNIT}|{_BELOW_100})"
)
_YEAR = (
    rf"(?:(?:19|20)\d\d|['’]\d\d|(?:two thousand|nineteen hundred)(?:(?: and)? {_BELOW_100})?|"
    rf"(?:nineteen|twenty)[ -](?:oh[ -])?{_BELOW_100}|one nine {_UNIT} {_UNIT}|two (?:zero|oh) {_UNIT} {_UNIT}|"
    rf"(?:{_TEN}|{_TEEN})(?:[ -]{_UNIT})?)"
)
_OF = r"(?:\s+(?:of|de|di|the))?\s+"
_GAP = r"[\s,]{1,3}"
_DATE = re.compile(
    rf"(?<![\w/])(?:\d{{1,2}}\s?[/.\-]\s?\d{{1,2}}\s?[/.\-]\s?(?:\d{{4}}|\d\d)|\d{{4}}[/.\-]\d{{1,2}}[/.\-]\d{{1,2}}|"
    rf"(?:the )?{_DAY}{_OF}{_MONTH}(?:{_OF}|{_GAP})(?P<year_last>{_YEAR})|(?:the )?{_DAY}{_OF}{_MONTH}|"
    rf"{_MONTH}\s+(?:the )?{_DAY}(?:{_GAP}(?P<year_after>{_YEAR}))?)(?!\w)",
    re.IGNORECASE,
)
_HAS_YEAR = re.compile(rf"\d{{4}}|[/.\-]\s?\d\d\s*$|{_YEAR}\s*$", re.IGNORECASE)
# Asks for the day itself, or tells it.
_BIRTH_DATE_WORDS = (
    r"(?:date of birth|birth ?date|d\.?o\.?b|geburtsdatum|date de naissance|fecha de nacimiento|data di nascita|"
    r"geboortedatum|data urodzenia)"
)
_BIRTH_DATE = re.compile(rf"\b{_BIRTH_DATE_WORDS}\b", re.IGNORECASE)
# May be about a party, so that only a date with a year counts.
_BIRTH_WORDS = r"(?:born|birth ?day|geboren|née? le|nacid[oa]|nat[oa] il|urodzon[ya]|nací)"
_BIRTH = re.compile(rf"\b{_BIRTH_WORDS}\b", re.IGNORECASE)
# Each of these words has one of these in it.
BIRTH_SCREEN = (
    *("birth", "dob", "d.ob", "do.b", "d.o.b", "geburt", "gebor", "geboo", "naissance", "nacim", "nascit", "urodz"),
    *("born", "né", "nacid", "nací", "nato", "nata"),
)
_BIRTH_REACH = 60


def find_birth_dates(text: str, before: str = "") -> Iterator[tuple[int, int]]:
    """Where dates of birth stand; `before` is what was asked for just before."""
    for match in _DATE.finditer(text):
        lead = f"{before} {text[: match.start()]}" if match.start() < _BIRTH_REACH else text[: match.start()]
        lead = lead[-_BIRTH_REACH - 40 :]
        if _BIRTH_DATE.search(lead) or (_BIRTH.search(lead) and _HAS_YEAR.search(match.group())):
            yield match.span()
