"""The same schedule of kills over a plain Celery chain: what is lost, what is done twice, how long it takes to go on.

Its listener is taken for perfect: every recording is given to it once, however badly it was announced, and what cannot
be published is published again.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from bench.chaos.faults import Targets, schedule
from bench.chaos.processes import Kept, Supervisor
from bench.chaos.proxy import Proxy
from bench.chaos.sidelog import Follower, KillPoints
from bench.chaos.sites import Pace, Servers, Site
from bench.chaos.stock_app import BROKER, SETTINGS, make_app, start_chain
from bench.chaos.storm import Feeder, Storm
from bench.chaos.tally import read_tally

# The longest that the end is waited for after nothing happens any more; what comes later is not counted as lost by
# Celery's word, but nobody would wait for it here.
STILL_S = 60.0
# A chain of which nothing is seen for so long is not waited for before the next ones are sent.
GONE_S = 20.0
LAST = "call.file"


@dataclass
class StockWorld:
    """The broker of a site, and nothing else of it."""

    side_log: Path
    points: KillPoints
    proxies: dict[str, Proxy]
    restarts: dict[str, Callable[[], None]]
    pace: Pace = field(default_factory=Pace)


def run_stock(
    servers: Servers, scratch: Path, settings: str, *, recordings: int, kills: int, seed: int
) -> dict[str, Any]:
    """Run the chains with the settings `default` or `safest`; returns the figures."""
    site = servers.site(scratch)
    try:
        if "broker" not in site.proxies:
            return {"missing": "Celery has no broker that several processes of an embedded set-up could share"}
        return _run(site, settings, recordings=recordings, kills=kills, seed=seed)
    finally:
        site.close()


def _run(site: Site, settings: str, *, recordings: int, kills: int, seed: int) -> dict[str, Any]:
    restarts = {name: restart for name, restart in site.restarts.items() if name == "broker"}
    world = StockWorld(site.side_log, site.points, {"broker": site.proxies["broker"]}, restarts)
    broker = site.settings()["CALLWISE_BROKER__URL"]
    environment = site.environment() | {BROKER: broker, SETTINGS: settings}
    pools = {"speech": "prefork", "language": "threads", "both": "prefork"}
    kept = [
        Kept(name, "bench.chaos.stock_app", pool, "2", environment=environment, logs=site.logs)
        for name, pool in pools.items()
    ]
    supervisor = Supervisor(kept)
    targets = Targets(
        workers=list(pools),
        pools=["speech", "both"],
        others=list(pools),
        servers=list(restarts),
        proxies=["broker"],
        points=(),
    )
    progress = _Progress(Follower(world.side_log))
    app = make_app(broker, settings)
    started = time.monotonic()

    def publish(recording: str) -> None:
        progress.sent(recording)
        _publish(app, recording)

    try:
        feeder = Feeder([f"recording {number}" for number in range(recordings)], publish, progress.unfinished)
        storm = Storm(world, supervisor, feeder, schedule(kills, targets, seed))
        storm.run()
        still_s = progress.wait_for_the_end()
    finally:
        supervisor.close()
    progress.unfinished()
    tally = read_tally(world.side_log)
    done = progress.done
    return {
        "recordings": recordings,
        "kills": storm.kills,
        "lost": recordings - len({recording for recording, step in done if step == LAST}),
        "doubled": len({recording for (recording, _), count in done.items() if count > 1}),
        "recovery_s_max": round(max(tally.recoveries_s, default=0.0), 2),
        "recovery_s_max_over_several_kills": round(max(tally.whole_recoveries_s, default=0.0), 2),
        "recovery_s_max_while_a_server_was_away": round(max(tally.delayed_recoveries_s, default=0.0), 2),
        "never_worked_on_again": tally.unrecovered,
        "idle_kills": storm.idle_kills,
        "waited_s": round(still_s),
        "seconds": round(time.monotonic() - started, 1),
    }


def _publish(app: Celery, recording: str) -> None:
    while True:
        try:
            return start_chain(app, recording)
        except (OperationalError, OSError):
            time.sleep(0.5)


class _Progress:
    """What the side log says of the chains."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        # (recording, step) -> how often it was done.
        self.done: Counter[tuple[str, str]] = Counter()
        # Chains that have not ended -> when something was last seen of them.
        self._seen: dict[str, float] = {}
        self._moved_at = time.monotonic()

    def sent(self, recording: str) -> None:
        """A chain is on its way."""
        self._seen.setdefault(recording, time.monotonic())

    def unfinished(self) -> int:
        """How many chains are on their way; those that have not been seen for GONE_S are not waited for."""
        self._follow()
        return sum(time.monotonic() - at < GONE_S for at in self._seen.values())

    def wait_for_the_end(self) -> float:
        """Wait until every chain has ended, or nothing has moved for STILL_S; returns how long nothing moved."""
        while True:
            self._follow()
            still_s = time.monotonic() - self._moved_at
            if not self._seen or still_s > STILL_S:
                return still_s
            time.sleep(0.2)

    def _follow(self) -> None:
        for line in self._follower.new():
            if line["what"] not in {"claimed", "committed"}:
                continue
            self._moved_at = self._seen[line["call"]] = time.monotonic()
            if line["what"] == "committed":
                self.done[line["call"], line["step"]] += 1
            if self.done[line["call"], LAST]:
                self._seen.pop(line["call"])
