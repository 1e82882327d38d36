"""What commands take of the processor from their start to their end, here and in another checkout by turns.

python -m bench.start_up --home ~/.callwise --against ../main --runs 5
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

COMMANDS = (("--help",), ("nosuch",), ("status", "--json"), ("doctor",), ("calls", "--json"), ("worker", "--help"))


def processor_s(checkout: Path, arguments: tuple[str, ...], home: Path) -> float:
    """User and system time of one `callwise`, in seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        cwd=checkout,
        env=os.environ | {"CALLWISE_HOME": str(home), "PYTHONPATH": str(checkout)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime


def measure(checkouts: list[Path], home: Path, runs: int) -> list[dict[str, Any]]:
    """The median of each command in each checkout; the first run of each, which may compile, is not counted."""
    rows = []
    for arguments in COMMANDS:
        taken: dict[Path, list[float]] = {checkout: [] for checkout in checkouts}
        for _ in range(runs + 1):
            for checkout, seconds in taken.items():
                seconds.append(processor_s(checkout, arguments, home))
        medians = {str(checkout): round(median(seconds[1:]), 2) for checkout, seconds in taken.items()}
        rows.append({"command": " ".join(arguments), "processor_s": medians})
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="a home that `callwise db upgrade` has seen")
    parser.add_argument("--against", type=Path, action="append", default=[], help="another checkout")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    checkouts = [one.resolve() for one in (Path(__file__).parents[1], *given.against)]
    rows = measure(checkouts, given.home.expanduser().absolute(), given.runs)
    print(json.dumps({"commands": rows, "load": os.getloadavg()[0]}, indent=2))


if __name__ == "__main__":
    main()
