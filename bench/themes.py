"""How well themes find matters that the taxonomy lacks: `python -m bench.themes [--json]`.

STAR (2,102 typed dialogues, 24 reasons) is read from ../shared/data/star or CALLWISE_SHARED. Fifty dialogues of each of
three reasons are looked through, alone and beside four of every other reason; and random words, in which nothing is.
"""

import argparse
import json
import random
from collections import Counter, defaultdict
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from analytics.theme_groups import find_themes
from analytics.themes import ThemeCall
from bench.reasons import star_calls
from calls.reasons import Taxonomy
from tests.planted_themes import planted

HELD_OUT = ("weather", "bank_fraud_report", "ride_book")
SIZE = 50
_NONE = Taxonomy(version="none", reasons=())


def measure(others: int) -> dict[str, Any]:
    """The three reasons beside `others` dialogues of each of the rest."""
    by_reason: dict[str, list[Any]] = defaultdict(list)
    for one in star_calls():
        by_reason[one.reason_code].append(one.said)
    chance = random.Random(1 if others else 0)
    picked = [
        (reason, said)
        for reason, all_said in by_reason.items()
        for said in chance.sample(all_said, min(SIZE if reason in HELD_OUT else others, len(all_said)))
    ]
    chance.shuffle(picked)
    calls = [
        ThemeCall(
            UUID(int=number),
            date(2026, 3, 2) + timedelta(days=number % 28),
            "",
            tuple(said.customer.split("\n")),
            tuple(said.agent.split("\n")),
        )
        for number, (_, said) in enumerate(picked)
    ]
    found = find_themes(calls, _NONE)
    mixed = [Counter(picked[call_id.int][0] for call_id in theme.call_ids) for theme in found.themes]
    of_three = [one for one in mixed if max(one, key=one.__getitem__) in HELD_OUT]
    right = sum(max(one.values()) for one in of_three)
    return {
        "calls": len(calls),
        "themes": len(mixed),
        "themes_of_held_out": len(of_three),
        "held_out_found": len({max(one, key=one.__getitem__) for one in of_three}),
        "purity": round(right / max(1, sum(one.total() for one in of_three)), 3),
        "recall": round(right / (SIZE * len(HELD_OUT)), 3),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    document = {
        "alone": measure(0),
        "beside_others": measure(4),
        "themes_in_noise": [len(find_themes(planted({}, 200, seed)[0], _NONE).themes) for seed in range(12)],
    }
    print(json.dumps(document, indent=None if given.json else 2))


if __name__ == "__main__":
    main()
