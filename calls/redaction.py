"""Removes what must not leave: card numbers and their codes, PINs, IBANs, social security numbers, e-mails, phones.

Works on what people type and on what a speech engine writes of what they say ("four one one one ...", "jane at gmail
dot com"). Names and street addresses are not recognised.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from calls.redaction_patterns import find_emails, find_ibans, looks_like_ssn, luhn_holds, might_be_phone
from calls.spoken_digits import DigitRun, digit_runs, is_filler
from calls.transcript import Turn

# How far back a word such as "card" or "PIN" says what a number is, in characters.
CONTEXT_LENGTH = 70
# Between two parts of one number the other side says no more words than this ("mm-hm", "go on"), or digits.
_INTERJECTION_WORDS = 6
# Numbers with other words between them are one only when they make up most of a card's.
_BRIDGED_DIGITS = 12

_CONTEXTS = {
    "CVV": r"cvv|cvc|cv2|(?:security|verification) (?:code|number)|(?:three|3) digits?|back of (?:the|your|my) card",
    "PIN": r"pin|pin number|pin code|passcode|one[ -]time (?:code|password)|access code",
    "SSN": r"social security(?: number)?|social|ssn",
    "IBAN": r"iban|i ban",
    "CARD": r"card|visa|mastercard|master card|amex|american express|debit|credit|maestro|discover",
    "ACCOUNT": r"(?:bank|checking|savings) account|routing(?: number)?|sort code",
    "PHONE": r"phone|telephone|mobile|cell|cellphone|(?:call|text|reach) (?:me|you|us|him|her)|call(?: back)?",
    "ORDER": r"order|reference|invoice|tracking|ticket|case|serial|model|part|product|article|item|bar ?code",
    "MONEY": r"price|cost|dollar|euro|pound|total|amount|pay|paid",
}
_CONTEXT = re.compile("|".join(rf"(?P<{kind}>\b(?:{words})s?\b)" for kind, words in _CONTEXTS.items()), re.IGNORECASE)
_MARK = re.compile(r"\[[A-Z]+\]")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Finding:
    """`text[start:end]` is of `kind`, the word of its mark.

    Kinds: CARD, CVV, PIN, IBAN, SSN, EMAIL, PHONE, ACCOUNT, and NUMBER for a long one that nothing explains.
    """

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class _Part:
    """A run of digits in turn `turn`, with the context that stands before it, nearest last."""

    turn: int
    run: DigitRun
    contexts: tuple[str, ...]
    opens_turn: bool
    ends_turn: bool


def redact(text: str) -> str:
    """`text` with each finding replaced by its mark, such as `[CARD]`. What is marked already stays as it is."""
    return _mark(text, find_sensitive([text])[0])


def redact_turns(turns: Sequence[Turn]) -> list[Turn]:
    """The turns with each finding replaced by its mark; their order, indexes and times stay.

    A number may be spread over several turns of one speaker ("four one one one" - "mm-hm" - "one one one one"), and
    the other side's question says what it is ("the security code, please?").
    """
    found = find_sensitive([turn.text for turn in turns], [turn.speaker for turn in turns])
    return [replace(turn, text=_mark(turn.text, here)) for turn, here in zip(turns, found, strict=True)]


def find_sensitive(texts: Sequence[str], speakers: Sequence[str] | None = None) -> list[list[Finding]]:
    """What must not leave, per text, in order and without overlap. `speakers` says who says each: by default, one."""
    said_by = speakers or [""] * len(texts)
    found: list[list[Finding]] = []
    for index, text in enumerate(texts):
        before = texts[index - 1] if index else ""
        found.append([Finding(*span, "IBAN") for span in find_ibans(text)])
        found[-1] += [Finding(*span, "EMAIL") for span in find_emails(text, before)]
    parts = [part for index in range(len(texts)) for part in _parts(texts, index, found[index])]
    for chain in _chains(parts, texts, said_by):
        kind = _kind(chain, texts)
        for part in chain:
            own_kind = kind or _kind([part], texts)
            if own_kind:
                found[part.turn].append(Finding(*_widened(texts[part.turn], part.run), own_kind))
    return [_without_overlap(here) for here in found]


def _parts(texts: Sequence[str], index: int, taken: Iterable[Finding]) -> list[_Part]:
    """The runs of digits of one text that lie outside `taken`."""
    text = _blanked(texts[index], taken)
    before = _asked_for(texts[index - 1]) if index else ""
    is_card_read_out = "CARD" in _contexts(f"{before} {text}")
    parts = []
    for run in _runs(text, is_card_read_out=is_card_read_out):
        lead = text[: run.start]
        opens_turn = _only_fillers(lead)
        context = lead[-CONTEXT_LENGTH:]
        if len(lead) < CONTEXT_LENGTH // 2:
            context = f"{before} {context}"
        parts.append(_Part(index, run, _contexts(context), opens_turn, _only_fillers(text[run.end :])))
    return parts


def _asked_for(text: str) -> str:
    """What a turn's end may ask the next one for: nothing that it answers itself ("my PIN is 3941")."""
    answered = max((run.end for run in digit_runs(text) if len(run.digits) >= 3), default=0)
    return _MARK.sub(" ", text[answered:])[-CONTEXT_LENGTH:]


