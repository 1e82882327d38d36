"""One set-up, twice: without faults and with them; and what came of it."""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from analytics.rollup import recompute_all, refresh
from bench.chaos.ends import Ends, Verdict, differences, judge, read_ends, why
from bench.chaos.faults import Fault, Targets, schedule
from bench.chaos.processes import Supervisor
from bench.chaos.rolled import read_rolled
from bench.chaos.sites import Pace, Servers, Site
from bench.chaos.stories import Action, Chaos, make_chaos
from bench.chaos.storm import Feeder, Storm
from bench.chaos.tally import read_tally
from calls.errors import TransientError
from crm import tables, waiting

# How long after the last event and the last fault everything may take to come to rest.
REST_S = 150.0
ZONE = "UTC"


@dataclass
class Ended:
    """One run at rest."""

    ends: Ends
    verdict: Verdict
    rolled: dict[str, Any]
    seconds: float
    rest_s: float


def compare(
    servers: Servers,
    scratch: Path,
    *,
    recordings: int,
    kills: int,
    seed: int,
    pace: Pace | None = None,
    is_warm: bool = False,
) -> dict[str, Any]:
    """Run the set-up without faults and with them; returns the figures. `is_warm`: processes start warm."""
    chaos = make_chaos(recordings, seed, is_watched=servers.is_watched)
    say(f"fault-free: {len(chaos.expected)} calls")
    clean_site = servers.site(scratch / "clean")
    clean_site.is_warm = is_warm
    try:
        clean, _ = run(clean_site, chaos, chaos.clean, [], is_recomputed=True)
    finally:
        clean_site.close()
    say(f"fault-free: {clean.seconds:.0f} s")
    site = servers.site(scratch / "hostile")
    site.pace, site.is_warm = pace or Pace(), is_warm
    try:
        faults = schedule(kills, targets_of(site), seed)
        hostile, storm = run(site, chaos, chaos.hostile, faults, is_recomputed=False)
        figures = _figures(chaos, clean, hostile, storm, site)
    finally:
        site.close()
    say(f"hostile: {hostile.seconds:.0f} s")
    return figures


def targets_of(site: Site) -> Targets:
    """Whom the faults of a set-up may hit."""
    is_alone = site.name == "embedded"
    return Targets(
        workers=["both"] if is_alone else ["speech", "language", "both"],
        pools=["both"] if is_alone else ["speech", "both"],
        others=["listen"] if is_alone else ["listen", "listen", "listen", "beat"],
        servers=list(site.restarts),
        proxies=list(site.proxies),
    )


def run(
    site: Site, chaos: Chaos, actions: Sequence[Action], faults: Sequence[Fault], *, is_recomputed: bool
) -> tuple[Ended, Storm]:
    """Feed the actions, strike with the faults, wait until everything is at rest, stop, and read what is there."""
    started = time.monotonic()
    supervisor = Supervisor(site.processes())
    try:
        feeder = Feeder(actions, site.do, site.unfinished)
        storm = Storm(site, supervisor, feeder, faults)
        storm.run()
        fed_at = time.monotonic()
        _rest(site, chaos)
        rested_at = time.monotonic()
    finally:
        supervisor.close()
    # What lay in a queue as a duplicate has been taken by now, or never will be.
    ends = read_ends(site.database)
    if is_recomputed:
        recompute_all(site.database, ZONE)
    else:
        refresh(site.database, ZONE)
    ended = Ended(
        ends=ends,
        verdict=judge(ends, chaos.expected),
        rolled=read_rolled(site.database),
        seconds=rested_at - started,
        rest_s=rested_at - fed_at,
    )
    return ended, storm


def _rest(site: Site, chaos: Chaos) -> None:
    """Wait until every event is taken, every call has ended, and everything is as expected; or until REST_S is over."""
    ends_at = time.monotonic() + REST_S
    while time.monotonic() < ends_at:
        # A connection from before the last restart of the database says so when it is used.
        with suppress(TransientError):
            if _is_at_rest(site, chaos):
                return
        time.sleep(0.2)


def _is_at_rest(site: Site, chaos: Chaos) -> bool:
    with site.database.read() as connection:
        is_busy = waiting.unfinished_count(connection) > 0
        count = connection.execute(sa.select(sa.func.count()).select_from(tables.call)).scalar_one()
    if is_busy or count < len(chaos.expected) or site.events_waiting() > 0:
        return False
    if judge(read_ends(site.database), chaos.expected).is_clean:
        return True
    time.sleep(1)
    return False


def _figures(chaos: Chaos, clean: Ended, hostile: Ended, storm: Storm, site: Site) -> dict[str, Any]:
    tally = read_tally(site.side_log)
    different = differences(hostile.ends, clean.ends, chaos.expected)
    if different:
        # For whoever has to find out why: `--keep` keeps it.
        whole = {key: _both(hostile, clean, key, parts) for key, parts in different.items()}
        (site.home.parent / "differences.json").write_text(json.dumps(whole, indent=1, default=str))
    rolled = sorted(name for name, rows in hostile.rolled.items() if rows != clean.rolled[name])
    wrong_baseline = [*clean.verdict.lost, *clean.verdict.doubled, *clean.verdict.unlike_expected]
    figures: dict[str, Any] = {
        "recordings": len(chaos.expected),
        "events": chaos.event_count,
        "kills": storm.kills,
        "lost": len(hostile.verdict.lost),
        "doubled": len(hostile.verdict.doubled),
        "paid_repeats": tally.paid_repeats(chaos.put_counts),
        "paid_repeats_bound": tally.paid_bound,
        "recovery_s_max": round(max(tally.recoveries_s, default=0.0), 2),
        "recovery_s_max_over_several_kills": round(max(tally.whole_recoveries_s, default=0.0), 2),
        "recovery_s_max_while_a_server_was_away": round(max(tally.delayed_recoveries_s, default=0.0), 2),
        "equal_to_fault_free": not different and not rolled and not wrong_baseline,
        "unlike_expected": len(hostile.verdict.unlike_expected),
        "faults": storm.counts,
        "idle_kills": storm.idle_kills,
        "in_flight_at_kills": sum(tally.in_flight),
        "recoveries": len(tally.recoveries_s),
        "garbage": chaos.garbage_count,
        "restarts_s": tally.restarts_s,
        "seconds": round(hostile.seconds, 1),
        "rest_s": round(hostile.rest_s, 1),
        "fault_free_s": round(clean.seconds, 1),
    }
    examples = {
        "lost": hostile.verdict.lost[:5],
        "doubled": hostile.verdict.doubled[:5],
        "unlike_expected": hostile.verdict.unlike_expected[:5],
        "different": {key: _both(hostile, clean, key, parts) for key, parts in list(different.items())[:5]},
        "different_parts": why(different),
        "different_roll_ups": rolled,
        "fault_free": wrong_baseline[:5],
    }
    return figures | {"examples": {name: value for name, value in examples.items() if value}}


def _both(hostile: Ended, clean: Ended, key: str, parts: list[str]) -> dict[str, Any]:
    here, there = hostile.ends.documents.get(key, {}), clean.ends.documents.get(key, {})
    if parts == ["telling"]:
        return {"telling": [hostile.ends.tellings.get(key), clean.ends.tellings.get(key)]}
    return {part: [here.get(part), there.get(part)] for part in parts}


def say(text: str) -> None:
    """For the person at the terminal."""
    sys.stderr.write(f"chaos: {text}\n")
