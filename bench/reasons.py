"""How often the offline engine finds the reason of a call, untrained and taught by labels: STAR and the demo calls.

    python -m bench.reasons --json

STAR (2,102 typed dialogues, 24 reasons) is read from ../shared/data/star or CALLWISE_SHARED; where it is absent it is
named under "missing". One half of it teaches, the other is judged, by every system in the same run; the halves and the
labels are drawn anew for each of `--draws`. The demo calls are few and were written beside their taxonomy: a check, not
a measure.
"""

import argparse
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from calls.reason_scores import Judged, score
from calls.reasons import Taxonomy
from calls.taxonomy_file import parse_taxonomy
from calls.transcript import Speaker, Turn
from cli.language_evaluation import keyword_reason
from engines.offline_reasons import ReasonMatcher
from engines.reason_trials import judge
from engines.trained_reasons import LabelledCall, Said, train

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("CALLWISE_SHARED", ROOT.parent / "shared"))


def measure_untrained(calls: Sequence[LabelledCall], taxonomy: Taxonomy) -> dict[str, Any]:
    """What the taxonomy's own words are enough for, and what the keyword peer finds."""
    return figures(judge(ReasonMatcher(taxonomy), calls)) | {"keyword_accuracy": keyword_accuracy(calls, taxonomy)}


def measure_taught(
    calls: Sequence[LabelledCall], taxonomy: Taxonomy, label_counts: Sequence[int], draws: int
) -> list[dict[str, Any]]:
    """For each number of labels, none first, the mean over the draws and the worst of them, all on the same calls."""
    found: dict[int, list[dict[str, Any]]] = {count: [] for count in (0, *label_counts)}
    for seed in range(draws):
        drawn = random.Random(seed).sample(list(calls), len(calls))
        teaching, judged = drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]
        found[0].append(measure_untrained(judged, taxonomy))
        for count in label_counts:
            found[count].append(figures(judge(train(teaching[:count], taxonomy), judged)))
    return [{"labels": count, **over_draws(of_draws)} for count, of_draws in found.items()]


def figures(judged: Sequence[Judged]) -> dict[str, Any]:
    """The figures of one run, without the lists."""
    found = score(judged)
    return {
        "calls": found["call_count"],
        "reasons": found["reason_count"],
        "accuracy": found["accuracy"]["value"],
        "accuracy_interval": [found["accuracy"]["low"], found["accuracy"]["high"]],
        "macro_f1": found["macro_f1"]["value"],
        "surest_half_accuracy": found["surest_half"]["value"],
        "sure_share": found["sure"]["share"],
        "sure_accuracy": found["sure"]["accuracy"]["value"],
    }


def over_draws(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means, and the least of what must not be low."""
    numbers = [name for name, value in found[0].items() if isinstance(value, float)]
    return {
        "draws": len(found),
        "calls": found[0]["calls"],
        **{name: round(fmean(one[name] for one in found), 4) for name in numbers},
        "least_accuracy": min(one["accuracy"] for one in found),
        "least_surest_half_accuracy": min(one["surest_half_accuracy"] for one in found),
    }


def keyword_accuracy(calls: Sequence[LabelledCall], taxonomy: Taxonomy) -> float:
    """How often the reason that shares the most words with the call is right."""
    right = 0
    for one in calls:
        turns = [Turn(0, Speaker.UNKNOWN, 0.0, 0.0, f"{one.said.customer} {one.said.agent}")]
        right += keyword_reason(turns, taxonomy) == one.reason_code
    return round(right / len(calls), 4)


def star_calls() -> list[LabelledCall]:
    """The STAR dialogues in which anybody says anything; [] where they are not at hand."""
    path = SHARED / "data" / "star" / "dialogues.jsonl"
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [LabelledCall(_said(row["turns"]), row["reason"]) for row in rows if row["turns"]]


def demo_calls() -> list[LabelledCall]:
    """The bundled recordings by their gold text, those with a reason."""
    rows = json.loads((ROOT / "samples" / "gold.json").read_text(encoding="utf-8"))
    return [LabelledCall(_said(row["turns"]), row["reason_code"]) for row in rows if row["reason_code"]]


def _said(rows: Sequence[dict[str, str]]) -> Said:
    sides = {True: [row["text"] for row in rows if row["speaker"] == "agent"], False: []}
    sides[False] = [row["text"] for row in rows if row["speaker"] != "agent"]
    return Said("\n".join(sides[False]), "\n".join(sides[True]))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--labels", type=int, nargs="*", default=[200, 1000], help="how many labels teach")
    parser.add_argument("--draws", type=int, default=1, help="how often halves and labels are drawn")
    given = parser.parse_args()
    taxonomies = ROOT / "runtime" / "taxonomies" / "service_centre.yaml", Path(__file__).with_name("star_reasons.yaml")
    service_centre, star = (parse_taxonomy(path.read_text(encoding="utf-8")) for path in taxonomies)
    document: dict[str, Any] = {"demo": measure_untrained(demo_calls(), service_centre), "missing": []}
    dialogues = star_calls()
    if dialogues:
        document["star"] = measure_untrained(dialogues, star)
        document["star_halves"] = measure_taught(dialogues, star, given.labels, given.draws)
    else:
        document["missing"] = ["star: put the dialogues under ../shared/data/star or set CALLWISE_SHARED"]
    sys.stdout.write((json.dumps(document, indent=2) if given.json else str(document)) + "\n")


if __name__ == "__main__":
    main()