def _runs(text: str, *, is_card_read_out: bool) -> list[DigitRun]:
    """The runs of digits. Where a card number is read out, a misheard digit does not save the rest of it."""
    bridged = []
    if is_card_read_out:
        bridged = [run for run in digit_runs(text, bridge_word_count=2) if len(run.digits) >= _BRIDGED_DIGITS]
    plain = [run for run in digit_runs(text) if not any(b.start <= run.start < b.end for b in bridged)]
    return sorted(bridged + plain, key=lambda run: run.start)


def _blanked(text: str, taken: Iterable[Finding]) -> str:
    """The text, as long as before, with spaces for what is found already; a mark's own word is no context either."""
    # A control character, because spaces would join the digits on both sides of a finding.
    for finding in taken:
        text = text[: finding.start] + "\x00" * (finding.end - finding.start) + text[finding.end :]
    return _MARK.sub(lambda mark: "\x00" * len(mark.group()), text)


def _contexts(text: str) -> tuple[str, ...]:
    return tuple(match.lastgroup for match in _CONTEXT.finditer(text) if match.lastgroup)


def _only_fillers(text: str) -> bool:
    return all(is_filler(word.group()) for word in _WORD.finditer(text))


def _chains(parts: list[_Part], texts: Sequence[str], speakers: Sequence[str]) -> list[list[_Part]]:
    """The parts, those together that are one number said in several turns of one speaker."""
    chains: list[list[_Part]] = []
    open_chain: dict[str, list[_Part]] = {}
    for part in parts:
        speaker = speakers[part.turn]
        chain = open_chain.get(speaker)
        if chain and part.opens_turn and chain[-1].ends_turn and _is_continued(chain[-1], part, texts):
            chain.append(part)
        else:
            chain = [part]
            chains.append(chain)
        open_chain[speaker] = chain
    return chains


def _is_continued(last: _Part, part: _Part, texts: Sequence[str]) -> bool:
    """Whether nobody says more between the two than a few words, or digits of their own."""
    for between in texts[last.turn + 1 : part.turn]:
        rest = between
        for run in digit_runs(between):
            rest = rest.replace(between[run.start : run.end], " ", 1)
        if len(_WORD.findall(rest)) > _INTERJECTION_WORDS:
            return False
    return last.turn != part.turn


def _kind(chain: list[_Part], texts: Sequence[str]) -> str | None:
    """What the number of the chain is; None for one that may stay."""
    runs = [part.run for part in chain]
    digits = "".join(run.digits for run in runs)
    contexts = chain[0].contexts
    written = texts[chain[0].turn][slice(*_widened(texts[chain[0].turn], runs[0]))]
    return _long_number(digits, contexts, runs) or _short_number(digits, contexts, written)


def _long_number(digits: str, contexts: tuple[str, ...], runs: list[DigitRun]) -> str | None:
    count, nearest = len(digits), contexts[-1] if contexts else None
    if 13 <= count <= 19 and luhn_holds(digits) and (digits[0] in "23456" or "CARD" in contexts):
        return "CARD"
    if "IBAN" in contexts and count >= 10:
        return "IBAN"
    # Of a number that was said, a speech engine may have lost some digits; eight written ones may be a date.
    least = 12 if all(run.is_written for run in runs) else 8
    if "CARD" in contexts and nearest not in {"PHONE", "ORDER"} and count >= least:
        return "CARD"
    if count >= 13 and nearest != "ORDER" and not _is_list_of_numbers(runs):
        return "NUMBER"
    return None


def _short_number(digits: str, contexts: tuple[str, ...], written: str) -> str | None:
    count, nearest = len(digits), contexts[-1] if contexts else None
    # In "the back of your card" the word "card" is nearest, but the code is meant.
    named = next((kind for kind in reversed(contexts) if kind != "CARD"), nearest)
    if named == "CVV" and count in {3, 4}:
        return "CVV"
    if named == "PIN" and 4 <= count <= 8:
        return "PIN"
    if (named == "SSN" and count in {4, 9}) or looks_like_ssn(written):
        return "SSN"
    if nearest == "ACCOUNT" and count >= 6:
        return "ACCOUNT"
    if (nearest == "PHONE" and 7 <= count <= 15) or (written.startswith("+") and 8 <= count <= 15):
        return "PHONE"
    if nearest not in {"ORDER", "MONEY"} and might_be_phone(digits) and not _THOUSANDS.fullmatch(written):
        return "PHONE"
    return None


def _is_list_of_numbers(runs: list[DigitRun]) -> bool:
    """Years or prices one after the other: written groups that were parted, without a word that says what they are."""
    return all(run.is_written for run in runs) and sum(run.group_count for run in runs) > 1


def _widened(text: str, run: DigitRun) -> tuple[int, int]:
    """The run with the bracket or plus that belongs to it."""
    start = run.start
    while start and text[start - 1] in "(+":
        start -= 1
    return start, run.end


def _without_overlap(findings: list[Finding]) -> list[Finding]:
    kept: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.start, -f.end)):
        if not kept or finding.start >= kept[-1].end:
            kept.append(finding)
    return kept


def _mark(text: str, findings: Sequence[Finding]) -> str:
    for finding in reversed(findings):
        text = f"{text[: finding.start]}[{finding.kind}]{text[finding.end :]}"
    return text
