"""What the numbers of a conversation are: by their digits and checks, by what stands before them, by who asked."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import filterfalse, islice

from calls.redaction_contexts import CONTEXT_LENGTH, MARK, contexts_of
from calls.redaction_ids import is_national_id
from calls.redaction_patterns import card_within, looks_like_ssn, luhn_holds, might_be_phone
from calls.redaction_readings import OTHER_NUMBERS, Part, not_repeated, read_out, scattered
from calls.spoken_digits import DigitRun, digit_runs, has_numbers, is_filler

# Between two parts of one number the other side says no more words than this ("mm-hm", "go on"), or digits.
_INTERJECTION_WORDS = 6
# Around a part of a number stand at most this many words that are no part of it ("okay, then it's 1111").
_WORDS_AROUND = 4
# Numbers with other words between them are one only when they make up most of a card's.
_BRIDGED_DIGITS = 12
_LATE_ANSWER = 120
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_OR = re.compile(r"\W{0,3}(?:or|and)(?:\W{1,3}\w{1,8}){0,3}\W{0,3}", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")


def find_numbers(
    texts: Sequence[str],
    speakers: Sequence[str],
    asked: Callable[[int], str],
    taken: Sequence[Iterable[tuple[int, int]]],
) -> list[tuple[int, int, int, str]]:
    """The numbers that must not leave: (text, start, end, kind).

    `asked` says what was asked for before each text; `taken` are the spans that are found already.
    """
    plain = [_blanked(text, here) for text, here in zip(texts, taken, strict=True)]
    parts = [part for index in range(len(texts)) for part in _parts(index, plain[index], asked)]
    read = read_out(parts, plain) | scattered(parts, plain, speakers)
    parts = [replace(part, kind="CARD") if part in read else part for part in parts]
    kinds: dict[Part, str | None] = {}
    for chain in _chains(parts, plain, speakers):
        whole = _kind(chain, plain)
        kinds |= {part: part.kind or whole or _kind([part], plain) for part in chain}
    found = []
    for last, part in zip([None, *parts], parts, strict=False):
        kinds[part] = kind = kinds[part] or (_kind_of_other(kinds[last], last, part, plain) if last else None)
        if kind:
            found.append((part.turn, *_widened(plain[part.turn], part.run, kind), kind))
    return found


def _kind_of_other(kind: str | None, last: Part, part: Part, texts: Sequence[str]) -> str | None:
    """The kind of the number before, where this is another guess at it: "either 0314 or 7402"."""
    if last.turn != part.turn or len(last.run.digits) != len(part.run.digits):
        return None
    between = texts[part.turn][last.run.end : part.run.start]
    return kind if _OR.fullmatch(between) else None


def _parts(index: int, text: str, asked: Callable[[int], str]) -> list[Part]:
    """The runs of digits of one text."""
    if not has_numbers(text):
        return []
    before = asked(index)
    is_card_read_out = "CARD" in contexts_of(f"{before} {text}")
    parts: list[Part] = []
    for run in _runs(text, is_card_read_out=is_card_read_out):
        own = contexts_of(text[max(0, run.start - CONTEXT_LENGTH) : run.start])
        # The first number of a turn answers what was asked, also after some words.
        answers = not own and not parts and len(run.digits) >= 3 and run.start < _LATE_ANSWER
        contexts = (*contexts_of(before), *own) if answers or run.start < CONTEXT_LENGTH // 2 else own
        opens, ends = _is_short(text, 0, run.start), _is_short(text, run.end, len(text))
        parts.append(Part(index, run, contexts, own, opens, ends))
    return parts


def _runs(text: str, *, is_card_read_out: bool) -> list[DigitRun]:
    """The runs of digits. Where a card number is read out, a misheard digit does not save the rest of it."""
    bridged = []
    if is_card_read_out:
        bridged = [run for run in digit_runs(text, bridge_word_count=2) if len(run.digits) >= _BRIDGED_DIGITS]
        bridged = [run for run in bridged if not OTHER_NUMBERS.intersection(contexts_of(text[run.start : run.end]))]
    plain = [run for run in digit_runs(text) if not any(b.start <= run.start < b.end for b in bridged)]
    return sorted(bridged + plain, key=lambda run: run.start)


def _blanked(text: str, taken: Iterable[tuple[int, int]]) -> str:
    """The text, as long as before, with nothing where it is found already; a mark's own word is no context either."""
    # A control character, because spaces would join the digits on both sides of a finding.
    for start, end in taken:
        text = text[:start] + "\x00" * (end - start) + text[end:]
    return MARK.sub(lambda mark: "\x00" * len(mark.group()), text)


def _is_short(text: str, start: int, end: int) -> bool:
    """Whether few words stand there, but for what people say between the groups of a number."""
    words = (word.group() for word in _WORD.finditer(text, start, end))
    return sum(1 for _ in islice(filterfalse(is_filler, words), _WORDS_AROUND + 1)) <= _WORDS_AROUND


