"""The schedule of faults, from a seed: who dies, is stopped, cut off or restarted, and in which order. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

# Moments at which a process can be told to end itself: of workers.parts.Parts.observe and ingest.intake.Intake.observe.
STEPS = ("call.transcribe", "call.understand", "call.file")
MOMENTS = ("worked", "committed", "writing", "claimed")
INTAKE_POINTS = ("intake writing", "intake committed")


@dataclass(frozen=True)
class Fault:
    """One fault. `kind`: `kill` (a process and what it has started), `kill_child` (one process of a pool), `point`
    (`target` is the moment, `whom` says whether `child` or `group` dies), `stop` (SIGSTOP for longer than a lease, a
    whole worker or with `whom` `child` one process of it), `restart` (a server), `cut` (every connection to a server).
    """

    kind: str
    target: str
    whom: str = ""

    @property
    def is_kill(self) -> bool:
        """Whether a process of Callwise is killed."""
        return self.kind in {"kill", "kill_child", "point"}


@dataclass(frozen=True)
class Targets:
    """What there is to hit in a set-up."""

    workers: Sequence[str]
    pools: Sequence[str]
    others: Sequence[str]
    servers: Sequence[str]
    proxies: Sequence[str]
    # Moments beside those of the steps.
    points: Sequence[str] = INTAKE_POINTS


def schedule(kills: int, targets: Targets, seed: int) -> list[Fault]:
    """`kills` kills and, for each ten of them, about three other faults, mixed."""
    dice = random.Random(f"faults {seed}")
    steps = [f"{step} {moment}" for moment in MOMENTS for step in STEPS]
    dice.shuffle(steps)
    more = list(targets.points)
    points = cycle([*steps[:4], *more[:1], *steps[4:8], *more[1:], *steps[8:]])
    others, workers, pools = cycle(targets.others), cycle(targets.workers), cycle(targets.pools)
    makers = {
        # The moments at which it hurts, as often as all the rest together.
        "point": lambda: _at_point(next(points), dice),
        "kill": lambda: Fault("kill", next(workers)),
        "kill_child": lambda: Fault("kill_child", next(pools)),
        "other": lambda: Fault("kill", next(others)),
    }
    kinds = cycle(["point", "kill_child", "point", "kill", "point", "other", "kill_child"])
    faults = [makers[next(kinds)]() for _ in range(kills)]
    others_count = max(1, kills // 20)
    for server in targets.servers:
        faults += [Fault("restart", server)] * max(1, kills // 25)
    for proxy in targets.proxies:
        faults += [Fault("cut", proxy)] * others_count
    for number in range(others_count * 2):
        alone = len(targets.workers) < 2 or number % 2
        faults.append(Fault("stop", dice.choice(targets.pools), "child" if alone else "group"))
    dice.shuffle(faults)
    return faults


def _at_point(moment: str, dice: random.Random) -> Fault:
    # The listener has no children.
    return Fault("point", moment, "group" if moment in INTAKE_POINTS else dice.choice(("child", "group")))
