"""A worker that is killed at any moment of any step costs time, never a call, and never counts one twice."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from calls.pipeline import FILE, TRANSCRIBE, UNDERSTAND
from calls.recording import CallFacts
from crm import tables, waiting
from crm.intake import insert_received
from engines.objects_folder import FolderStore
from tests.servers.process import wait_until
from tests.sound import two_channel_wav

CALLS = 12
KILLED = (sys.executable, "-m", "tests.workers.killed")
MOMENTS = ("claimed", "worked", "committed")


@pytest.fixture
def recording():
    return two_channel_wav(seconds=1)


class Restarted:
    """Keeps one worker command alive, as a supervisor would, until it is closed."""

    def __init__(self, command, environment, log):
        self._command, self._environment, self._log = command, environment, log
        self._ended = threading.Event()
        self.starts = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ended.is_set():
            self.starts += 1
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
                )
                self.pid = process.pid
            while process.poll() is None and not self._ended.wait(0.1):
                pass
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=30)

    def close(self):
        self._ended.set()
        self._thread.join(timeout=40)


def receive(database, store, recording, count, first=0):
    now = datetime.now(UTC)
    for number in range(first, count):
        stored = store.put(f"call-{number}.wav", recording)
        facts = CallFacts(from_number_e164="+12065550142", started_at=datetime(2026, 3, 1 + number, tzinfo=UTC))
        with database.write() as connection:
            insert_received(connection, stored, facts, source_system="test", profile="plain", now=now)


def wait_until_finished(database, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with database.read() as connection:
            if waiting.unfinished_count(connection) == 0:
                return
        threading.Event().wait(0.2)
    pytest.fail(f"not finished after {seconds} s")


def check_each_call_ended_once(database):
    with database.read() as connection:
        calls = connection.execute(sa.select(tables.call)).all()
        assert {row.stage for row in calls} == {"done"}
        assert len(calls) == CALLS
        for table in (tables.transcript, tables.call_analysis):
            current = connection.execute(sa.select(table.c.call_id).where(table.c.is_current)).scalars().all()
            assert sorted(map(str, current)) == sorted(str(row.id) for row in calls)
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.contact)).scalar_one() == 1
        ordered = sorted(calls, key=lambda row: row.happened_at)
        assert [row.earlier_call_id for row in ordered] == [None, *(row.id for row in ordered[:-1])]


def deaths(home):
    return {path.name for path in (home / "kills").iterdir()}


def every(moments):
    return {f"{step.name}-{moment}" for step in (TRANSCRIBE, UNDERSTAND, FILE) for moment in moments}


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("whom", "moments"), [("child", MOMENTS), ("worker", MOMENTS[1:])], ids=["child", "worker"])
def test_embedded_every_call_ends_once_though_its_worker_is_killed_in_each_step(
    whom, moments, database, recording, tmp_path
):
    home = tmp_path / "home"
    store = FolderStore(home / "objects", bucket="recordings")
    environment = dict(os.environ) | {
        "CALLWISE_HOME": str(home),
        "CALLWISE_DATABASE__URL": database.url.render_as_string(),
        "CALLWISE_WORK__LEASE_S": "1.5",
        "CALLWISE_WORK__MAX_ATTEMPTS": "9",
    }
    receive(database, store, recording, CALLS)
    worker = Restarted([*KILLED, whom, *moments], environment, tmp_path / "worker.log")
    try:
        wait_until_finished(database, 200)
    finally:
        worker.close()
    assert deaths(home) == every(moments)
    check_each_call_ended_once(database)
    # A child's death is its own, unless it takes the lock of its pool along: then the worker begins anew, once.
    assert worker.starts > len(every(moments)) if whom == "worker" else worker.starts <= 2


@pytest.mark.timeout(240)
def test_rabbitmq_and_postgresql_every_call_ends_once_though_its_worker_is_killed(
    postgres_database, rabbitmq_url, recording, tmp_path
):
    home = tmp_path / "home"
    store = FolderStore(home / "objects", bucket="recordings")
    environment = dict(os.environ) | {
        "CALLWISE_HOME": str(home),
        "CALLWISE_DATABASE__URL": postgres_database.url.render_as_string(hide_password=False),
        "CALLWISE_BROKER__URL": rabbitmq_url,
        "CALLWISE_WORK__LEASE_S": "1.5",
        "CALLWISE_WORK__MAX_ATTEMPTS": "9",
        "CALLWISE_WORK__SWEEP_S": "0.5",
    }
    receive(postgres_database, store, recording, CALLS)
    worker = Restarted([*KILLED, "worker", "worked"], environment, tmp_path / "worker.log")
    beat = Restarted([sys.executable, "-m", "cli", "beat"], environment, tmp_path / "beat.log")
    try:
        wait_until_finished(postgres_database, 200)
    finally:
        worker.close()
        beat.close()
    assert deaths(home) == every(["worked"])
    check_each_call_ended_once(postgres_database)


def pool_of(worker):
    """The processes of the worker's pool."""
    lists = Path(f"/proc/{worker.pid}/task").glob("*/children")
    return {int(pid) for path in lists for pid in path.read_text().split()}


@pytest.mark.timeout(180)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which needs Linux")
def test_embedded_a_pool_whose_idle_processes_are_killed_with_its_lock_does_not_stand_still_for_ever(
    database, recording, tmp_path
):
    home = tmp_path / "home"
    store = FolderStore(home / "objects", bucket="recordings")
    environment = dict(os.environ) | {
        "CALLWISE_HOME": str(home),
        "CALLWISE_DATABASE__URL": database.url.render_as_string(),
    }
    receive(database, store, recording, 1)
    worker = Restarted([*KILLED, "child"], environment, tmp_path / "worker.log")
    try:
        wait_until_finished(database, 60)
        # One of those that wait for work holds the lock of the pipe that it comes through.
        killed = pool_of(worker)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(pool_of(worker) - killed) == len(killed), what="new processes")
        receive(database, store, recording, CALLS, first=1)
        wait_until_finished(database, 90)
    finally:
        worker.close()
    check_each_call_ended_once(database)