def _chains(parts: list[Part], texts: Sequence[str], speakers: Sequence[str]) -> list[list[Part]]:
    """The parts, those together that are one number said in several pieces by one speaker."""
    chains: list[list[Part]] = []
    open_chain: dict[str, list[Part]] = {}
    for part in parts:
        speaker = speakers[part.turn]
        chain = open_chain.get(speaker)
        # What a part itself is called, it is, whatever was said before.
        is_named = bool(OTHER_NUMBERS.intersection(part.own))
        if chain and not is_named and part.opens_turn and chain[-1].ends_turn and _is_continued(chain[-1], part, texts):
            chain.append(part)
        else:
            chain = [part]
            chains.append(chain)
        open_chain[speaker] = chain
    return chains


def _is_continued(last: Part, part: Part, texts: Sequence[str]) -> bool:
    """Whether nobody says more between the two than a few words, or digits of their own, and asks for nothing else."""
    for between in texts[last.turn + 1 : part.turn]:
        rest = between
        if OTHER_NUMBERS.intersection(contexts_of(between)):
            return False
        for run in digit_runs(between):
            rest = rest.replace(between[run.start : run.end], " ", 1)
        if len(_WORD.findall(rest)) > _INTERJECTION_WORDS:
            return False
    return last.turn != part.turn


def _kind(chain: list[Part], texts: Sequence[str]) -> str | None:
    """What the number of the chain is; None for one that may stay."""
    runs = [part.run for part in chain]
    digits = "".join(run.digits for run in runs)
    contexts = chain[0].contexts
    written = texts[chain[0].turn][slice(*_widened(texts[chain[0].turn], runs[0], ""))]
    return _long_number(digits, contexts, runs) or _short_number(digits, contexts, written)


def _long_number(digits: str, contexts: tuple[str, ...], runs: list[DigitRun]) -> str | None:
    count, nearest = len(digits), contexts[-1] if contexts else None
    if nearest == "NATIONAL_ID" and 6 <= count <= 18:
        return "NATIONAL_ID"
    if 13 <= count <= 19 and luhn_holds(digits) and (digits[0] in "23456" or "CARD" in contexts):
        return "CARD"
    if nearest != "ORDER" and is_national_id(digits):
        return "NATIONAL_ID"
    if "IBAN" in contexts and count >= 10:
        return "IBAN"
    if nearest == "ACCOUNT" and count >= 6:
        return "ACCOUNT"
    # Of a number that was said, a speech engine may have lost some digits; eight written ones may be a date.
    least = 12 if all(run.is_written for run in runs) else 8
    if "CARD" in contexts and nearest not in {"PHONE", "ORDER"} and count >= least:
        return "CARD"
    if count >= 13 and nearest != "ORDER":
        if card_within("".join(not_repeated(runs))):
            return "CARD"
        return None if _is_list_of_numbers(runs) else "NUMBER"
    return None


def _short_number(digits: str, contexts: tuple[str, ...], written: str) -> str | None:
    count, nearest = len(digits), contexts[-1] if contexts else None
    # In "the back of your card" the word "card" is nearest, but the code is meant.
    named = next((kind for kind in reversed(contexts) if kind != "CARD"), nearest)
    if named == "CVV" and count in {3, 4}:
        return "CVV"
    if named == "PIN" and 4 <= count <= 8:
        return "PIN"
    # "Oh three twelve eighty five": day, month and year, or two of them.
    if nearest == "BIRTH_DATE" and 4 <= count <= 8:
        return "BIRTH_DATE"
    if (named == "SSN" and count in {4, 9}) or looks_like_ssn(written):
        return "SSN"
    if (nearest == "PHONE" and 7 <= count <= 15) or (written.startswith("+") and 8 <= count <= 15):
        return "PHONE"
    if nearest not in {"ORDER", "MONEY"} and might_be_phone(digits) and not _THOUSANDS.fullmatch(written):
        return "PHONE"
    return None


def _is_list_of_numbers(runs: list[DigitRun]) -> bool:
    """Years, prices or answers one after the other, without a word that says what they are.

    Those are written groups that were parted, or numbers of a figure or two in turns of their own.
    """
    is_parted = all(run.is_written for run in runs) and sum(run.group_count for run in runs) > 1
    return is_parted or any(len(run.digits) < 3 for run in runs[:-1])


_SPELLED = r"(?:[A-Za-z]\b[ .\-]{0,2}){1,4}"
_SPELLED_BEFORE = re.compile(rf"(?<![\w'’])(?:{_SPELLED}|[A-Za-z]{{1,3}})$")
_SPELLED_AFTER = re.compile(rf"[ .\-]{{0,2}}{_SPELLED}(?!['’])")


def _widened(text: str, run: DigitRun, kind: str) -> tuple[int, int]:
    """The run with the bracket or plus that belongs to it; of an id, with the letters that are spelled beside it."""
    start, end = run.start, run.end
    while start and text[start - 1] in "(+":
        start -= 1
    if kind == "NATIONAL_ID":
        before = _SPELLED_BEFORE.search(text, max(0, start - 12), start)
        after = _SPELLED_AFTER.match(text, end, end + 12)
        start = before.start() if before else start
        end = after.start() + len(after.group().rstrip(" .-")) if after else end
    return start, end
