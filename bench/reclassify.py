"""Classifying the past anew: how fast, how surely when workers are killed, and how near the price came.

`python -m bench.reclassify --json`: made-up calls that were understood under one taxonomy and paid for, some of them
reviewed by people; another taxonomy is loaded, every call is asked about anew by an engine that answers at once, in
processes that are killed again and again. One SQLite database in a folder of its own.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from analytics.rollup import recompute_all, refresh
from analytics.star import AGGREGATES, fact_call
from calls.forecast import Tokens, forecast
from calls.money import Charge
from calls.pipeline import RECLASSIFY
from calls.prices import Price, cost_microusd
from calls.reasons import Reason, Taxonomy
from crm import waiting
from crm.database import Database
from crm.money import note_charge
from crm.reclassify import Wanted, queue_calls
from crm.reclassify_runs import observed, plan, read_run
from crm.reviews import correct_reason
from crm.schema import upgrade
from crm.tables import call_analysis, paid_request
from crm.taxonomies import store_taxonomy
from engines.language_fake import FakeLanguage
from engines.objects_memory import MemoryStore
from engines.speech import SpeechHints
from engines.speech_fake import FakeSpeech
from tests.seeds import TAXONOMY, seed_call
from workers.leases import Leases
from workers.parts import Parts
from workers.reclassifying import work_off

MODEL = "gpt-5.4-mini"
PRICE = Price(input=0.75, cached=0.075, output=4.5)
STARTED_AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
LEASE_S = 2.0
NEWER = replace(
    TAXONOMY,
    version="bench-2",
    reasons=(
        Reason("where_is_it", "Where is it", "The customer asks where an order is."),
        Reason("repair", "Repair", "Something is broken.", replaces=("repair_booking",)),
        Reason("new_order", "New order", "The customer wants to buy.", is_sales=True),
    ),
)


def main() -> None:
    """Measure, and print one document."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--calls", type=int, default=1500)
    arguments.add_argument("--kills", type=int, default=6)
    arguments.add_argument("--json", action="store_true", help="one JSON document (the default prints the same)")
    arguments.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.worker:
        _work(given.worker)
        return
    with TemporaryDirectory() as folder:
        print(json.dumps(measure(Path(folder), given.calls, given.kills), indent=2))


def measure(folder: Path, call_count: int, kills: int) -> dict[str, Any]:
    """All figures, taken in one run."""
    database = Database(f"sqlite:///{folder / 'callwise.db'}")
    upgrade(database)
    reviewed = _fill(database, call_count)
    refresh(database, "UTC")
    seconds: dict[str, float] = {}
    with _timed(seconds, "load"), database.write() as connection:
        store_taxonomy(connection, NEWER, datetime.now(UTC))
    with _timed(seconds, "roll_up"):
        refresh(database, "UTC")
    is_equal = _equals_recompute(database)
    with _timed(seconds, "plan"), database.read() as connection:
        planned, took = plan(connection, NEWER, Wanted()), observed(connection, NEWER, Wanted())
    expected = forecast(
        planned.ask_count,
        models=[MODEL],
        price_of={MODEL: PRICE}.get,
        observed={model: Tokens(*tokens) for model, tokens in took.tokens_by_model.items()},
        observed_count=took.asked_count,
        upper_bound=Tokens(),
    )
    with _timed(seconds, "queue"):
        queued = queue_calls(database, Wanted(), now=datetime.now(UTC))
    started_at = datetime.now(UTC)
    with _timed(seconds, "work"):
        killed = _work_and_kill(folder / "callwise.db", database, kills)
    refresh(database, "UTC")
    with database.read() as connection:
        run = read_run(connection, queued.run_id)
        asked = connection.execute(
            sa.select(paid_request.c.call_id, sa.func.count())
            .where(paid_request.c.paid_at >= started_at)
            .group_by(paid_request.c.call_id)
        ).all()
        revisions = connection.execute(
            sa.select(sa.func.count()).where(
                call_analysis.c.is_current, call_analysis.c.revision > 2, call_analysis.c.call_id.not_in(reviewed)
            )
        ).scalar_one()
        kept = connection.execute(
            sa.select(sa.func.count()).where(
                call_analysis.c.is_current,
                call_analysis.c.reason_code == "repair",
                call_analysis.c.call_id.in_(reviewed),
            )
        ).scalar_one()
    database.dispose()
    return {
        "calls": call_count,
        "reviewed": len(reviewed),
        "load_s": round(seconds["load"], 3),
        "roll_up_s": round(seconds["roll_up"], 3),
        "plan_s": round(seconds["plan"], 3),
        "queued_per_s": round(planned.ask_count / seconds["queue"]),
        "answered_per_s_under_kills": round(run.answered_count / seconds["work"]),
        "kills": killed,
        "answered": run.answered_count,
        "lost": call_count - run.answered_count,
        "doubled": revisions,
        "paid_repeats": sum(count - 1 for _, count in asked),
        "peoples_reasons_overwritten": len(reviewed) - kept,
        "forecast_over_paid": round((expected.cost_microusd or 0) / (run.cost_microusd or 1), 4),
        "equal_to_recompute": is_equal and _equals_recompute(database),
        "load_average": round(os.getloadavg()[0], 1),
    }


