"""Postal addresses, written as such or announced by what is said."""

import re
from collections.abc import Iterator, Sequence

from calls.redaction_screens import has_any, has_figures, in_small
from calls.spoken_digits import digit_runs

_STREET = (
    r"(?:street|avenue|road|boulevard|highway|parkway|terrace|crescent|court|lane|drive|place|square|close|way|alley)"
)
_SHORT_STREET = r"(?:St|Ave|Rd|Blvd|Hwy|Pkwy|Ln|Dr|Ct|Pl|Sq|Ter|Cres)\b\.?"
_HOUSE = r"\d{1,6}(?:[-–/]\d{1,4})?[A-Za-z]?"
_NAME = r"[A-ZÀ-Þ0-9][\w'’.\-]{0,30}"
_FLAT = r"(?i:apartment|apt\.?|suite|ste\.?|unit|flat|floor|room)\s+#?\w{1,6}"
_SIDE = r"(?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)\b"
_ROMANCE = r"(?:(?:de|del|della|dei|du|des|da|do|la|las|le|les|los)\s+|[ld]['’]\s?){0,3}"
_WRITTEN = re.compile(
    # "1600 Pennsylvania Avenue NW, Apt 4": capitals, as people and speech engines write them.
    rf"(?<![\w#$€£.,:])(?:{_FLAT},?\s+)?{_HOUSE},?\s+(?:{_NAME}\s+){{1,3}}?(?:(?i:{_STREET})\b|{_SHORT_STREET})"
    rf"(?:\s+{_SIDE})?(?:,?\s+{_FLAT})?|"
    # "Hauptstraße 12a", "Kerkstraat 5".
    r"\b[A-ZÄÖÜ][\wäöüß\-]{1,40}(?:straße|strasse|str\.|weg|platz|gasse|allee|ufer|straat|laan|plein|gracht|kade)"
    r"\s+\d{1,4}\s?[a-z]?\b|"
    # "12 bis rue de la Paix".
    r"(?<![\w.,])\d{1,4}(?:\s?(?:bis|ter))?,?\s+(?i:rue|avenue|boulevard|place|chemin|impasse|allée|quai|cours)\s+"
    rf"{_ROMANCE}{_NAME}(?:\s+{_NAME})?|"
    # "Calle Mayor 5", "Via Roma, 10", "ul. Długa 7".
    r"\b(?:Calle|Avenida|Avda\.?|Plaza|Paseo|C/|Via|Viale|Piazza|Corso|Rua|[Uu]l\.|[Uu]lica|Aleja|al\.)\s*"
    rf"{_ROMANCE}{_NAME}(?:\s+{_NAME}){{0,2}}?,?\s+\d{{1,4}}[a-zA-Z]?\b"
)
_POSTCODE = r"(?:\d{5}(?:-\d{4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[ABD-HJLNP-UW-Z]{2}|\d{4} ?[A-Z]{2}|\d\d-\d{3})\b"
# The town, the state and its code that follow an address.
_REST = re.compile(
    rf"(?:,?\s+(?:in\s+)?{_NAME}(?:\s{_NAME}){{0,2}}){{0,2}}?(?:,?\s*[A-Z]{{2}}\b)?,?\s*{_POSTCODE}"
    rf"(?:\s+[A-Z][\w\-]{{1,30}})?"
)
_NOT_MAIL = r"(?<!mail )(?<!web )(?<!ip )(?<!site )"
_FOREIGN = r"anschrift|adresse|dirección|indirizzo|adres"
# Says that one's own address follows.
_ANNOUNCES = re.compile(
    rf"\b(?:my|our)(?: \w+)? {_NOT_MAIL}address\b(?: is|['’]s|:)?|\b(?:i|we) live (?:at|on|in)\b|"
    rf"\b(?:zip|post(?:al)?) ?code\b(?: is|['’]s|:)?|\b(?:meine|unsere) (?:anschrift|adresse)(?: ist|:)?|"
    rf"\bmi dirección(?: es|:)?|\bmon adresse(?: est|:)?|\bil mio indirizzo(?: è|:)?|\bmijn adres(?: is|:)?",
    re.IGNORECASE,
)
_ASKS = re.compile(
    rf"{_NOT_MAIL}\baddress\b|\bwhere do you live\b|\b(?:zip|post(?:al)?) ?code\b|\b(?:{_FOREIGN})\b", re.IGNORECASE
)
# One of these is in whatever announces an address or asks for one.
ADDRESS_SCREEN = ("address", "live", "code", "anschrift", "adres", "dirección", "indirizzo")
_MAIL = re.compile(r"\be[ -]?mails?\b|\bweb ?site\b|\bip address\b", re.IGNORECASE)
# Where an address that is said ends: at a sentence's end, or at words that begin something else.
_SAID_END = re.compile(
    r"[.!?;](?=\s|$)|,?\s(?=(?:and (?:my|i|the|could|can)|but|because|so|thank|thanks|please|is that|can you|could you|"
    r"my|would|i (?:need|want|have|am|was|would|can|just|think|also|don['’]?t))\b|i['’]m\b)",
    re.IGNORECASE,
)
_IN_ADDRESS = re.compile(rf"\b(?:{_STREET}|apartment|suite|flat|p\.? ?o\.? box)\b|{_POSTCODE}", re.IGNORECASE)
_OPENING = re.compile(
    r"(?:\s|,|(?:yes|yeah|sure|okay|of course|certainly|it['’]?s|it is|that['’]?s|that is|um|uh)\b)*", re.I
)
_NOD = re.compile(
    r"(?:(?:okay|ok|yes|yeah|yep|right|uh[ -]?huh|mm[ -]?hmm?|mhm|alright|all right|got it|go on|sure)[ ,.]*){1,3}",
    re.I,
)
_LONGEST_SAID = 120
_MARK = "[ADDRESS]"


