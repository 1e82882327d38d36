"""What processes take of the processor, whatever else the machine does meanwhile. Linux: proc(5)."""

import os
from collections.abc import Sequence
from pathlib import Path


def _stat(pid: int) -> list[str]:
    # The third field and those behind it: the second, a name in parentheses, may hold anything.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(pid: int) -> list[int]:
    """The process and those that it began."""
    children = [one for each in Path(f"/proc/{pid}/task").glob("*/children") for one in each.read_text().split()]
    return [pid, *(one for child in children for one in tree(int(child)))]


def cpu_s(pids: Sequence[int]) -> float:
    """Seconds of CPU that these processes have taken."""
    ticks = 0
    for pid in pids:
        # utime and stime of proc(5).
        fields = _stat(pid)
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
