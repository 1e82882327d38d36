"""Run the proof: `python -m bench.chaos --help`."""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.chaos import __doc__ as about
from bench.chaos.restarts import measure
from bench.chaos.runs import compare, say
from bench.chaos.servers import SERVERS
from bench.chaos.sites import Pace, Servers
from bench.chaos.stock import run_stock

_MUST_BE_NOTHING = ("lost", "doubled", "unlike_expected")


def main() -> int:
    """Print the document; 1 when a call was lost or doubled, or the rows are not those of a run without faults."""
    options = argparse.ArgumentParser(
        prog="python -m bench.chaos", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--json", action="store_true", help="one JSON document on stdout (it always is)")
    options.add_argument("--setup", nargs="+", default=["embedded"], choices=list(SERVERS))
    options.add_argument("--recordings", type=int, default=200)
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--stock", action="store_true", help="the same kills over a plain Celery chain, too")
    options.add_argument(
        "--broker-restarts", type=int, default=0, metavar="N", help="measure instead how soon events are taken again"
    )
    options.add_argument("--lease-s", type=float, default=Pace().lease_s, help="work.lease_s of the hostile run")
    options.add_argument("--sweep-s", type=float, default=Pace().sweep_s, help="work.sweep_s of the hostile run")
    options.add_argument("--keep", type=Path, help="folder that keeps logs and databases; default: a temporary one")
    given = options.parse_args()
    documents: dict[str, dict[str, Any]] = {}
    for setup in given.setup:
        say(f"{setup}: starting its servers")
        with tempfile.TemporaryDirectory(prefix="callwise-chaos-") as folder:
            servers = SERVERS[setup]()
            try:
                documents[setup] = _measure(servers, (given.keep or Path(folder)) / setup, given)
            finally:
                servers.close()
    whole = documents if len(documents) > 1 else documents[given.setup[0]]
    sys.stdout.write(json.dumps(whole, indent=2, default=str, ensure_ascii=False) + "\n")
    return int(not all(is_well(document) for document in documents.values()))


def _measure(servers: Servers, scratch: Path, given: argparse.Namespace) -> dict[str, Any]:
    if given.broker_restarts:
        return measure(servers, scratch, given.broker_restarts)
    recordings, kills = given.recordings, given.kills
    if servers.most_recordings and recordings > servers.most_recordings:
        kills = max(1, kills * servers.most_recordings // recordings)
        recordings = servers.most_recordings
        say(f"only {recordings} recordings and {kills} kills: this set-up's local server cannot carry more")
    asked = {"recordings": recordings, "kills": kills, "seed": given.seed}
    document = compare(servers, scratch, **asked, pace=Pace(given.lease_s, given.sweep_s))
    if given.stock:
        document["stock"] = {}
        for settings in ("default", "safest"):
            document["stock"][settings] = run_stock(servers, scratch / settings, settings, **asked)
    return document


def is_well(document: dict[str, Any]) -> bool:
    """Whether nothing was lost or doubled and every row is as it has to be; of restarts, whether each was in time."""
    if "broker_restarts" in document:
        return bool(document["within_target"] == document["broker_restarts"])
    return bool(document["equal_to_fault_free"]) and not any(document[name] for name in _MUST_BE_NOTHING)


if __name__ == "__main__":
    sys.exit(main())
