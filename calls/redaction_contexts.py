"""The words that say what a number is: before it, or in the other side's question."""

import re
from collections.abc import Sequence

from calls.redaction_screens import in_small
from calls.spoken_digits import digit_runs

# How far back a word such as "card" or "PIN" says what a number is, in characters.
CONTEXT_LENGTH = 70
# A turn as short as this ("sure", "one moment") leaves open what the one before it asked for.
_INTERJECTION_WORDS = 3

_ID_WORDS = (
    r"national (?:id|identity)(?: card)?(?: number)?|identity (?:card|number)|id card(?: number)?|"
    r"tax(?:payer)? (?:id|number)|"
    r"national insurance(?: number)?|n\.?i\.? number|nino|nhs number|medicare(?: number)?|social insurance(?: number)?|"
    r"passport(?: number)?|driver['’]?s? licen[cs]e(?: number)?|driving licen[cs]e(?: number)?|"
    r"steuer(?:liche)?[ -]?(?:id\w*|nummer)|ausweis(?:nummer)?|sozialversicherungsnummer|"
    r"num[ée]ro (?:de )?s[ée]curit[ée] sociale|"
    r"(?-i:NIR|NIE)|dni|nif|n[úu]mero de la seguridad social|codice fiscale|bsn|burgerservicenummer|pesel|personnummer|"
    r"cpr[- ]nummer|henkil[öo]tunnus|rijksregisternummer|cpf|aadhaar"
)
_CONTEXTS = {
    "CVV": r"cvv|cvc|cv2|csc|(?:security|card verification) (?:code|number)|(?:code|number) on the back|"
    r"(?<!last )(?:three|3)[ -]digits?|(?:four|4)[ -]digit code|back of (?:the|your|my) card",
    "PIN": r"pin|pin number|pin code|passcode|one[ -]time (?:code|password|pass ?code)|access code|otp|"
    r"(?:verification|text(?:ed)?) code",
    "SSN": r"social security(?: number)?|social(?! insurance)|ssn",
    "IBAN": r"iban|i ban",
    "NATIONAL_ID": _ID_WORDS,
    "BIRTH_DATE": r"date of birth|birth ?date|d\.?o\.?b",
    "CARD": r"card|visa|mastercard|master card|amex|american express|debit|credit|maestro|discover",
    "ACCOUNT": r"(?:bank|checking|savings) account|account (?:number|no|is)|acct\.?|routing(?: number)?|sort code",
    "PHONE": r"phone|telephone|mobile|handy(?:nummer)?|telefon(?:nummer)?|téléphone|portable|teléfono|telefono|"
    r"móvil|cellulare|telefoon|cell|cellphone|(?:call|text|reach) (?:me|you|us|him|her)|call(?: back)?",
    "ORDER": r"order|reference|invoice|tracking|ticket|case|serial|model|part|product|article|item|bar ?code|"
    r"flight|booking|confirmation",
    "MONEY": r"price|cost|dollar|euro|pound|total|amount|pay|paid",
}
_END = r"\b"
_ANY_CONTEXT = rf"\b(?:{'|'.join(f'(?P<{kind}>(?:{words})s?{_END})' for kind, words in _CONTEXTS.items())})"
_CONTEXT = re.compile(_ANY_CONTEXT, re.IGNORECASE)
# Without the two that are words in small letters: a pattern that heeds the case takes a third of the time.
_IN_CAPITALS = re.compile("NIR|NIE")
_CONTEXT_IN_SMALL = re.compile(_ANY_CONTEXT.replace("(?-i:NIR|NIE)", "(?!)"))
MARK = re.compile(r"\[[A-Z_]+\]")
_WORD = re.compile(r"[^\W_]+")


def contexts_of(text: str) -> tuple[str, ...]:
    """What the words of `text` say of a number that follows, nearest last: CVV, PIN, CARD, ORDER, ..."""
    found = _CONTEXT if _IN_CAPITALS.search(text) else _CONTEXT_IN_SMALL
    said = text if found is _CONTEXT else in_small(text)
    return tuple(match.lastgroup for match in found.finditer(said) if match.lastgroup)


def asked_before(texts: Sequence[str], index: int) -> str:
    """What the turns before `index` may ask it for: the end of the last one that says more than an interjection."""
    for before in range(index - 1, max(-1, index - 4), -1):
        asked = _asked_for(texts[before])
        if asked != MARK.sub(" ", texts[before])[-CONTEXT_LENGTH:]:
            # Whatever was asked before, this turn has answered.
            return asked
        if before == 0 or len(_WORD.findall(texts[before])) > _INTERJECTION_WORDS or contexts_of(asked):
            return asked
    return ""


def _asked_for(text: str) -> str:
    """What a turn's end may ask the next one for: nothing that it answers itself ("my PIN is 3941")."""
    answered = max((run.end for run in digit_runs(text) if len(run.digits) >= 3), default=0)
    return MARK.sub(" ", text[answered:])[-CONTEXT_LENGTH:]
