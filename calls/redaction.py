"""Removes what must not leave: numbers of cards, accounts and people, their codes, e-mails, phones, addresses, births.

Works on what people type and on what a speech engine writes of what they say ("four one one one ...", "jane at gmail
dot com"). Names are not recognised.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

from calls.redaction_addresses import ADDRESS_SCREEN, breaks_off, find_addresses, is_nod
from calls.redaction_contexts import asked_before
from calls.redaction_dates import BIRTH_SCREEN, find_birth_dates
from calls.redaction_ids import find_written_ids
from calls.redaction_numbers import find_numbers
from calls.redaction_patterns import find_emails, find_ibans
from calls.redaction_screens import has_any, in_small
from calls.transcript import Turn

# An address is read out in no more turns than this after the first.
_ADDRESS_TURNS = 5


@dataclass(frozen=True)
class Finding:
    """`text[start:end]` is of `kind`, the word of its mark.

    Kinds: CARD, CVV, PIN, IBAN, ACCOUNT, SSN, NATIONAL_ID, EMAIL, PHONE, ADDRESS, BIRTH_DATE, and NUMBER for a long one
    that nothing explains.
    """

    start: int
    end: int
    kind: str


class SensitiveFinder(Protocol):
    """Finds in a conversation what must not leave it."""

    def __call__(self, texts: Sequence[str], speakers: Sequence[str] | None = None) -> list[list[Finding]]:
        """What must not leave, per text, in order and without overlap; `speakers` says who says each, by default one.

        Raises nothing: what cannot be read cannot be let through either.
        """


def redact(text: str, find: SensitiveFinder | None = None) -> str:
    """`text` with each finding replaced by its mark, such as `[CARD]`. What is marked already stays as it is."""
    return mark(text, (find or find_sensitive)([text])[0])


def redact_turns(turns: Sequence[Turn], find: SensitiveFinder | None = None) -> list[Turn]:
    """The turns with each finding replaced by its mark; their order, indexes and times stay.

    A number may be spread over several turns of one speaker ("four one one one" - "mm-hm" - "one one one one"), and
    the other side's question says what it is ("the security code, please?").
    """
    return mark_turns(turns, find_in_turns(turns, find))


def find_in_turns(turns: Sequence[Turn], find: SensitiveFinder | None = None) -> list[list[Finding]]:
    """What must not leave, turn by turn of one conversation."""
    return (find or find_sensitive)([turn.text for turn in turns], [turn.speaker for turn in turns])


def mark_turns(turns: Sequence[Turn], found: Sequence[Sequence[Finding]]) -> list[Turn]:
    """The turns with each finding replaced by its mark."""
    return [
        replace(turn, text=mark(turn.text, here)) if here else turn for turn, here in zip(turns, found, strict=True)
    ]


def find_sensitive(texts: Sequence[str], speakers: Sequence[str] | None = None) -> list[list[Finding]]:
    """What must not leave, per text, in order and without overlap. `speakers` says who says each: by default, one."""
    said_by = speakers or [""] * len(texts)
    # Of most turns nobody needs to know what they were asked for.
    asked = cache(lambda index: asked_before(texts, index))
    said = in_small("\n".join(texts))
    speaks_of_birth = has_any(said, BIRTH_SCREEN)
    found: list[list[Finding]] = []
    for index, text in enumerate(texts):
        before = texts[index - 1] if index else ""
        here = [Finding(*span, "IBAN") for span in find_ibans(text)]
        here += [Finding(*span, "EMAIL") for span in find_emails(text, before)]
        here += [Finding(*span) for span in find_written_ids(text)]
        # Looking for dates takes longer than all else.
        if speaks_of_birth:
            here += [Finding(*span, "BIRTH_DATE") for span in find_birth_dates(text, asked(index))]
        found.append(here)
    taken = [[(one.start, one.end) for one in here] for here in found]
    for index, start, end, kind in find_numbers(texts, said_by, asked, taken):
        found[index].append(Finding(start, end, kind))
    asked_for_it = asked if has_any(said, ADDRESS_SCREEN) else lambda _: ""
    for here, addresses in zip(found, _addresses(texts, said_by, asked_for_it), strict=True):
        here += [Finding(*span, "ADDRESS") for span in addresses]
    return [without_overlap(here) for here in found]


def _addresses(
    texts: Sequence[str], speakers: Sequence[str], asked: Callable[[int], str]
) -> Iterator[list[tuple[int, int]]]:
    """Where addresses stand in each text. One that broke off goes on in its speaker's next, after a nod at most."""
    reader, turns_left = None, 0
    for index, text in enumerate(texts):
        goes_on = turns_left > 0 and speakers[index] == reader and not is_nod(text)
        here = list(find_addresses(text, asked(index), goes_on=goes_on))
        yield here
        if is_nod(text):
            continue
        turns_left = turns_left - 1 if goes_on else _ADDRESS_TURNS
        if breaks_off(text, here):
            reader = speakers[index]
        else:
            turns_left = 0


def without_overlap(findings: Sequence[Finding]) -> list[Finding]:
    """The findings in order; of two that overlap one, as long as both, of the kind of the earlier-named."""
    kept: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (f.start, -f.end)):
        if kept and finding.start < kept[-1].end:
            kept[-1] = replace(kept[-1], end=max(kept[-1].end, finding.end))
        else:
            kept.append(finding)
    return kept


def mark(text: str, findings: Sequence[Finding]) -> str:
    """`text` with its findings, in order and apart, replaced by their marks."""
    for finding in reversed(findings):
        text = f"{text[: finding.start]}[{finding.kind}]{text[finding.end :]}"
    return text
