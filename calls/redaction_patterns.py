"""What cards, IBANs, e-mails and phone numbers look like, written and spoken."""

import re
from collections.abc import Iterator

from calls.redaction_screens import has_any, has_figures, in_small

# Lengths of the IBANs of the SWIFT registry's countries that are met most.
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20,
    "ES": 24, "FI": 18, "FR": 27, "GB": 22, "GI": 23, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26,
    "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25,
    "RO": 24, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TR": 26, "UA": 29,
}  # fmt: skip
_IBAN_START = re.compile(r"\b([A-Za-z]{2})\d{2}(?=[ -]?[A-Za-z0-9])")
_IBAN_PIECE = re.compile(r"[ -]?([A-Za-z0-9])")

# Every repetition is bounded: a transcript must not be able to keep a worker busy.
_EMAIL = re.compile(r"[\w.+%'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_SSN = re.compile(r"(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}")
_ENDING = r"(?:com|net|org|edu|gov|info|biz|io|co|uk|us|ca|au|de|fr|it|es|nl|be|ch|at|ie|eu|in|me)"
_AT_DOMAIN = re.compile(
    rf",?\s+(?:at|@)\s*(?P<domain>\w[\w-]{{0,62}}(?:\s+(?!dot\b)\w+){{0,2}}?)(?:\s+dot\s+\w+){{0,3}}?(?:\s+dot\s+|\.){_ENDING}\b"
    rf"(?:(?:\s+dot\s+|\.){_ENDING}\b){{0,2}}",
    re.IGNORECASE,
)
# One of these is in a domain, written or said.
_DOTS = (".", "dot")
_MAIL_HOST = re.compile(
    r"(?:g|google|hot|proton)\s?mail|yahoo|outlook|i\s?cloud|aol|proton|live|msn|gmx|me|comcast|verizon",
    re.IGNORECASE,
)
_MAIL_WORD = re.compile(r"\be[ -]?mails?\b|\bmail address\b|\bat sign\b", re.IGNORECASE)
_JOINED = frozenset({"dot", "underscore", "dash", "hyphen", "minus", "plus", "point"})
_NOT_LOCAL = frozenset(
    {"is", "it's", "its", "be", "to", "at", "on", "my", "your", "the", "that's", "email", "mail", "address", "under"}
    | {"yes", "okay", "sure", "um", "uh", "so", "me", "use", "as", "for", "looking", "bought", "ordered", "and"}
)
_LOCAL_WORDS = 12
_LOCAL_WORD = re.compile(r"[\w.+'-]+$")


def luhn_holds(digits: str) -> bool:
    """Whether the check digit of a card number is right (ISO/IEC 7812-1)."""
    total = 0
    for place, figure in enumerate(reversed(digits)):
        value = int(figure) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


# Prefixes in use and the lengths of their numbers (ISO/IEC 7812; the schemes' own pages).
_CARDS = (
    (re.compile(r"4"), (16, 13, 19)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"6(?:011|4[4-9]|5)|35(?:2[89]|[3-8])"), (16,)),
    (re.compile(r"3(?:0[0-5]|6|[89])"), (14,)),
    (re.compile(r"5[0678]|6"), (16, 19)),
)
_CARD_LENGTHS = (16, 15, 14, 13, 19)


def card_within(digits: str) -> bool:
    """Whether a card's number stands in longer figures, as where its expiry and code are read out with it."""
    return any(is_card(digits[start : start + length]) for start in range(len(digits) - 12) for length in _CARD_LENGTHS)


def is_card(digits: str) -> bool:
    """Whether this is a card's number by its first digits, its length and its check."""
    fits = any(prefix.match(digits) and len(digits) in lengths for prefix, lengths in _CARDS)
    return fits and luhn_holds(digits)


def might_be_phone(digits: str) -> bool:
    """Whether the digits alone look like a phone number.

    That is one of North America (area code and exchange begin with 2 to 9), or a national one of 10 to 12 digits from 0
    on, as in most of Europe.
    """
    if len(digits) == 11 and digits[0] == "1":
        digits = digits[1:]
    if 10 <= len(digits) <= 12 and digits[0] == "0":
        return digits[1] != "0"
    if len(digits) == 10:
        return digits[0] in "23456789" and digits[3] in "23456789"
    return False


def looks_like_ssn(written: str) -> bool:
    """Whether this is written as a social security number that may have been issued: three, two and four figures."""
    return bool(_SSN.fullmatch(written))


def find_ibans(text: str) -> Iterator[tuple[int, int]]:
    """Where IBANs stand, by their country's length and the check of ISO 7064 (mod 97)."""
    for start in _IBAN_START.finditer(text) if has_figures(text) else ():
        length = _IBAN_LENGTHS.get(start.group(1).upper())
        if length is None:
            continue
        code, end = start.group().upper(), start.end()
        while len(code) < length and (piece := _IBAN_PIECE.match(text, end)):
            code, end = code + piece.group(1).upper(), piece.end()
        followed = end < len(text) and text[end].isalnum()
        if len(code) == length and not followed and _mod_97_holds(code):
            yield start.start(), end


def _mod_97_holds(code: str) -> bool:
    return code.isascii() and int("".join(str(int(sign, 36)) for sign in code[4:] + code[:4])) % 97 == 1


def find_emails(text: str, before: str = "") -> Iterator[tuple[int, int]]:
    """Where e-mail addresses stand, written or spoken ("jane dot doe at example dot com").

    "I looked at example dot com" is no address: a spoken one needs a dot before the "at", a mail host, or a word such
    as "e-mail" shortly before, be it in `before`, what the other side said last.
    """
    for match in _EMAIL.finditer(text) if "@" in text else ():
        spoken_too = _last_word(text, match.start()).lower() in _JOINED
        yield _local_start(text, match.start(), is_certain=False) if spoken_too else match.start(), match.end()
    for match in _AT_DOMAIN.finditer(text) if has_any(in_small(text), _DOTS) else ():
        lead = text[: match.start()]
        is_certain = bool(_MAIL_HOST.fullmatch(match["domain"]) or _MAIL_WORD.search(f"{before} {lead[-80:]}"))
        start = _local_start(text, match.start(), is_certain=is_certain)
        if start < match.start():
            yield start, match.end()


def _local_start(text: str, end: int, *, is_certain: bool) -> int:
    """Where the part before the "at" begins: `end` when there is none.

    Words joined by "dot" or "underscore" belong to it; where it is certain that an address stands here, plain words
    before do too, since people spell their names.
    """
    start, is_joined = end, False
    for count in range(_LOCAL_WORDS):
        word = _last_word(text, start)
        if not word or word.lower().strip(".'-") in _NOT_LOCAL:
            break
        joins = word.lower() in _JOINED
        if count and not (is_joined or joins or is_certain):
            break
        start, is_joined = text.rindex(word, 0, start), joins
    words = text[start:end].lower().split()
    has_joint = any(word in _JOINED or "." in word[:-1] for word in words)
    return start if is_certain or has_joint else end


def _last_word(text: str, end: int) -> str:
    match = _LOCAL_WORD.search(text[max(0, end - 80) : end].rstrip())
    return match.group() if match else ""
