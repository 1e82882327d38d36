"""The peer: a bare Celery chain of four empty tasks; nothing is kept on disk but the broker's messages.

`python -m bench.celery_chain BROKER_URL COUNT CONCURRENCY` prints chains per second, from the first publish to the last
end. Where processes share the broker, the worker is a prefork one, as ours; the in-memory broker lives in one process,
so that its worker must use threads.
"""

import sys
import tempfile
import time
from pathlib import Path

from celery import Celery, chain
from celery.contrib.testing.worker import start_worker

# Chains, or calls, that end before the clock starts: every process has then loaded what it needs.
WARM_UP = 40

app = Celery("bare")


@app.task(name="empty")
def empty() -> None:
    """Do nothing."""


@app.task(name="last")
def last(ends: str) -> None:
    """Do nothing, and leave one byte in the file `ends`, which costs a few microseconds."""
    with Path(ends).open("ab") as file:
        file.write(b".")


def chains_per_s(broker_url: str, count: int, concurrency: int) -> float:
    """How many chains of four empty tasks end per second."""
    in_memory = broker_url.startswith("memory")
    app.conf.update(
        broker_url=broker_url,
        task_ignore_result=True,
        task_acks_late=True,
        broker_transport_options={"polling_interval": 0.01} if in_memory else {},
    )
    pool = "threads" if in_memory else "prefork"
    with (
        tempfile.NamedTemporaryFile() as ends,
        start_worker(app, pool=pool, concurrency=concurrency, perform_ping_check=False, loglevel="ERROR"),
    ):
        links = chain(empty.si(), empty.si(), empty.si(), last.si(ends.name))
        _run(links, WARM_UP, Path(ends.name), 0)
        started = time.perf_counter()
        _run(links, count, Path(ends.name), WARM_UP)
        return count / (time.perf_counter() - started)


def _run(links: chain, count: int, ends: Path, ended_before: int) -> None:
    for _ in range(count):
        links.delay()
    while ends.stat().st_size < ended_before + count:
        time.sleep(0.005)


if __name__ == "__main__":
    sys.stdout.write(f"{chains_per_s(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])):.1f}\n")