def find_addresses(text: str, asked: str = "", *, goes_on: bool = False) -> Iterator[tuple[int, int]]:
    """Where postal addresses stand; `asked` is what the other side asked for just before.

    `goes_on` where the turn before broke off in the middle of one ("my address is zero zero one" - "main street").

    One that is written as addresses are needs no word of explanation. What is only said ("my address is twelve main
    street in forest ranch") is one from the words that announce it, or from the question, to the end of what is said,
    as long as there is a number or a street in it.
    """
    # None is written without the number of a house.
    for match in _WRITTEN.finditer(text) if has_figures(text) else ():
        rest = _REST.match(text, match.end())
        yield match.start(), rest.end() if rest else match.end()
    if goes_on and (end := _said_end(text, 0)):
        yield 0, end
    for announced in _announced(text, asked):
        start = _OPENING.match(text, announced).end()  # type: ignore[union-attr]
        end = _said_end(text, start)
        told = text[start:end]
        # What is long is marked up to a point: the mark, and what follows it, is no address again.
        if told.startswith(_MARK):
            continue
        if _IN_ADDRESS.search(told) or next(digit_runs(told), None):
            yield start, end


def breaks_off(text: str, found: Sequence[tuple[int, int]]) -> bool:
    """Whether the turn ends in the middle of an address: with one of `found`, that is, and without a full stop."""
    return any(end == len(text) and end > start for start, end in found) and text[-1:] not in ".!?"


def is_nod(text: str) -> bool:
    """Whether this only says that the other side may go on."""
    return bool(_NOD.fullmatch(text.strip()))


def asks_for_address(text: str) -> bool:
    """Whether the other side is asked for a postal address, or for a part of one."""
    return has_any(in_small(text), ADDRESS_SCREEN) and bool(_ASKS.search(text)) and not _MAIL.search(text)


def _announced(text: str, asked: str) -> Iterator[int]:
    """Where what may be an address begins."""
    announced = list(_ANNOUNCES.finditer(text)) if has_any(in_small(text), ADDRESS_SCREEN) else []
    if not announced and asks_for_address(asked):
        yield 0
    for match in announced:
        if not _MAIL.search(match.group()):
            yield match.end()


def _said_end(text: str, start: int) -> int:
    """Where what is said from `start` on ends: no word is cut."""
    ended = _SAID_END.search(text, start + 1)
    end = ended.start() if ended else len(text)
    if end - start > _LONGEST_SAID:
        end = text.rfind(" ", start, start + _LONGEST_SAID)
    return max(end, start)
