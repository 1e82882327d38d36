"""The peer: a bare Celery chain of four empty tasks, nothing kept on disk.

`python -m bench.celery_chain BROKER_URL COUNT CONCURRENCY` prints chains per second. On a broker that processes share
the worker is a prefork one, as ours; the in-memory broker lives in one process, so its worker must use threads.
"""

import sys
import threading
import time

from celery import Celery, chain
from celery.contrib.testing.worker import start_worker

app = Celery("bare")


@app.task(name="empty")
def empty() -> None:
    """Do nothing."""


def chains_per_s(broker_url: str, count: int, concurrency: int) -> float:
    """How many chains of four empty tasks end per second, from the first publish to the last end."""
    in_memory = broker_url.startswith("memory")
    app.conf.update(
        broker_url=broker_url,
        task_ignore_result=True,
        task_acks_late=True,
        worker_prefetch_multiplier=4,
        broker_transport_options={"polling_interval": 0.01} if in_memory else {},
    )
    ended = threading.Semaphore(0)

    @app.task(name="last")
    def last() -> None:
        """Say that the chain has ended: in the worker's own process, where the pool's threads live."""
        ended.release()

    links = chain(empty.si(), empty.si(), empty.si(), last.si())
    with start_worker(app, pool="threads", concurrency=concurrency, perform_ping_check=False, loglevel="ERROR"):
        links.delay()
        ended.acquire()
        started = time.perf_counter()
        for _ in range(count):
            links.delay()
        for _ in range(count):
            ended.acquire()
        return count / (time.perf_counter() - started)


if __name__ == "__main__":
    sys.stdout.write(f"{chains_per_s(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])):.1f}\n")
