"""What the side log says of a run: paid answers, and how soon the calls of a killed process were worked on again."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.chaos.sidelog import Follower
from bench.chaos.sites import WORKERS
from calls.pipeline import FILE

LAST_STEP = FILE.name
_IN_WORK = frozenset({"claimed", "worked", "writing"})


@dataclass
class Tally:
    """Counted over one run.

    `recoveries_s`: for each call that a killed process had in work, the time from the kill to its next sign; where
    another worker was killed while the call waited, and perhaps took its bell along, from that kill on.
    `whole_recoveries_s` are counted from the first.
    `in_flight`: how many calls each kill hit. `unrecovered`: calls in work at a kill of which nothing was seen again.
    """

    paid: Counter[tuple[str, str]] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)
    whole_recoveries_s: list[float] = field(default_factory=list)
    # Those during which a server was restarted: it is away for seconds, and bells may be lost with it.
    delayed_recoveries_s: list[float] = field(default_factory=list)
    in_flight: list[int] = field(default_factory=list)
    unrecovered: int = 0
    restarts_s: dict[str, list[float]] = field(default_factory=dict)

    def paid_repeats(self, put_counts: Mapping[str, int]) -> int:
        """Paid answers beyond one for each purpose and each time that its content was put anew."""
        return sum(max(0, count - put_counts.get(content, 1)) for (content, _), count in self.paid.items())

    @property
    def paid_bound(self) -> int:
        """At most so many answers may have been paid twice: those that a kill found in flight."""
        return sum(self.in_flight)


@dataclass
class _Clock:
    killed_at: float = 0.0
    server_back_at: float = 0.0


def read_tally(path: Path) -> Tally:
    """Go through a side log, which is in order of time."""
    tally = Tally()
    last: dict[str, dict[str, Any]] = {}
    killed_at: dict[str, float] = {}
    restarting: dict[str, float] = {}
    clock = _Clock()
    for line in Follower(path).new():
        match line["what"]:
            case "paid":
                tally.paid[line["content"], line["purpose"]] += 1
            case "killed" | "stopped":
                hit = [call for call, seen in last.items() if _is_hit(seen, line)]
                tally.in_flight.append(len(hit))
                if line["what"] == "killed" and line.get("name", line["who"]) in WORKERS:
                    clock.killed_at = line["at"]
                    killed_at |= dict.fromkeys(hit, line["at"])
            case "restarting" | "cut":
                restarting[line["server"]] = line["at"]
                if line["server"] == "database":
                    # What was paid for and could not be written down is paid for again.
                    tally.in_flight.append(sum(seen["what"] in _IN_WORK for seen in last.values()))
            case "restarted":
                taken_s = line["at"] - restarting[line["server"]]
                clock.server_back_at = line["at"]
                tally.restarts_s.setdefault(line["server"], []).append(round(taken_s, 2))
            case "claimed" | "worked" | "writing" | "committed" | "left":
                _follow(line, tally, last, killed_at, clock)
    tally.unrecovered = len(killed_at)
    return tally


def _follow(
    line: dict[str, Any], tally: Tally, last: dict[str, dict[str, Any]], killed_at: dict[str, float], clock: _Clock
) -> None:
    call = line["call"]
    before = last.get(call)
    if line["what"] == "left":
        # Whoever lets go of a call has written its result, put it back or parked it.
        if before is not None and before["pid"] == line["pid"]:
            if before["what"] in _IN_WORK or before["step"] == LAST_STEP:
                last.pop(call)
            else:
                last[call] = before | {"let_go": True}
        return
    if call in killed_at and line["what"] == "claimed":
        since = killed_at.pop(call)
        is_anew = before is not None and before["what"] == "committed" and line["step"] == before["step"]
        if not is_anew:
            was_away = clock.server_back_at > since
            (tally.delayed_recoveries_s if was_away else tally.whole_recoveries_s).append(line["at"] - since)
            if not was_away:
                tally.recoveries_s.append(line["at"] - clock.killed_at)
    last[call] = line


def _is_hit(seen: dict[str, Any], kill: dict[str, Any]) -> bool:
    """Whether the call whose last sign this is was in work at the process that was killed."""
    if seen["what"] not in _IN_WORK and not (seen["what"] == "committed" and "moment" in kill):
        return False
    if seen["what"] == "committed" and (seen["pid"] != kill["pid"] or "let_go" in seen or seen["step"] == LAST_STEP):
        return False
    # The harness notes whom it hit; who ends itself notes that it is the one.
    if kill["what"] == "stopped":
        return seen["pid"] in kill["victims"]
    if kill.get("whom") == "child":
        return bool(seen["pid"] == kill.get("victim", kill["pid"]))
    return bool(seen["who"] == kill.get("name", kill["who"]))
