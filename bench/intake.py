"""Events per second from a message's bytes to a durable call, recording and job, and what reconciling a bucket costs.

    python -m bench.intake --json [--events 20000] [--rounds 3] [--reconcile 100000]

Ours parses each S3 message, asks a store that answers at once, reads the name by the telephony profiles and commits, a
batch to a transaction: one listener, and several (`two_listeners`), each a process of its own on the same database.
`per_cpu_s` counts the seconds of the one listener's processor in place of the clock's: on SQLite that is all the work,
on PostgreSQL the client's part. The peers only put a message of the same size into a queue: kombu's SQLAlchemy
transport on SQLite, and Celery's publish to RabbitMQ. `floor` writes the same rows, ready, by the driver alone. Rounds
are interleaved. SQS requests are counted on a local
server.
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote_plus
from uuid import UUID

import sqlalchemy as sa
from celery import Celery
from kombu import Connection

from bench.free_engines import NamedStore
from bench.intake_floor import floor_rates
from calls.recording import ObjectRef
from crm.database import Database
from crm.schema import upgrade
from crm.tables import job
from ingest.intake import BATCH, Intake, take_messages
from ingest.names import NAME_PROFILES
from ingest.profiles import PLAIN, Profiles
from ingest.reconcile import reconcile
from runtime.logs import set_up_logs
from runtime.program import spare_the_program

BUCKET = "recordings"
PEER_MESSAGES = 2000
SQS_MESSAGES = 200
LISTENERS = 2
# Messages of each listener that are not counted: with the first of them connections and statements are made.
WARM_UP = 10
# A listener that died is noticed by then.
END_S = 600.0


def main() -> None:
    """Run the rounds and print the document."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--json", action="store_true")
    options.add_argument("--events", type=int, default=20_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--reconcile", type=int, default=100_000, help="objects in the largest bucket")
    options.add_argument("--reconcile-alone", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    set_up_logs("error")
    if given.reconcile_alone:
        sys.stdout.write(json.dumps(_reconcile(given.reconcile_alone)))
        return
    document = _rates(given.events, given.rounds)
    document["sqs_api_calls_per_message"] = _sqs_calls_per_message()
    if given.reconcile:
        document["reconcile"] = [_alone(count) for count in (given.reconcile // 4, given.reconcile)]
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def names(count: int) -> Iterator[str]:
    """Names as Amazon Connect writes them, each of another call."""
    for number in range(count):
        minute = f"{number // 60 % 24:02d}:{number % 60:02d}"
        yield f"connect/centre/CallRecordings/2026/03/14/{UUID(int=number)}_20260314T{minute}_UTC.wav"


def messages(count: int) -> list[bytes]:
    """One S3 message for each name."""
    return [
        json.dumps(
            {
                "Records": [
                    {
                        "eventVersion": "2.1",
                        "eventSource": "aws:s3",
                        "awsRegion": "us-east-1",
                        "eventTime": "2026-03-14T09:26:53.000Z",
                        "eventName": "ObjectCreated:Put",
                        "s3": {
                            "bucket": {"name": BUCKET},
                            "object": {"key": quote_plus(name, safe="/"), "size": 1024, "eTag": f"{number:032x}"},
                        },
                    }
                ]
            }
        ).encode()
        for number, name in enumerate(names(count))
    ]


def _rates(count: int, rounds: int) -> dict[str, object]:
    from tests.servers.postgres import PostgresServer
    from tests.servers.rabbitmq import RabbitServer

    bodies = messages(count)
    postgres, rabbit = PostgresServer(), RabbitServer()
    rates: dict[str, list[float]] = {}

    def note(name: str, rate: float) -> None:
        rates.setdefault(name, []).append(rate)

    try:
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                rate, per_cpu_s = _intake(f"sqlite:///{folder}/callwise.db", bodies)
                note("sqlite_events_per_s", rate)
                note("sqlite_events_per_cpu_s", per_cpu_s)
                floor, floor_per_cpu_s = floor_rates(
                    f"sqlite:///{folder}/callwise.db", f"sqlite:///{folder}/floor.db", BATCH
                )
                note("sqlite_floor_per_s", floor)
                note("sqlite_floor_per_cpu_s", floor_per_cpu_s)
                note("sqlite_two_listeners_per_s", _side_by_side(f"sqlite:///{folder}/both.db", bodies))
                note("kombu_sqlalchemy_per_s", _kombu(f"sqla+sqlite:///{folder}/kombu.db", bodies))
            taken = postgres.url(postgres.create_database())
            rate, per_cpu_s = _intake(taken, bodies)
            note("postgres_events_per_s", rate)
            note("postgres_events_per_client_cpu_s", per_cpu_s)
            floor, floor_per_cpu_s = floor_rates(taken, postgres.url(postgres.create_database()), BATCH)
            note("postgres_floor_per_s", floor)
            note("postgres_floor_per_client_cpu_s", floor_per_cpu_s)
            note("postgres_two_listeners_per_s", _side_by_side(postgres.url(postgres.create_database()), bodies))
            note("celery_publish_per_s", _celery(rabbit.url(rabbit.create_vhost()), bodies))
    finally:
        postgres.close()
        rabbit.close()
    medians: dict[str, object] = {name: round(statistics.median(found)) for name, found in rates.items()}
    return {"events": count, "rounds": rounds, "batch": BATCH, **medians, "all_rounds": rates, "missing": []}


def _intake(url: str, bodies: list[bytes]) -> tuple[float, float]:
    """Events per second of the clock, and of this process's processor."""
    database = Database(url)
    upgrade(database)
    spare_the_program()
    first = _take(database, bodies[:WARM_UP])
    started, cpu_started = time.perf_counter(), time.process_time()
    new = _take(database, bodies[WARM_UP:])
    took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    database.dispose()
    if first + new != len(bodies):
        raise RuntimeError(f"{len(bodies)} events made {first + new} calls")
    return new / took_s, new / cpu_s


def _side_by_side(url: str, bodies: list[bytes]) -> float:
    """Events per second of LISTENERS processes on one database, each with its share of the messages."""
    database = Database(url)
    upgrade(database)
    spare_the_program()
    fork = multiprocessing.get_context("fork")
    start, end = fork.Barrier(LISTENERS + 1), fork.Barrier(LISTENERS + 1)

    def listen(share: list[bytes]) -> None:
        _take(database, share[:WARM_UP])
        start.wait()
        _take(database, share[WARM_UP:])
        end.wait(timeout=END_S)

    listeners = [fork.Process(target=listen, args=(bodies[place::LISTENERS],)) for place in range(LISTENERS)]
    for listener in listeners:
        listener.start()
    start.wait()
    started = time.perf_counter()
    end.wait(timeout=END_S)
    took_s = time.perf_counter() - started
    for listener in listeners:
        listener.join()
    with database.read() as connection:
        made = connection.execute(sa.select(sa.func.count()).select_from(job)).scalar_one()
    database.dispose()
    if made != len(bodies):
        raise RuntimeError(f"{len(bodies)} events made {made} jobs")
    return (len(bodies) - LISTENERS * WARM_UP) / took_s


def _take(database: Database, bodies: list[bytes]) -> int:
    profiles = Profiles.of((PLAIN, *NAME_PROFILES), region="US", time_zone="UTC")
    intake = Intake(database, NamedStore(BUCKET), profiles)
    return sum(take_messages(intake, "bench", bodies[start : start + BATCH]) for start in range(0, len(bodies), BATCH))


def _kombu(url: str, bodies: list[bytes]) -> float:
    with Connection(url) as broker:
        queue = broker.SimpleQueue("events")
        started = time.perf_counter()
        for body in bodies[: PEER_MESSAGES // 10]:
            queue.put(body.decode())
        took_s = time.perf_counter() - started
        queue.close()
    return PEER_MESSAGES // 10 / took_s


def _celery(url: str, bodies: list[bytes]) -> float:
    app = Celery("bare", broker=url)
    with app.connection_for_write() as broker, broker.Producer() as producer:
        started = time.perf_counter()
        for body in bodies[:PEER_MESSAGES]:
            app.send_task("take", (body.decode(),), ignore_result=True, producer=producer)
        took_s = time.perf_counter() - started
    return PEER_MESSAGES / took_s


def _sqs_calls_per_message() -> float:
    from ingest.listen_sqs import SqsListener
    from tests.servers.aws import Aws, AwsServer
    from tests.servers.sqs_proxy import sqs_proxy

    server = AwsServer()
    aws = Aws(server.endpoint_url)
    try:
        url = aws.create_queue("events")
        sqs = aws.client("sqs")
        bodies = messages(SQS_MESSAGES)
        for start in range(0, len(bodies), 10):
            entries = [{"Id": str(i), "MessageBody": b.decode()} for i, b in enumerate(bodies[start : start + 10])]
            sqs.send_message_batch(QueueUrl=url, Entries=entries)
        with tempfile.TemporaryDirectory() as folder:
            database = Database(f"sqlite:///{folder}/callwise.db")
            upgrade(database)
            intake = Intake(database, NamedStore(BUCKET), Profiles.of((PLAIN,), region="US", time_zone="UTC"))
            with sqs_proxy(aws.endpoint_url) as proxy:
                listener = SqsListener(
                    intake,
                    queue=url.rsplit("/", 1)[-1],
                    endpoint_url=proxy.endpoint_url,
                    region=aws.region,
                    access_key="t",
                    secret_key="t",
                )
                taken = listener.drain()
                asked_count = sum(proxy.counts.values())
            database.dispose()
        if taken != SQS_MESSAGES:
            raise RuntimeError(f"{SQS_MESSAGES} messages made {taken} calls")
        return round(asked_count / SQS_MESSAGES, 3)
    finally:
        server.close()


def _alone(count: int) -> dict[str, float]:
    """In a process of its own, whose memory is that of reconciling alone."""
    command = [sys.executable, "-m", "bench.intake", "--reconcile-alone", str(count)]
    answer: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer


def _reconcile(count: int) -> dict[str, float]:
    """A bucket whose every object is known, compared; memory is the whole process's, at its highest."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'callwise.db'}")
        upgrade(database)
        profiles = Profiles.of((PLAIN, *NAME_PROFILES), region="US", time_zone="UTC")
        store = NamedStore(
            BUCKET, listing=lambda: (ObjectRef(BUCKET, name, etag="e", size_bytes=1) for name in names(count))
        )
        intake = Intake(database, store, profiles)
        filled = reconcile(intake, fix=True)
        started = time.perf_counter()
        report = reconcile(intake, fix=False)
        took_s = time.perf_counter() - started
        database.dispose()
    if (filled.queued_count, report.known_count) != (count, count):
        raise RuntimeError("reconcile did not take in every object")
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "objects": count,
        "seconds": round(took_s, 2),
        "objects_per_s": round(count / took_s),
        "peak_rss_mb": round(peak_kib / 1024, 1),
    }


if __name__ == "__main__":
    main()
