"""`python -m bench.chaos.listener`: `callwise listen`, with the side log and the points at which to die."""

import os
import signal
import threading
from pathlib import Path

from bench.chaos.engines import die_where_told
from bench.chaos.sidelog import LOG, POINTS, KillPoints, SideLog
from crm.schema import require_current
from ingest.listening import run_listeners
from runtime.listening import make_all_listeners
from runtime.logs import set_up_logs
from runtime.program import spare_the_program
from workers.app import bell, wiring
from workers.run import SignsOfLife


def main() -> None:
    """Listen until SIGTERM."""
    wired = wiring()
    set_up_logs(wired.settings.log_level)
    log, points = SideLog(os.environ[LOG]), KillPoints(Path(os.environ[POINTS]))

    def observe(moment: str) -> None:
        log.write(f"intake {moment}")
        die_where_told(points, log, f"intake {moment}")

    listeners = make_all_listeners(wired, bell(wired.settings), observe)
    require_current(wired.database)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    life = SignsOfLife(wired.database, "listen")
    life.start()
    spare_the_program()
    run_listeners(listeners, ended)
    life.stop()


if __name__ == "__main__":
    main()
