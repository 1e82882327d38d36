"""National identity numbers: how they are written, and the checks that they carry.

Sources of the checks: python-stdnum's descriptions and the issuing authorities' own, named at each.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date

from calls.redaction_screens import has_figures

_JOINT = r"[ .\-/]?"

# Written with letters or in a form of their own, so that they are known without a word of explanation.
_FORMS = {
    # US social security: area, group, serial; 000, 666 and 9xx are never areas.
    "SSN": r"(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}",
    # UK national insurance: not every pair of letters is issued; the last letter is A to D.
    "NINO": rf"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]{_JOINT}(?:\d\d{_JOINT}){{3}}[A-D]",
    # Spain: DNI and NIE.
    "DNI": rf"(?:\d{{8}}|\d\d[. ]\d{{3}}[. ]\d{{3}}|[XYZ]{_JOINT}\d{{7}}){_JOINT}[A-HJ-NP-TV-Z]",
    # Italy: codice fiscale; letters stand for figures where two people would have the same.
    "CF": r"[A-Z]{3} ?[A-Z]{3} ?[0-9L-NP-V]{2}[A-EHLMPRST][0-9L-NP-V]{2} ?[A-Z][0-9L-NP-V]{3}[A-Z]",
    # France: numéro de sécurité sociale (NIR) with its key; 2A and 2B are Corsica.
    "NIR": rf"[12]{_JOINT}\d\d{_JOINT}(?:0[1-9]|1[0-2]|[2-9]\d){_JOINT}(?:\d\d|2[AB])"
    rf"{_JOINT}\d{{3}}{_JOINT}\d{{3}}{_JOINT}\d\d",
    # Finland: henkilötunnus.
    "HETU": r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]",
    # Switzerland: AHV / AVS.
    "AHV": r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d",
}


def _any_of(names: Iterable[str]) -> re.Pattern[str]:
    forms = (rf"(?P<{name}>(?<![\w@]){_FORMS[name]}(?!\w|[.@]\w))" for name in names)
    return re.compile("|".join(forms), re.IGNORECASE | re.ASCII)


_WRITTEN = _any_of(_FORMS)
# The one that can be written without a figure.
_IN_LETTERS = _any_of(["CF"])

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU_SIGNS = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_CF_ODD = dict(
    zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16,
         10, 22, 25, 24, 23], strict=True)
)  # fmt: skip


def find_written_ids(text: str) -> Iterator[tuple[int, int, str]]:
    """Where numbers stand that are national ids by their form and check: start, end, and the word of the mark."""
    for match in (_WRITTEN if has_figures(text) else _IN_LETTERS).finditer(text):
        form = str(match.lastgroup)
        plain = re.sub(r"[ .\-/]", "", match.group()).upper()
        if _CHECKS.get(form, _any)(plain):
            yield match.start(), match.end(), "SSN" if form == "SSN" else "NATIONAL_ID"


def is_national_id(digits: str) -> bool:
    """Whether figures alone are a national id, with a chance below 1 in 50 that others look so."""
    if len(digits) == 15:
        return digits[0] in "12" and "01" <= digits[3:5] <= "12" and nir_holds(digits)
    return len(digits) == 11 and (steuer_id_holds(digits) or pesel_holds(digits))


def steuer_id_holds(digits: str) -> bool:
    """Germany's tax id: 11 figures, ISO 7064 MOD 11,10; of the first ten, one stands there twice or three times.

    Source: Bundeszentralamt fuer Steuern.
    """
    if len(digits) != 11 or digits[0] == "0":
        return False
    counts = sorted(Counter(digits[:10]).values())
    if counts[-1] not in {2, 3} or (len(counts) > 1 and counts[-2] != 1):
        return False
    product = 10
    for figure in digits[:10]:
        total = (int(figure) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def pesel_holds(digits: str) -> bool:
    """Poland's PESEL: a date of birth (the century is in the month), a serial, a weighted check."""
    if len(digits) != 11:
        return False
    century = {0: 1900, 1: 2000, 2: 2100, 3: 2200, 4: 1800}[int(digits[2:4]) // 20]
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)
    check = -sum(int(f) * w for f, w in zip(digits, weights, strict=False)) % 10
    return _is_date(century + int(digits[:2]), int(digits[2:4]) % 20, int(digits[4:6])) and check == int(digits[10])


def nir_holds(written: str) -> bool:
    """France's NIR: 13 signs and a key, 97 minus the number modulo 97. Source: INSEE."""
    number = written.upper().replace("2A", "19").replace("2B", "18")
    return len(number) == 15 and number.isdecimal() and 97 - int(number[:13]) % 97 == int(number[13:])


def dni_holds(written: str) -> bool:
    """Spain's DNI and NIE: the letter is the number modulo 23."""
    number = {"X": "0", "Y": "1", "Z": "2"}.get(written[0], written[0]) + written[1:-1]
    return number.isdecimal() and _DNI_LETTERS[int(number) % 23] == written[-1]


def codice_fiscale_holds(written: str) -> bool:
    """Italy's codice fiscale: the last letter is the sum of values by place, modulo 26. Source: DM 23/12/1976."""
    signs = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    even = {sign: (place if place < 10 else place - 10) for place, sign in enumerate(signs)}
    total = sum((even if place % 2 else _CF_ODD)[sign] for place, sign in enumerate(written[:15]))
    return chr(ord("A") + total % 26) == written[15]


def _hetu_holds(written: str) -> bool:
    figures = "".join(sign for sign in written[:-1] if sign.isdigit())
    return _HETU_SIGNS[int(figures) % 31] == written[-1]


def _ean_holds(digits: str) -> bool:
    return sum(int(f) * (3 if place % 2 else 1) for place, f in enumerate(digits)) % 10 == 0


def _any(_written: str) -> bool:
    return True


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


_CHECKS: dict[str, Callable[[str], bool]] = {
    "DNI": dni_holds,
    "CF": codice_fiscale_holds,
    "NIR": nir_holds,
    "HETU": _hetu_holds,
    "AHV": _ean_holds,
}
