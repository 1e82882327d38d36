"""How many planted card numbers redaction finds, in twelve styles, and how much clean text it touches.

    python -m bench.redaction --json

Each number is valid (Luhn, a prefix in use) and made up from a seed. It is planted in a little dialogue: half of them
name a card, half do not; in a third the speakers are unknown, as in recordings of one channel. A number counts as found
only when every character of every word or figure that tells it is covered. The peer is what is often used: a regular
expression for 13 to 19 figures with spaces or hyphens between them, turn by turn.

Clean text is 1,000 turns of real and typed dialogues (STAR, Harper, vCon: ../shared/data or CALLWISE_SHARED), drawn by
the seed, half of them with a number in them. Clean is a turn where neither it nor the ten before ask for, or speak of,
anything that redaction is there to find (see `_SENSITIVE`), nor have a figure of six digits: a rule that knows nothing
of how redaction works. Every other touched turn is counted, too, and is listed under --touched.
"""

import argparse
import json
import os
import random
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.planted_cards import STYLES, Dialogue, planted, said_with_one_lost
from calls.redaction import Finding, find_sensitive

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("CALLWISE_SHARED", ROOT.parent / "shared"))
CLEAN_TURNS = 1000
LOOKED_BACK_TURNS = 10

_DIGITS_ONLY = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")
_SENSITIVE = re.compile(
    r"@|\d{6}|\b(?:card number|cvv|security code|pins?|code|account number|iban|social security|"
    r"birth ?da(?:y|te)|birth|born|dob|e-?mail|phone|address|zip|passport)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d|\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|twenty|hundred)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Said:
    """One turn of a data set; `before` is what was said in the ten turns before it."""

    source: str
    dialogue_id: str
    index: int
    text: str
    before: str
    touched: tuple[Finding, ...]

    @property
    def is_clean(self) -> bool:
        return not (_SENSITIVE.search(self.text) or _SENSITIVE.search(self.before))


def measure(count: int, seed: int) -> dict[str, object]:
    """Recall per style, ours against the regular expression, `count` numbers each."""
    figures: dict[str, object] = {}
    totals = {"callwise": 0, "typed_as_card": 0, "regex": 0}
    for style in STYLES:
        dialogues = planted(style, count, random.Random(f"{seed} {style}"))
        found = {"callwise": 0, "typed_as_card": 0, "regex": 0}
        for dialogue in dialogues:
            ours = find_sensitive(dialogue.texts, dialogue.speakers)
            found["callwise"] += _is_covered(dialogue, ours)
            found["typed_as_card"] += _is_covered(dialogue, [[f for f in here if f.kind == "CARD"] for here in ours])
            found["regex"] += _is_covered(dialogue, digits_only(dialogue.texts))
        figures[style] = {key: round(value / count, 4) for key, value in found.items()}
        totals = {key: totals[key] + value for key, value in found.items()}
    lost = [said_with_one_lost(count, random.Random(f"{seed} lost"), named=named) for named in (True, False)]
    return {
        "numbers_per_style": count,
        "recall": {key: round(value / (count * len(STYLES)), 4) for key, value in totals.items()},
        "lowest_style": min(style["callwise"] for style in figures.values() if isinstance(style, dict)),
        "by_style": figures,
        # No number that holds Luhn any more: what a speech engine that drops one digit leaves of it.
        "one_digit_lost": {
            name: round(sum(_is_covered(d, find_sensitive(d.texts, d.speakers)) for d in dialogues) / count, 4)
            for name, dialogues in zip(("card_named", "card_not_named"), lost, strict=True)
        },
    }


def digits_only(texts: Sequence[str]) -> list[list[Finding]]:
    """The peer: 13 to 19 figures, parted by spaces or hyphens."""
    return [[Finding(*match.span(), "CARD") for match in _DIGITS_ONLY.finditer(text)] for text in texts]


def _is_covered(dialogue: Dialogue, found: Sequence[Sequence[Finding]]) -> bool:
    return all(
        any(finding.start <= start and end <= finding.end for finding in found[turn])
        for turn, start, end in dialogue.digit_words
    )


def measure_clean(seed: int) -> tuple[dict[str, object], list[Said]]:
    """Of `CLEAN_TURNS` drawn turns, how many are touched; and of all turns that are at hand."""
    turns = list(_said())
    clean = [turn for turn in turns if turn.is_clean]
    numbered = [turn for turn in clean if _NUMBER.search(turn.text)]
    rest = [turn for turn in clean if not _NUMBER.search(turn.text)]
    draw = random.Random(seed)
    half = min(CLEAN_TURNS // 2, len(numbered))
    drawn = draw.sample(numbered, half) + draw.sample(rest, min(CLEAN_TURNS - half, len(rest)))
    touched = [turn for turn in turns if turn.touched]
    return {
        "drawn": len(drawn),
        "drawn_with_a_number": half,
        "touched": sum(bool(turn.touched) for turn in drawn),
        "touched_by_regex": sum(bool(digits_only([turn.text])[0]) for turn in drawn),
        "clean_turns_at_hand": len(clean),
        "touched_of_clean_at_hand": sum(bool(turn.touched) for turn in clean),
        "all_turns_at_hand": len(turns),
        "touched_of_all": len(touched),
    }, touched


def _said() -> Iterator[Said]:
    for source, dialogue_id, turns in _dialogues():
        texts, speakers = [text for _, text in turns], [speaker for speaker, _ in turns]
        for index, here in enumerate(find_sensitive(texts, speakers)):
            before = " ".join(texts[max(0, index - LOOKED_BACK_TURNS) : index])
            yield Said(source, dialogue_id, index, texts[index], before, tuple(here))


def _dialogues() -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    for source, name in (("star", "dialogues.jsonl"), ("harper", "calls.jsonl"), ("vcon", "calls.jsonl")):
        path = SHARED / "data" / source / name
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            said = row.get("turns") or sorted(row.get("segments", ()), key=lambda segment: segment["start_ms"])
            texts = [(one["speaker"], one.get("text_clean", one["text"])) for one in said]
            yield source, str(row["id"]), [(speaker, text) for speaker, text in texts if text]


def main() -> None:
    """Print the figures as one JSON document, or for reading."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--count", type=int, default=200, help="numbers per style")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--touched", action="store_true", help="list every touched turn of the data, for a person")
    asked = parser.parse_args()
    started = time.perf_counter()
    cards = measure(asked.count, asked.seed)
    clean, touched = measure_clean(asked.seed)
    figures: dict[str, object] = {"cards": cards, "clean": clean}
    figures["took_s"] = round(time.perf_counter() - started, 1)
    if not clean["all_turns_at_hand"]:
        figures["missing"] = ["star, harper, vcon: put them under ../shared/data or set CALLWISE_SHARED"]
    if asked.touched:
        figures["touched"] = [
            [turn.source, turn.dialogue_id, turn.index, [(f.kind, turn.text[f.start : f.end]) for f in turn.touched]]
            for turn in touched
        ]
    print(json.dumps(figures, indent=None if asked.json else 2, ensure_ascii=False))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
