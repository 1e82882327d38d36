"""Money per analysed call: the strong model alone, and what each of our means takes off it, at the same made-up prices.

    python -m bench.money --json [--calls 40] [--doubtful 0.1]

Every variant does the same calls through the whole step over real HTTP, against one local server that bills as OpenAI
does (prompt caching, Batch API); what is compared is what stands in the ledger. The server answers as it is told to:
the cheap model is unsure about a share of `--doubtful` of the calls, and these go to the strong one. A call is about
six minutes: some 1,400 tokens of words. Prices: see PRICES; those of your contract will differ, the ratio less so.
"""

import argparse
import json
import random
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from calls.pipeline import UNDERSTAND, Lane
from calls.taxonomy_file import parse_taxonomy
from cli.operate import prepare
from crm import jobs
from crm.money import Cost, costs
from crm.tables import call, call_analysis, job
from runtime.logs import set_up_logs
from runtime.settings import Settings
from runtime.wiring import Wiring, bundled_reasons
from tests.seeds import seed_call
from tests.servers.openai_analyses import analyses, doubts, sent_call
from tests.servers.openai_answers import Answer, Reply, asked_schema, default_answer
from tests.servers.openai_batches import BatchShelf
from tests.servers.openai_requests import SentRequest
from tests.servers.openai_server import API_KEY, OpenAIServer
from tests.servers.openai_usage import PromptCache, billed
from workers.app import make_parts
from workers.run import work_until_idle
from workers.sweep import tend_batches

STRONG, CHEAP = "strong", "cheap"
# Dollars per million tokens, in the proportions of the list prices of a large and a small model.
PRICES = {
    STRONG: {"input": 5.0, "cached": 0.5, "output": 30.0},
    CHEAP: {"input": 0.25, "cached": 0.025, "output": 2.0},
}
TURNS = 64
UNSURE = "To be honest I am not quite sure what I should ask you for."


@dataclass(frozen=True)
class Variant:
    """One way to ask: which models in tiers, whether the server caches, in which lane."""

    models: tuple[str, ...]
    has_cache: bool
    is_batch: bool = False


VARIANTS = {
    "strong_alone": Variant((STRONG,), has_cache=False),
    "strong_alone_cached": Variant((STRONG,), has_cache=True),
    "cheap_first": Variant((CHEAP, STRONG), has_cache=False),
    "cheap_first_cached": Variant((CHEAP, STRONG), has_cache=True),
    "cheap_first_cached_batch": Variant((CHEAP, STRONG), has_cache=True, is_batch=True),
}


