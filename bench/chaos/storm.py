"""One run: the stream is fed while the faults strike, each when there is work in flight for it to hurt."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from bench.chaos.faults import INTAKE_POINTS, Fault
from bench.chaos.processes import Kept, Supervisor
from bench.chaos.proxy import Proxy
from bench.chaos.sidelog import Follower, KillPoints, SideLog
from bench.chaos.sites import WORKERS, Pace

# Calls on their way at once: enough that every kill finds some.
WINDOW = 48
# How long a fault waits for its moment. The stream then goes on, and the fault strikes whatever is there.
MOMENT_S = 20.0
CLOCK_S = 3.0
# Nothing at all has happened for so long although there is work: it stands still, and would for ever.
STILL_S = 120.0


class StandsStill(Exception):
    """Nobody works any more, and nobody says why."""


class World(Protocol):
    """Where a storm strikes."""

    side_log: Path
    points: KillPoints
    proxies: dict[str, Proxy]
    restarts: dict[str, Callable[[], None]]
    pace: Pace


@dataclass
class Feeder:
    """Does the actions in turn, as far as `limit` lets it and as long as there are not too many calls on their way.

    `unfinished` says how many are.
    """

    actions: Sequence[Any]
    do: Callable[[Any], None]
    unfinished: Callable[[], int]
    limit: float = float("inf")
    fed: int = 0
    _broken: list[BaseException] = field(default_factory=list)

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether everything has been fed. Raises what broke the feeding."""
        if self._broken:
            raise self._broken[0]
        return self.fed == len(self.actions)

    def _run(self) -> None:
        try:
            while self.fed < len(self.actions):
                self._wait_for_room()
                for action in self.actions[self.fed : self.fed + 8]:
                    self.do(action)
                    self.fed += 1
        except BaseException as error:  # noqa: BLE001 - told to whoever asks whether it is done
            self._broken.append(error)

    def _wait_for_room(self) -> None:
        idle_since = time.monotonic()
        while True:
            unfinished = self.unfinished()
            if unfinished < WINDOW and self.fed < self.limit:
                return
            # Nothing in flight that a fault could hurt: without more to do, it would wait for ever.
            if unfinished:
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > 1:
                return
            time.sleep(0.1)


