"""Bad events and fifty kills on one set-up: no call lost, none counted twice, every row as without faults.

The whole proof, on every set-up, is `make soak`; what is proved, and how, stands in docs/reliability.md. Each set-up
has a file of its own, so that they can run side by side: most of their time is waiting. Continuous integration makes
half of it (CALLWISE_CHAOS_SHARE), since a run of everything has to end within half an hour.
"""

import os
from pathlib import Path

from bench.chaos.runs import compare
from bench.chaos.servers import SERVERS

SHARE = float(os.environ.get("CALLWISE_CHAOS_SHARE", "1"))
RECORDINGS, KILLS = int(2000 * SHARE), int(50 * SHARE)


def prove(setup: str, scratch: Path) -> None:
    """The run with faults ends like the one without."""
    servers = SERVERS[setup]()
    try:
        found = compare(servers, scratch, recordings=RECORDINGS, kills=KILLS, seed=7, is_warm=True)
    finally:
        servers.close()
    assert found["kills"] == KILLS, found
    assert (found["lost"], found["doubled"], found["unlike_expected"]) == (0, 0, 0), found
    assert found["equal_to_fault_free"], found
    assert found["paid_repeats"] <= found["paid_repeats_bound"], found
    # The kills hurt: most of them found work in flight, and that work was done again by others.
    assert found["idle_kills"] < KILLS / 5, found
    assert found["in_flight_at_kills"] > KILLS / 2, found
