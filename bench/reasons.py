"""How often the offline engine finds the reason of a call, untrained: on the STAR dialogues and on the demo calls.

    python -m bench.reasons --json

STAR (2,102 typed dialogues, 24 reasons) is read from ../shared/data/star or CALLWISE_SHARED; where it is absent it is
named under "missing". The demo calls are few and were written beside their taxonomy: a check, not a measure.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sklearn.metrics import f1_score

from calls.reasons import Taxonomy
from calls.taxonomy_file import parse_taxonomy
from calls.transcript import Speaker, Turn
from engines.language import Conversation
from engines.language_offline import OfflineLanguage
from engines.offline_reasons import described

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("CALLWISE_SHARED", ROOT.parent / "shared"))


@dataclass(frozen=True)
class Labelled:
    """One conversation and the reason that people gave it."""

    turns: Sequence[Turn]
    reason_code: str


def measure(calls: Sequence[Labelled], taxonomy: Taxonomy) -> dict[str, object]:
    """Accuracy with its 95 % interval (Wilson), macro-F1, and the accuracy of the half that the engine is surest of."""
    engine = OfflineLanguage()
    analyses = [engine.analyse(Conversation(call.turns), taxonomy, lambda _charge: None) for call in calls]
    is_right = [found.reason_code == call.reason_code for found, call in zip(analyses, calls, strict=True)]
    surest = sorted(range(len(calls)), key=lambda i: -(analyses[i].reason_confidence or 0))[: -(-len(calls) // 2)]
    by_keyword = [keyword_reason(call.turns, taxonomy) == call.reason_code for call in calls]
    truth, found_codes = [call.reason_code for call in calls], [found.reason_code or "" for found in analyses]
    return {
        "calls": len(calls),
        "reasons": len(taxonomy.reasons),
        "accuracy": round(sum(is_right) / len(calls), 3),
        "accuracy_interval": wilson(sum(is_right), len(calls)),
        "macro_f1": round(float(f1_score(truth, found_codes, labels=sorted(set(truth)), average="macro")), 3),
        "surest_half_accuracy": round(sum(is_right[i] for i in surest) / len(surest), 3),
        "keyword_accuracy": round(sum(by_keyword) / len(calls), 3),
    }


def keyword_reason(turns: Sequence[Turn], taxonomy: Taxonomy) -> str:
    """The peer: the reason that shares the most words with the call."""
    said = set(re.findall(r"[a-z]+", " ".join(turn.text for turn in turns).lower()))
    shared = {r.code: len(said & set(re.findall(r"[a-z]+", described(r).lower()))) for r in taxonomy.reasons}
    return max(shared, key=lambda code: shared[code])


def wilson(right: int, count: int, z: float = 1.96) -> list[float]:
    """The 95 % interval of a share (Wilson, 1927)."""
    share = right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * (share * (1 - share) / count + z * z / (4 * count * count)) ** 0.5 / (1 + z * z / count)
    return [round(middle - half, 3), round(middle + half, 3)]


def star_calls() -> list[Labelled]:
    """The STAR dialogues; [] where they are not at hand."""
    path = SHARED / "data" / "star" / "dialogues.jsonl"
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Labelled(_turns(row["turns"]), row["reason"]) for row in rows]


def demo_calls() -> list[Labelled]:
    """The bundled recordings by their gold text, those with a reason."""
    rows = json.loads((ROOT / "samples" / "gold.json").read_text(encoding="utf-8"))
    return [Labelled(_turns(row["turns"]), row["reason_code"]) for row in rows if row["reason_code"]]


def _turns(rows: Sequence[dict[str, str]]) -> list[Turn]:
    return [Turn(i, Speaker(row["speaker"]), 3.0 * i, 3.0 * i + 2, row["text"]) for i, row in enumerate(rows)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    is_json = parser.parse_args().json
    taxonomies = ROOT / "runtime" / "taxonomies" / "service_centre.yaml", Path(__file__).with_name("star_reasons.yaml")
    service_centre, star = (parse_taxonomy(path.read_text(encoding="utf-8")) for path in taxonomies)
    figures: dict[str, object] = {"demo": measure(demo_calls(), service_centre), "missing": []}
    dialogues = star_calls()
    if dialogues:
        figures["star"] = measure(dialogues, star)
    else:
        figures["missing"] = ["star: put the dialogues under ../shared/data/star or set CALLWISE_SHARED"]
    sys.stdout.write((json.dumps(figures, indent=2) if is_json else str(figures)) + "\n")


if __name__ == "__main__":
    main()
