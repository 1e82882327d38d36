"""Calls per second through the whole pipeline with engines that cost nothing, beside a bare Celery chain of four empty
tasks.

    python -m bench.pipeline --json [--setup embedded rabbitmq] [--calls 400] [--rounds 3]

Ours fetches each recording from the store, keeps every call, transcript and analysis in the database, and files the
customer; decoding and playback copies are left out, as part of the engines. The chain does nothing and keeps nothing.
Both use the same broker and as many workers; rounds are interleaved.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from kombu import Connection

from bench.celery_chain import WARM_UP
from calls.pipeline import TRANSCRIBE
from calls.recording import CallFacts, ObjectRef, StoredObject
from crm import waiting
from crm.arrivals import Arrival
from crm.database import Database
from crm.intake import insert_batch
from crm.schema import upgrade
from workers.app import app

CONCURRENCY = 2
PEER_TIMEOUT_S = 300


def main() -> None:
    """Run the rounds and print the document."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true")
    options.add_argument("--setup", nargs="*", default=["embedded", "rabbitmq"], choices=["embedded", "rabbitmq"])
    options.add_argument("--calls", type=int, default=400)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--rabbitmq-url", default="")
    options.add_argument("--postgres-url", default="")
    given = options.parse_args()
    document: dict[str, object] = {"calls": given.calls, "rounds": given.rounds, "missing": []}
    for setup in given.setup:
        document[setup] = _compare(setup, given)
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _compare(setup: str, given: argparse.Namespace) -> dict[str, float]:
    ours, theirs = [], []
    for _ in range(given.rounds):
        if setup == "embedded":
            theirs.append(_chain("memory://", given.calls))
            ours.append(_pipeline("memory://", "", given.calls))
            continue
        from tests.servers.postgres import PostgresServer
        from tests.servers.rabbitmq import RabbitServer

        rabbit, postgres = RabbitServer(), PostgresServer()
        try:
            broker = rabbit.url(rabbit.create_vhost())
            theirs.append(_chain(broker, given.calls))
            ours.append(_pipeline(broker, postgres.url(postgres.create_database()), given.calls))
        finally:
            rabbit.close()
            postgres.close()
    ours_per_s, theirs_per_s = statistics.median(ours), statistics.median(theirs)
    return {
        "calls_per_s": round(ours_per_s, 1),
        "celery_chain_calls_per_s": round(theirs_per_s, 1),
        "ratio": round(statistics.median(o / t for o, t in zip(ours, theirs, strict=True)), 2),
    }


def _chain(broker_url: str, count: int) -> float:
    command = [sys.executable, "-m", "bench.celery_chain", broker_url, str(count), str(CONCURRENCY)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, timeout=PEER_TIMEOUT_S).stdout)


def _pipeline(broker_url: str, database_url: str, count: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        database = Database(database_url or f"sqlite:///{home / 'callwise.db'}")
        upgrade(database)
        received = [StoredObject(ObjectRef("recordings", f"call-{n}.wav", etag=str(n))) for n in range(WARM_UP + count)]
        environment = dict(os.environ) | {
            "CALLWISE_HOME": str(home),
            "CALLWISE_BROKER__URL": broker_url,
            "CALLWISE_DATABASE__URL": database_url,
            "CALLWISE_WORK__SWEEP_S": "1",
        }
        worker = subprocess.Popen(
            [sys.executable, "-m", "bench.free_engines", "prefork", str(CONCURRENCY)], env=environment
        )
        beat = subprocess.Popen([sys.executable, "-m", "cli", "beat"], env=environment)
        try:
            _insert(database, broker_url, received[:WARM_UP])
            _wait_until_done(database, worker)
            started = time.perf_counter()
            _insert(database, broker_url, received[WARM_UP:])
            _wait_until_done(database, worker)
            return count / (time.perf_counter() - started)
        finally:
            for process in (worker, beat):
                process.terminate()
                process.wait(timeout=30)
            database.dispose()


def _insert(database: Database, broker_url: str, received: list[StoredObject]) -> None:
    """As the listener does it: insert, commit, ring where there is a broker to ring."""
    now = datetime.now(UTC)
    rings = not broker_url.startswith("memory")
    arrivals = [Arrival(stored, CallFacts(), "bench", "plain") for stored in received]
    with database.write() as connection:
        calls = insert_batch(connection, arrivals, now=now, rung_at=now if rings else None)
    if rings:
        step = TRANSCRIBE
        with Connection(broker_url) as broker, broker.Producer() as producer:
            for call in calls:
                app.send_task(step.name, (str(call.call_id),), queue=step.queue, ignore_result=True, producer=producer)


def _wait_until_done(database: Database, worker: subprocess.Popen[bytes]) -> None:
    while True:
        with database.read() as connection:
            if waiting.unfinished_count(connection) == 0:
                return
        if worker.poll() is not None:
            raise RuntimeError(f"the worker ended with {worker.returncode}: there is nothing to measure")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