def _fill(database: Database, call_count: int) -> list[Any]:
    """Calls that were understood and paid for; people have said of one in a hundred that it was a repair."""
    chance = random.Random(5)
    reviewed = []
    for start in range(0, call_count, 500):
        with database.write() as connection:
            if start == 0:
                store_taxonomy(connection, TAXONOMY, STARTED_AT)
            for number in range(start, min(start + 500, call_count)):
                code = chance.choice(["delivery_status", "delivery_status", "repair_booking", "new_order"])
                happened_at = STARTED_AT + timedelta(minutes=40 * number)
                call_id = seed_call(connection, happened_at=happened_at, analysis={"reason_code": code})
                note_charge(connection, call_id, _charge(chance), now=happened_at)
                if number % 100 == 0:
                    correct_reason(connection, call_id, "repair_booking", by="bench", now=happened_at)
                    reviewed.append(call_id)
    return reviewed


def _charge(chance: random.Random) -> Charge:
    tokens = (chance.randint(2500, 4500), 2048, chance.randint(250, 450))
    cost = cost_microusd(PRICE, input_tokens=tokens[0], cached_tokens=tokens[1], output_tokens=tokens[2])
    return Charge("openai", MODEL, "analysis", "", *tokens, 0.0, cost)


def _work_and_kill(path: Path, database: Database, kills: int) -> int:
    """Let a process work, kill it when some more calls are answered, and let the last one end; returns the kills."""
    with database.read() as connection:
        whole = waiting.unfinished_count(connection, RECLASSIFY)
    for number in range(1, kills + 1):
        worker = subprocess.Popen([sys.executable, "-m", "bench.reclassify", "--worker", str(path)])
        left = whole
        while worker.poll() is None and left > whole - whole * number // (kills + 1):
            time.sleep(0.02)
            with database.read() as connection:
                left = waiting.unfinished_count(connection, RECLASSIFY)
        worker.kill()
        worker.wait()
    subprocess.run([sys.executable, "-m", "bench.reclassify", "--worker", str(path)], check=True)
    return kills


def _work(path: Path) -> None:
    database = Database(f"sqlite:///{path}")
    chance = random.Random()

    class Paid(FakeLanguage):
        def analyse(self, conversation: Any, taxonomy: Taxonomy, pay: Callable[[Charge], None]) -> Any:
            pay(_charge(chance))
            return super().analyse(conversation, taxonomy, pay)

    engine = Paid()
    leases = Leases(database, LEASE_S)
    work_off(
        Parts(
            database=database,
            objects=MemoryStore("recordings"),
            speech=FakeSpeech,
            language=lambda: engine,
            default_taxonomy=lambda: NEWER,
            leases=leases,
            ring=None,
            queues=(RECLASSIFY.queue,),
            hints=SpeechHints(),
            scratch=path.parent / "scratch",
            lease_s=LEASE_S,
        ),
        does_it=True,
    )
    leases.close()


def _equals_recompute(database: Database) -> bool:
    before = _sums(database)
    recompute_all(database, "UTC")
    return before == _sums(database)


def _sums(database: Database) -> list[list[str]]:
    with database.read() as connection:
        found = []
        for table in (fact_call, *AGGREGATES):
            columns = [column for column in table.c if column.name not in {"call_key", "modified_at_utc"}]
            found.append(sorted(map(str, connection.execute(sa.select(*columns)))))
        return found


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Write how long the block took."""
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started


if __name__ == "__main__":
    main()
