"""Laws of `push`, `reconcile`, `profiles test` and `listen` as commands: what they print, and how they end."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from calls.errors import CallwiseError
from cli import ingest
from crm.database import Database
from crm.tables import call
from tests.servers.process import wait_until

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def environment(database: Database, tmp_path: Path) -> dict[str, str]:
    """The environment of a command that works on the test's database and a folder of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLWISE_")}
    settings = {"CALLWISE_HOME": str(tmp_path / "home"), "CALLWISE_DATABASE__URL": f"sqlite:///{database.url.database}"}
    return kept | settings | {"PYTHONPATH": str(CHECKOUT), "NO_COLOR": "1"}


def callwise(environment: dict[str, str], *arguments: str | Path, expect: int = 0) -> Any:
    """What the command prints as JSON, or its text where it prints none; run in this process, which is many times
    cheaper than a new one.
    """
    app = typer.Typer()
    ingest.register(app)
    ended = CliRunner().invoke(app, [str(one) for one in arguments], env=environment)
    assert ended.exit_code == expect, (ended.stderr, ended.exception)
    if isinstance(ended.exception, CallwiseError):
        return str(ended.exception)
    return json.loads(ended.stdout) if "--json" in arguments else ended.output


def test_what_is_pushed_is_missing_until_reconcile_takes_it_in(environment, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"sound")
    (tmp_path / "facts.json").write_text('{"agent": "Ana"}')
    pushed = callwise(
        environment,
        "push",
        tmp_path / "a.wav",
        "--name",
        "2026/x y.wav",
        "--sidecar",
        tmp_path / "facts.json",
        "--json",
    )
    assert pushed == [{"bucket": "recordings", "key": "2026/x y.wav", "size_bytes": 5}]
    report = callwise(environment, "reconcile", "--json", expect=1)
    assert (report["objects"], report["known"], report["missing"], report["queued"]) == (1, 0, ["2026/x y.wav"], 0)
    assert callwise(environment, "reconcile", "--fix", "--json")["queued"] == 1
    assert callwise(environment, "reconcile", "--json")["missing"] == []


def test_several_files_are_pushed_under_their_names_with_metadata(environment, tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"sound")
    pushed = callwise(environment, "push", tmp_path / "a.wav", tmp_path / "b.wav", "--meta", "agent=Ana", "--json")
    assert [row["key"] for row in pushed] == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    "arguments", [["a.wav", "b.wav", "--name", "x"], ["a.wav", "--meta", "nothing"], ["gone.wav"]], ids=str
)
def test_a_push_that_cannot_be_meant_is_a_usage_error(environment, tmp_path, arguments):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"sound")
    paths = [str(tmp_path / word) if word.endswith(".wav") else word for word in arguments]
    callwise(environment, "push", *paths, expect=2)


def test_profiles_show_what_they_read_and_that_they_read_nothing(environment):
    names = ["in-18005550100-4155550123-20250327-092517-1743042317.12206.wav", "New folder/Audio (2).mp3"]
    read, unread = callwise(environment, "profiles", "test", *names, "--json")
    assert (read["name"], read["profile"], read["unread"]) == (names[0], "freepbx", [])
    assert read["facts"]["direction"] == "inbound"
    assert read["facts"]["started_at"] == "2025-03-27T02:25:17+00:00"
    assert unread == {"name": names[1], "profile": None, "facts": {}, "unread": [], "told_by": {}}
    assert "no profile reads this name" in callwise(environment, "profiles", "test", names[1])


def test_profiles_show_who_told_each_fact_of_name_metadata_and_sidecar(environment, tmp_path):
    sidecar = tmp_path / "call.csv"
    sidecar.write_text("agent;hold_s\nMaya;0\n", encoding="utf-8")
    arguments = [
        "x_GUID_7_AGENT_a_CUST_1_DT_2026-11-27T08-00-00.wav",
        "--metadata",
        "queue=Service",
        "--sidecar",
        sidecar,
    ]
    (read,) = callwise(environment, "profiles", "test", *arguments, "--json")
    assert (read["facts"]["agent_name"], read["facts"]["hold_time_s"]) == ("Maya", 0)
    assert read["told_by"] == {
        "external_call_id": "name",
        "started_at": "name",
        "attributes.customer_id": "name",
        "queue_name": "metadata",
        "agent_name": "call.csv",
        "hold_time_s": "call.csv",
    }
    assert "agent_name: Maya  (call.csv)" in callwise(environment, "profiles", "test", *arguments)
    callwise(environment, "profiles", "test", "a.wav", "--metadata", "queue", expect=2)


def test_a_folder_cannot_be_watched_where_the_store_is_s3(environment):
    text = callwise(environment | {"CALLWISE_OBJECTS__KIND": "s3"}, "listen", expect=1)
    assert "CALLWISE_EVENTS" in text


def test_the_listener_ends_cleanly_when_it_is_asked_to(environment, database, tmp_path):
    listener = subprocess.Popen(
        [sys.executable, "-m", "cli", "listen"], env=environment, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True
    )
    try:
        (tmp_path / "a.wav").write_bytes(b"sound")
        callwise(environment, "push", tmp_path / "a.wav")

        def is_received() -> bool:
            with database.read() as connection:
                return connection.execute(sa.select(sa.func.count()).select_from(call)).scalar_one() == 1

        wait_until(is_received, what="the call", deadline_s=60)
        listener.send_signal(signal.SIGTERM)
        assert listener.wait(20) == 0
    finally:
        listener.kill()
        _, log = listener.communicate()
    assert "Traceback" not in log
