"""The embedded set-up as one command: one per home, what dies is restarted, Ctrl-C drains."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from tests.e2e.processes import callwise, environment
from tests.servers.process import wait_until


class Up:
    """A running `callwise up`."""

    def __init__(self, home: Path, log: Path) -> None:
        self.environment = environment(home, CALLWISE_WORK__CONCURRENCY="1")
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", "up", "--port", "0"], env=self.environment, stderr=output, stdout=output
            )
        wait_until(lambda: "Pages: " in self.said(), what="the pages' address", deadline_s=60)
        self.address = re.search(r"Pages: (\S+)", self.said())[1]

    def said(self) -> str:
        return self.log.read_text()

    def children(self) -> dict[str, int]:
        """The child processes by name."""
        found = {}
        for path in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            words = Path(f"/proc/{path}/cmdline").read_bytes().split(b"\0")
            # A child that has just died or has not yet begun shows no command.
            if b"cli" in words:
                found[words[words.index(b"cli") + 1].decode()] = int(path)
        return found

    def answers(self) -> bool:
        try:
            return httpx2.get(f"{self.address}healthz", timeout=5, trust_env=False).status_code == 200
        except httpx2.HTTPError:
            return False

    def end(self, number: int) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def up(tmp_path):
    running = Up(tmp_path / "home", tmp_path / "up.log")
    yield running
    running.end(signal.SIGTERM)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to find the child processes")
@pytest.mark.timeout(180)
def test_up_serves_pages_restarts_what_dies_refuses_a_second_and_leaves_nothing_behind(up, tmp_path):
    wait_until(up.answers, what="the pages answer", deadline_s=60)
    assert "password" in up.said()
    assert set(up.children()) == {"web", "listen", "worker"}

    callwise("up", "--port", "0", environment=up.environment, code=1)

    before = up.children()
    os.kill(before["web"], signal.SIGKILL)
    wait_until(lambda: up.children().get("web") not in {None, before["web"]}, what="web is started again")
    wait_until(up.answers, what="the pages answer again", deadline_s=60)
    assert "web ended with -9" in up.said()

    children = up.children()
    assert up.end(signal.SIGINT) == 0
    assert "Draining" in up.said()
    assert not any(is_alive(pid) for pid in children.values())

    again = Up(tmp_path / "home", tmp_path / "again.log")
    try:
        assert "password" not in again.said()
        orphans = again.children()
    finally:
        again.end(signal.SIGKILL)
    wait_until(
        lambda: not any(is_alive(pid) for pid in orphans.values()), what="the children end with their supervisor"
    )
