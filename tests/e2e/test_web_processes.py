"""`callwise web` by two processes: they serve one site, what dies is replaced, and none outlives its parent."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from subprocess import Popen

import httpx2
import pytest

from crm.database import Database
from crm.schema import upgrade
from crm.users import create_user
from tests.e2e.processes import environment, running
from tests.servers.process import free_port, wait_until
from tests.web_client import PASSWORD

_STARTS_WITHIN_S = 180


class Web:
    """A running `callwise web` and its address."""

    def __init__(self, process: "Popen[bytes]", port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    def workers(self) -> set[int]:
        """The processes that serve: the children but for the one by which Python keeps count of semaphores."""
        told = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(one) for one in told if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()}

    def get(self, path: str, **given: object) -> int:
        """The status of an answer on a connection of its own; 0 where nobody answers."""
        try:
            return httpx2.get(f"{self.url}{path}", timeout=30, trust_env=False, **given).status_code
        except httpx2.TransportError:
            return 0

    def answers(self) -> bool:
        return self.get("/healthz") == 200


def runs(process_id: int) -> bool:
    """Whether it does; one that ended and that nobody has asked about has no command line any more."""
    try:
        return bool(Path(f"/proc/{process_id}/cmdline").read_bytes())
    except OSError:
        return False


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    database = Database(f"sqlite:///{tmp_path}/callwise.db")
    upgrade(database)
    with database.write() as connection:
        create_user(connection, "ann", PASSWORD, "admin", datetime.now(UTC))
    database.dispose()
    port = free_port()
    settings = environment(tmp_path, CALLWISE_WEB__PROCESSES="2", CALLWISE_WEB__PORT=str(port))
    with running("web", environment=settings, log=tmp_path / "web.log") as process:
        found = Web(process, port)
        wait_until(found.answers, what="an answer", deadline_s=_STARTS_WITHIN_S)
        wait_until(lambda: len(found.workers()) == 2, what="two processes", deadline_s=_STARTS_WITHIN_S)
        yield found


def test_two_processes_serve_count_together_are_replaced_and_end_with_their_parent(web):
    wrong = {"auth": ("ann", "not the password")}
    # As many as one name may fail from one address, whoever of the two is asked.
    statuses = [web.get("/api/v1/calls", **wrong) for _ in range(8)]
    assert statuses == [401] * 5 + [429] * 3

    before = web.workers()
    gone = min(before)
    os.kill(gone, signal.SIGKILL)
    wait_until(
        lambda: len(web.workers()) == 2 and gone not in web.workers(),
        what="a successor",
        deadline_s=_STARTS_WITHIN_S,
    )
    assert web.workers() & before
    wait_until(web.answers, what="an answer of those that are left", deadline_s=_STARTS_WITHIN_S)
    # What failed before still counts, with one process of another memory.
    assert {web.get("/api/v1/calls", **wrong) for _ in range(4)} == {429}

    left = web.workers()
    web.process.kill()
    wait_until(
        lambda: not any(runs(one) for one in left),
        what="the end of those whose parent was killed",
        deadline_s=_STARTS_WITHIN_S,
    )
    assert web.get("/healthz") == 0
