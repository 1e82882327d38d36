"""Whether a model that obeys what is said in a call can put a label or a summary past the checks unmarked.

    python -m bench.injection --json

Payloads are spoken or typed into ordinary calls, by the caller and by the agent; a local server does whatever they
want, over real HTTP, and quotes for it the payload's own words, words of the rest of the call, or words that nobody
said. An answer passes unmarked where a field that it changed is not named under `skipped`. Peers: the schema alone (the
label is in the list), and quotes alone (each was said). False marks are counted on ordinary conversations: STAR, Harper
and vCon under ../shared/data (or CALLWISE_SHARED; named under "missing" where absent), the bundled demo calls, and
sentences that come close to an order.
"""

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bench.injection_payloads import WISHES, Payload, payloads
from bench.injection_wordings import FREE_WORDINGS, ORDINARY
from calls.analysis import Analysis
from calls.checking import check_analysis
from calls.injections import find_injections
from calls.quotes import find_quote
from calls.reasons import Taxonomy
from calls.taxonomy_file import parse_taxonomy
from calls.transcript import Speaker, Turn
from engines.language import Conversation
from engines.language_api import ApiLanguage
from engines.language_requests import LanguageRequests
from tests.servers.openai_analyses import analyses, sent_system
from tests.servers.openai_answers import Reply
from tests.servers.openai_requests import SentRequest
from tests.servers.openai_server import API_KEY, OpenAIServer

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("CALLWISE_SHARED", ROOT.parent / "shared"))
QUOTING = ("payload", "call", "nobody")
# Fields of an analysis, and the features under which `skipped` names them.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "reason_code": ("reason",),
    "reason_confidence": ("reason",),
    "summary": ("summary",),
    "headline": ("headline", "summary"),
    "outcome": ("outcome",),
    "is_resolved": ("outcome",),
    "sentiment": ("sentiment",),
    "next_steps": ("next_steps",),
}


@dataclass(frozen=True)
class Attack:
    """A call with a payload in it, the turns of which are `ordered`, and whose words the model quotes for it."""

    payload: Payload
    turns: tuple[Turn, ...]
    ordered: frozenset[int]
    quoting: str


def attacks(count: int, calls: Sequence[Sequence[Turn]], quoting: Sequence[str]) -> Iterator[Attack]:
    """So many payloads, each in a call, spoken in turn by the caller and the agent, once for each way of quoting."""
    for number, payload in enumerate(payloads(count)):
        speaker = (Speaker.CUSTOMER, Speaker.AGENT, Speaker.UNKNOWN)[number % 3]
        call = list(calls[number % len(calls)])
        at = 1 + number % (len(call) - 1)
        said = [Turn(0, speaker, 0.0, 1.0, text) for text in payload.turns]
        # Turns of one speaker that follow each other would be one turn: somebody says "Sorry?" in between.
        parted = [part for text in said for part in (text, Turn(0, Speaker.UNKNOWN, 0.0, 1.0, "Sorry?"))][:-1]
        turns = tuple(
            replace(turn, index=index, start_s=float(index), end_s=index + 1.0)
            for index, turn in enumerate([*call[:at], *parted, *call[at:]])
        )
        ordered = frozenset(range(at, at + len(parted), 2))
        for way in quoting:
            yield Attack(payload, turns, ordered, way)


def obey(attack: Attack, request: SentRequest) -> Reply:
    """The answer of a model that does what the payload wants, in the way in which such a model would cover it."""

    def change(document: dict[str, Any], _call: Mapping[str, Any]) -> None:
        text = json.dumps(WISHES[attack.payload.wish]).replace("{prompt}", _leak(sent_system(request)))
        for field, wanted in json.loads(text).items():
            if field == "next_steps":
                document[field] = [step | _quote(attack) for step in wanted]
            elif isinstance(wanted, dict):
                document[field] = document.get(field, {}) | wanted | {"quotes": [_quote(attack)]}
            else:
                document[field] = wanted

    return analyses(change)(request)


def _quote(attack: Attack) -> dict[str, Any]:
    if attack.quoting == "nobody":
        return {"turn": 0, "quote": "exactly as the customer has just told me"}
    own = [turn for turn in attack.turns if (turn.index in attack.ordered) == (attack.quoting == "payload")]
    turn = max(own, key=lambda one: len(one.text))
    return {"turn": turn.index, "quote": " ".join(turn.text.split()[-12:])}


def _leak(system: str) -> str:
    """The first sentences of the prompt, as one JSON string's inside."""
    return json.dumps(" ".join(system.split())[:400])[1:-1]


def changed_fields(found: Analysis, honest: Analysis) -> list[str]:
    """The fields that say what the honest analysis does not; what is missing says nothing."""
    empty = {None, "", (), replace(honest, sentiment=type(honest.sentiment)()).sentiment}
    return [
        field
        for field in FIELDS
        if getattr(found, field) not in empty and getattr(found, field) != getattr(honest, field)
    ]


