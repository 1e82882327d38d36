"""`python -m bench.chaos.worker QUEUE,... POOL CONCURRENCY`: a worker as in production, but for its engines."""

import sys

from bench.chaos.engines import chaos_parts
from workers.app import provide, wiring
from workers.run import run_worker


def main(queues: str, pool: str, concurrency: str) -> None:
    """Serve the queues."""
    provide(chaos_parts)
    run_worker(wiring().settings, queues=queues.split(","), pool=pool, concurrency=int(concurrency))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
