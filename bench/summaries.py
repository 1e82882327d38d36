"""How near the offline engine's excerpts come to summaries by people: against lead-3 and plain LexRank, in one run.

    python -m bench.summaries --json

Conversations are read from ../shared/data or CALLWISE_SHARED. Harper Valley and vCon calls have a summary each in
`call_summaries.jsonl` here, written from the transcripts alone; of STAR dialogues nobody wrote any, and the sentence
that says what the task was takes its place: a gist, in which ROUGE is low for everybody.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from calls.taxonomy_file import parse_taxonomy
from cli.dialogue_data import Dialogue, read_dialogues
from cli.language_evaluation import Bill, ask, judge_summaries
from engines.language_offline import OfflineLanguage

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("CALLWISE_SHARED", ROOT.parent / "shared"))
SETS = ("harper", "vcon", "star")


def with_references(name: str, dialogues: list[Dialogue], gists: Mapping[str, str]) -> list[Dialogue]:
    """The conversations of a set that have something to be compared with."""
    path = Path(__file__).with_name("call_summaries.jsonl")
    written = {row["id"]: row["summary"] for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}
    found = []
    for one in dialogues:
        reference = gists.get(one.reason_code or "") if name == "star" else written.get(one.id)
        if reference or one.summaries:
            found.append(replace(one, summaries=one.summaries or (str(reference),)))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--limit", type=int, default=300, help="at most so many conversations of a set; 0: all")
    given = parser.parse_args()
    star = parse_taxonomy(Path(__file__).with_name("star_reasons.yaml").read_text(encoding="utf-8"))
    gists = {reason.code: reason.definition for reason in star.reasons}
    document: dict[str, Any] = {"missing": []}
    for name in SETS:
        folder = SHARED / "data" / name
        if not folder.is_dir():
            document["missing"].append(f"{name}: put it under ../shared/data/{name} or set CALLWISE_SHARED")
            continue
        dialogues = with_references(name, read_dialogues(folder), gists)
        # Evenly over the set, which may be sorted.
        step = max(1, len(dialogues) // given.limit) if given.limit else 1
        answered = ask(dialogues[::step], OfflineLanguage(), star, Bill())
        document[name] = judge_summaries(answered)
    sys.stdout.write((json.dumps(document, indent=2) if given.json else str(document)) + "\n")


if __name__ == "__main__":
    main()
