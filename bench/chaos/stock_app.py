"""The peer: a plain Celery app with a chain of three tasks for each recording, as its documentation has them.

`python -m bench.chaos.stock_app POOL CONCURRENCY` runs a worker. The broker and the settings stand in the environment.
"""

import os
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from celery import Celery, chain

from bench.chaos.engines import die_where_told
from bench.chaos.sidelog import LOG, POINTS, KillPoints, SideLog

BROKER, SETTINGS = "CHAOS_BROKER", "CHAOS_STOCK"
# Each task works for so long: about as long as a step of ours with engines that cost nothing.
WORK_S = 0.02

# What Celery's documentation advises to those who must not lose a task; all else is as it comes.
SAFEST: dict[str, Any] = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_default_delivery_mode": "persistent",
    "worker_prefetch_multiplier": 1,
    "broker_transport_options": {"confirm_publish": True},
    "broker_connection_max_retries": None,
}


def make_app(broker: str, settings: str) -> Celery:
    """The app with the settings `default` or `safest`."""
    app = Celery("stock", broker=broker)
    app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
    if settings == "safest":
        options = SAFEST["broker_transport_options"] if broker.startswith("amqp") else {}
        app.conf.update(SAFEST | {"broker_transport_options": options})
    for name in ("call.transcribe", "call.understand", "call.file"):
        app.task(name=name, shared=False)(_task(name))
    return app


def start_chain(app: Celery, recording: str) -> None:
    """Send a recording on its way."""
    steps = [app.tasks[name].si(recording) for name in ("call.transcribe", "call.understand", "call.file")]
    chain(*steps).apply_async()


def _task(name: str) -> Any:
    def work(recording: str) -> None:
        log, points = _side()
        for moment in ("claimed", "worked", "writing", "committed"):
            log.write(moment, call=recording, step=name)
            die_where_told(points, log, f"{name} {moment}")
            if moment == "claimed":
                time.sleep(WORK_S)
        log.write("left", call=recording, step=name)

    return work


@cache
def _side() -> tuple[SideLog, KillPoints]:
    return SideLog(os.environ[LOG]), KillPoints(Path(os.environ[POINTS]))


def main(pool: str, concurrency: str) -> None:
    """Run a worker."""
    app = make_app(os.environ[BROKER], os.environ[SETTINGS])
    app.worker_main(["worker", f"--pool={pool}", f"--concurrency={concurrency}", "--loglevel=WARNING", "-n", _name()])


def _name() -> str:
    return f"stock-{os.getpid()}@%h"


if __name__ == "__main__":
    main(*sys.argv[1:])
