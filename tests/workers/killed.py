"""A worker that is killed once in each step: `python -m tests.workers.killed child|worker MOMENT...`.

`child` kills the pool process that does the step, `worker` the whole worker. Where a death has happened is noted in the
home's folder `kills`, so that it happens once.
"""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.free_engines import free_parts
from calls.pipeline import Step
from workers.app import provide, wiring
from workers.run import run_worker


def main(whom: str, moments: Sequence[str]) -> None:
    """Run the worker; `moments` are those of workers.parts.Parts.observe at which it dies."""
    settings = wiring().settings
    kills = settings.home_path / "kills"
    kills.mkdir(exist_ok=True)

    def die_once(step: Step, moment: str) -> None:
        if moment in moments and _first_time(kills / f"{step.name}-{moment}"):
            if whom == "worker":
                os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    provide(lambda: replace(free_parts(), observe=die_once))
    run_worker(settings, pool="prefork", concurrency=2)


def _first_time(mark: Path) -> bool:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