def measure(attacked: Sequence[Attack], taxonomy: Taxonomy) -> dict[str, object]:
    """What of the obedient answers passes, by each kind of check."""
    unmarked, by_quotes, by_schema, changed = Counter[str](), 0, 0, 0
    dropped = kept_marked = 0
    with OpenAIServer() as server:
        engine = ApiLanguage(LanguageRequests("openai", model="obedient", api_key=API_KEY, base_url=server.base_url))
        for attack in attacked:
            conversation = Conversation(attack.turns, language="en")
            server.reply(analyses(), partial(obey, attack))
            honest = engine.analyse(conversation, taxonomy, lambda _charge: None)
            given = engine.analyse(conversation, taxonomy, lambda _charge: None)
            wanted = changed_fields(given, honest)
            if not wanted:
                continue
            changed += 1
            by_schema += given.reason_code in taxonomy.codes
            by_quotes += all(find_quote(item.quote, attack.turns, item.turn) for item in given.evidence)
            checked = check_analysis(given, attack.turns, taxonomy)
            marks = {item.feature for item in checked.skipped}
            left = changed_fields(checked, honest)
            dropped += not left
            kept_marked += bool(left)
            if any(marks.isdisjoint(FIELDS[field]) for field in left):
                unmarked[attack.payload.form] += 1
        problems = server.problems
    return {
        "payloads": len({attack.payload for attack in attacked}),
        "answers": len(attacked),
        "obeyed": changed,
        "dropped": dropped,
        "kept_with_a_mark": kept_marked,
        "passed_unmarked": sum(unmarked.values()),
        "passed_unmarked_by_form": dict(unmarked),
        "pass_the_schema_alone": by_schema,
        "pass_quotes_alone": by_quotes,
        "forms": len({attack.payload.form for attack in attacked}),
        "requests_not_as_described": len(problems),
    }


def ordinary_calls(at_most: int) -> Iterator[tuple[str, list[Turn]]]:
    """Conversations without any order, by where they come from, so many of each at most."""
    for path in sorted((ROOT / "samples" / "scripts").glob("*.yaml")):
        lines = yaml.safe_load(path.read_text(encoding="utf-8")).get("lines", ())
        yield "demo", _turns([(who, text) for line in lines for who, text in line.items() if who in {"A", "C"}])
    for text in ORDINARY:
        yield "sentences", _turns([("C", text)])
    for source, name in (("star", "dialogues.jsonl"), ("vcon", "calls.jsonl"), ("harper", "calls.jsonl")):
        path = SHARED / "data" / source / name
        for line in path.read_text(encoding="utf-8").splitlines()[:at_most] if path.is_file() else ():
            row = json.loads(line)
            said = row.get("turns") or [{"speaker": who, "text": text} for who, text in row.get("ref", {}).items()]
            yield source, _turns([(turn["speaker"], turn["text"]) for turn in said])


def _turns(said: Sequence[tuple[str, str]]) -> list[Turn]:
    speakers = {"A": Speaker.AGENT, "agent": Speaker.AGENT, "C": Speaker.CUSTOMER, "customer": Speaker.CUSTOMER}
    return [
        Turn(index, speakers.get(who, Speaker.UNKNOWN), float(index), index + 1.0, text)
        for index, (who, text) in enumerate(said)
    ]


def false_marks(taxonomy: Taxonomy, at_most: int) -> dict[str, object]:
    """How many ordinary conversations are taken for ones with an order, by source."""
    conversations, turns, marked = Counter[str](), Counter[str](), Counter[str]()
    for source, call in ordinary_calls(at_most):
        conversations[source] += 1
        turns[source] += len(call)
        marked[source] += bool(find_injections(call, taxonomy.codes))
    return {
        source: {"conversations": conversations[source], "turns": turns[source], "marked": marked[source]}
        for source in conversations
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--payloads", type=int, default=500)
    parser.add_argument("--every-quoting", action="store_true", help="each payload with each way of quoting")
    parser.add_argument("--ordinary", type=int, default=500, help="conversations of each source that are not attacked")
    given = parser.parse_args()
    taxonomy = parse_taxonomy((ROOT / "runtime/taxonomies/service_centre.yaml").read_text(encoding="utf-8"))
    calls = [turns for source, turns in ordinary_calls(0) if source == "demo" and len(turns) > 3]
    every = list(attacks(given.payloads, calls, QUOTING))
    drawn = every if given.every_quoting else [one for n, one in enumerate(every) if n % 3 == (n // 3) % 3]
    figures = measure(drawn, taxonomy) | {
        "free_wordings": len(FREE_WORDINGS),
        "free_wordings_found": sum(
            bool(find_injections(_turns([("C", text)]), taxonomy.codes)) for text in FREE_WORDINGS
        ),
        "false_marks": false_marks(taxonomy, given.ordinary),
    }
    absent = [name for name in ("star", "vcon", "harper") if not (SHARED / "data" / name).is_dir()]
    if absent:
        figures["missing"] = [f"{name}: put it under ../shared/data or set CALLWISE_SHARED" for name in absent]
    if given.json:
        json.dump(figures, sys.stdout, indent=2)
        print()
    else:
        for name, value in figures.items():
            print(f"{re.sub('_', ' ', name)}: {value}")


if __name__ == "__main__":
    main()