@dataclass
class Storm:
    """Strikes with each fault at its place in the stream; `struck` notes what came of each."""

    world: World
    supervisor: Supervisor
    feeder: Feeder
    faults: Sequence[Fault]
    counts: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    # Kills that found nothing in flight at their target.
    idle_kills: int = 0

    def __post_init__(self) -> None:
        self._log = SideLog(str(self.world.side_log))
        self._follower = Follower(self.world.side_log)
        self._heard_at = time.monotonic()
        self._last_seen: dict[str, float] = {}
        # Process -> the call that it works on.
        self._busy: dict[int, str] = {}
        self._who: dict[int, str] = {}

    def run(self) -> None:
        """Feed everything and strike with everything; returns when both are done."""
        places = [(number + 0.5) * len(self.feeder.actions) / len(self.faults) for number in range(len(self.faults))]
        slack = max(24.0, 2 * len(self.feeder.actions) / max(1, len(self.faults)))
        self.feeder.limit = places[0] + slack if places else float("inf")
        self.feeder.start()
        for place, fault in zip(places, self.faults, strict=True):
            self.feeder.limit = place + slack
            self._feed_until(partial(self._has_fed, place))
            self._strike(fault)
        self.feeder.limit = float("inf")
        self._feed_until(lambda: self.feeder.is_done)

    def _feed_until(self, condition: Callable[[], object]) -> None:
        """Wait until so much is fed. Raises StandsStill when that waits for calls on which nobody works."""
        while not self._until(condition, 1.0):
            if time.monotonic() - self._heard_at > STILL_S:
                raise StandsStill(f"nothing has happened for {STILL_S:g} s; {self.feeder.unfinished()} calls wait")

    def _has_fed(self, place: float) -> bool:
        return self.feeder.is_done or self.feeder.fed >= place

    def _strike(self, fault: Fault) -> None:
        self.counts[fault.kind] = self.counts.get(fault.kind, 0) + 1
        self.kills += fault.is_kill
        match fault.kind:
            case "restart":
                self._log.write("restarting", server=fault.target)
                self.world.restarts[fault.target]()
                self._log.write("restarted", server=fault.target)
            case "cut":
                self._log.write("cut", server=fault.target, connections=self.world.proxies[fault.target].cut())
            case "point":
                self._at_point(fault)
            case "stop":
                self._stop(self.supervisor.kept[fault.target], alone=fault.whom == "child")
            case "kill":
                self._kill(self.supervisor.kept[fault.target])
            case "kill_child":
                self._kill_child(self.supervisor.kept[fault.target])

    def _kill(self, kept: Kept) -> None:
        """Kill a process and all that it has started, when it has done something since it was started."""
        if kept.name in WORKERS:
            found = self._moment(lambda: self._has_begun(kept) and self._is_busy(kept))
        elif kept.name == "listen":
            found = self._moment(lambda: self._has_begun(kept))
        else:
            # A clock says nothing; after that time it has called for a sweep or two.
            found = self._moment(lambda: kept.is_up and time.monotonic() - kept.starts[-1] > CLOCK_S)
        self.idle_kills += not found
        kept.kill()
        self._log.write("killed", name=kept.name, whom="group")

    def _kill_child(self, kept: Kept) -> None:
        found = self._moment(lambda: self._has_begun(kept) and self._busy_child(kept) is not None)
        pid = self._busy_child(kept) if found else next(iter(kept.children()), None)
        self.idle_kills += not found
        if pid is None:
            kept.kill()
            self._log.write("killed", name=kept.name, whom="group")
            return None
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return self._kill_child(kept)
        self._log.write("killed", name=kept.name, whom="child", victim=pid)
        return None

    def _at_point(self, fault: Fault) -> None:
        """Arm a moment, and wait until somebody has died there."""
        self.world.points.arm(fault.target, fault.whom)
        if self._moment(lambda: not self.world.points.is_armed(fault.target)):
            return
        if self.world.points.disarm(fault.target):
            self.idle_kills += 1
            name = "listen" if fault.target in INTAKE_POINTS else "both"
            self.supervisor.kept[name].kill()
            self._log.write("killed", name=name, whom="group")

    def _stop(self, kept: Kept, *, alone: bool) -> None:
        """Stop a worker, or one process of it, in mid-work for longer than its lease; then let it find out."""
        found = self._moment(lambda: self._has_begun(kept) and self._busy_child(kept) is not None)
        child = self._busy_child(kept) if found else None
        pids = [child] if alone and child else [kept.pid, *kept.children()]
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        self._log.write("stopped", name=kept.name, victims=pids)
        time.sleep(self.world.pace.lease_s * 1.6)
        for pid in pids:
            _signal(pid, signal.SIGCONT)
        self._log.write("continued", name=kept.name, victims=pids)

    def _moment(self, condition: Callable[[], object]) -> bool:
        """Wait for the moment of a fault; when too little is in flight for it to come, more is fed."""
        ends_at = time.monotonic() + MOMENT_S
        while time.monotonic() < ends_at:
            if self._until(condition, 0.25):
                return True
            if self.feeder.unfinished() < WINDOW / 3:
                self.feeder.limit = max(self.feeder.limit, self.feeder.fed) + 16
        return False

    def _until(self, condition: Callable[[], object], deadline_s: float) -> bool:
        """Follow the side log until the condition holds; False when the deadline comes first."""
        ends_at = time.monotonic() + deadline_s
        while time.monotonic() < ends_at:
            for line in self._follower.new():
                self._heard_at = time.monotonic()
                self._note(line)
            if condition():
                return True
            time.sleep(0.015)
        return False

    def _note(self, line: dict[str, Any]) -> None:
        if not line["who"]:
            return
        self._last_seen[line["who"]] = line["at"]
        self._who[line["pid"]] = line["who"]
        if line["what"] in {"claimed", "worked", "writing"}:
            self._busy[line["pid"]] = line["call"]
        elif line["what"] in {"left", "killed"}:
            self._busy.pop(line["pid"], None)

    def _has_begun(self, kept: Kept) -> bool:
        return kept.is_up and self._last_seen.get(kept.name, 0.0) > kept.starts[-1]

    def _is_busy(self, kept: Kept) -> bool:
        return any(self._who[pid] == kept.name for pid in self._busy if _is_alive(pid))

    def _busy_child(self, kept: Kept) -> int | None:
        children = set(kept.children())
        return next((pid for pid in self._busy if pid in children), None)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