def main() -> None:
    """Run it and print the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--calls", type=int, default=40)
    parser.add_argument("--doubtful", type=float, default=0.1, help="share of calls that the cheap model is unsure of")
    given = parser.parse_args()
    set_up_logs("error")
    document: dict[str, Any] = {"calls": given.calls, "doubtful_share": given.doubtful, "prices": PRICES}
    for name, variant in VARIANTS.items():
        document[name] = measure(variant, given.calls, given.doubtful)
    ours = document["cheap_first_cached_batch"]["microusd_per_call"]
    document["ratio"] = round(document["strong_alone"]["microusd_per_call"] / ours, 1)
    document["ratio_to_strong_cached"] = round(document["strong_alone_cached"]["microusd_per_call"] / ours, 1)
    sys.stdout.write(json.dumps(document, indent=None if given.json else 2) + "\n")


def measure(variant: Variant, count: int, doubtful: float) -> dict[str, Any]:
    """What the calls cost that way, from the ledger."""
    with tempfile.TemporaryDirectory() as folder, OpenAIServer() as server:
        shelf = BatchShelf(server, _answers(PromptCache() if variant.has_cache else None), is_quick=True)
        server.reply_always(shelf)
        wired = _wire(Path(folder), server, variant)
        _seed(wired, count, doubtful, Lane.BACKFILL if variant.is_batch else Lane.LIVE)
        work_until_idle(
            make_parts(wired, ring=None),
            catch_up=lambda: 0,
            roll=lambda: 0,
            timeout_s=None,
            tend_batches=lambda: tend_batches(wired, gather_s=0.0),
            poll_s=0.0,
        )
        found = _ledger(wired, count)
        wired.database.dispose()
        if server.problems:
            raise SystemExit("\n".join(server.problems[:5]))
    return found | {"requests_in_batches": len(shelf.answered)}


def _wire(home: Path, server: OpenAIServer, variant: Variant) -> Wiring:
    deployments = [
        {"model": model, "api_key": API_KEY, "base_url": server.base_url, "tier": tier}
        for model, tier in zip(variant.models, ("first", "strong"), strict=False)
    ]
    language = {"deployments": deployments, "batch": variant.is_batch}
    wired = Wiring(Settings(home=home, language=language, speech={"engine": "offline"}, prices=PRICES))
    prepare(wired)
    return wired


def _answers(cache: PromptCache | None) -> Answer:
    """A right analysis of each call; the cheap model is unsure of those that say so themselves."""

    def answer(request: SentRequest) -> Reply:
        if asked_schema(request) is None:
            return default_answer(request)
        is_unsure = request.model == CHEAP and any(turn["text"] == UNSURE for turn in sent_call(request)["turns"])
        changes = (_tells, doubts(0.4 if is_unsure else 0.9))
        return billed(lambda usage: analyses(*changes, usage=usage), cache)(request)

    return answer


def _tells(document: dict[str, Any], _call: object) -> None:
    """A summary of the usual length."""
    document["summary"] |= {
        "situation": "The caller has a matter and explains over several turns how it came about and what was tried so"
        " far, both at home and with the shop.",
        "what_was_done": "The agent listens, asks for what is needed to find the case, looks it up and explains what"
        " the records say and which ways there are to go on from here.",
        "result": "Both agree on how to go on, and the caller will hear from the centre when it has been done.",
    }


def _seed(wired: Wiring, count: int, doubtful: float, lane: Lane) -> None:
    sentences = _sentences()
    now = datetime.now(UTC)
    with wired.database.write() as connection:
        for number in range(count):
            chance = random.Random(number)
            said = []
            for place in range(TURNS):
                text = " ".join(chance.choices(sentences, k=2))
                speaker = "customer" if place % 2 else "agent"
                said.append((0 if place % 2 else 1, speaker, 5.6 * place, 5.6 * place + 5, text))
            # Spread evenly: the Nth call is doubtful where the share of the first N passes a whole number.
            if int((number + 1) * doubtful) > int(number * doubtful):
                said[9] = (*said[9][:4], UNSURE)
            call_id = seed_call(connection, said=said, stage="transcribed", with_analysis=False)
            connection.execute(sa.insert(job).values(jobs.first_job(call_id, now, step=UNDERSTAND, lane=lane)))


def _sentences() -> list[str]:
    """What callers say, in the words of the ready taxonomies."""
    taxonomies = [parse_taxonomy(path.read_text(encoding="utf-8")) for path in bundled_reasons().values()]
    return [example for taxonomy in taxonomies for reason in taxonomy.reasons for example in reason.examples]


def _ledger(wired: Wiring, count: int) -> dict[str, Any]:
    with wired.database.read() as connection:
        [total] = costs(connection, None, zone=ZoneInfo("UTC"))
        by_model = costs(connection, "model", zone=ZoneInfo("UTC"))
        done = connection.execute(sa.select(sa.func.count()).where(call.c.stage == "done")).scalar_one()
        strong = connection.execute(
            sa.select(call_analysis.c.escalated_for, sa.func.count().label("calls"))
            .where(call_analysis.c.tier > 0)
            .group_by(call_analysis.c.escalated_for)
        ).all()
    if done != count or total.unpriced_count:
        raise SystemExit(f"{done} of {count} calls done, {total.unpriced_count} requests without a price")
    return {
        "microusd_per_call": round(total.cost_microusd / count, 1),
        "escalated_share": round(sum(row.calls for row in strong) / count, 4),
        "escalated_for": {row.escalated_for: row.calls for row in strong},
        **{f"per_request_{row.key}": _per_request(row) for row in by_model},
    }


def _per_request(row: Cost) -> dict[str, float]:
    return {
        "requests": row.request_count,
        "input_tokens": round(row.input_tokens / row.request_count),
        "cached_tokens": round(row.cached_tokens / row.request_count),
        "output_tokens": round(row.output_tokens / row.request_count),
    }


if __name__ == "__main__":
    main()
