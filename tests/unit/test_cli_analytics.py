"""`callwise trends` and `callwise export`: the contract for scripts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import typer
from typer.testing import CliRunner

import cli.analytics
from crm.database import Database
from tests.calls_made_up import NOON, add_call, id_of, prepare


@pytest.fixture(autouse=True)
def logs_of_the_command_alone() -> Iterator[None]:
    """A command sends the logs to its own stderr, which ends with it."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def app() -> typer.Typer:
    """The two commands."""
    made = typer.Typer()
    cli.analytics.register(made)
    return made


@pytest.fixture
def home(database: Database) -> Path:
    """A home with three calls in it."""
    with database.write() as connection:
        prepare(connection)
        for number, code in enumerate(("delivery", "delivery", "repair")):
            facts = {"analysis": {"reason_code": code}, "duration_s": 60.0, "contact_id": id_of("contact", number)}
            add_call(connection, number, NOON, **facts)
    path = database.url.database
    assert path is not None
    return Path(path).parent


def test_trends_as_json_have_a_row_for_each_period_and_member(app: typer.Typer, home: Path) -> None:
    arguments = ["trends", "--home", str(home), "--by", "week", "--over", "reason", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["rows"]
    assert [(row["period"], row["dimension"], row["calls"]) for row in rows] == [
        ("2026-W11", "delivery", 2),
        ("2026-W11", "repair", 1),
    ]
    assert rows[0]["reason_share"] == 2 / 3
    assert rows[0]["handle_time_s"] == 60.0
    assert rows[0]["is_complete"] is False


def test_the_last_day_belongs_to_the_period_that_was_asked_for(app: typer.Typer, home: Path) -> None:
    for until, count in (("2026-03-10", 3), ("2026-03-09", 0), ("9999-12-31", 3)):
        result = CliRunner().invoke(app, ["trends", "--home", str(home), "--until", until, "--json"])
        assert sum(row["calls"] for row in json.loads(result.stdout)["rows"]) == count


def test_no_call_is_in_the_last_days_of_the_calendar(app: typer.Typer, home: Path) -> None:
    for by in ("day", "week", "month"):
        result = CliRunner().invoke(app, ["trends", "--home", str(home), "--since", "9999-12-31", "--by", by, "--json"])
        assert json.loads(result.stdout)["rows"] == []


def test_trends_for_people_show_the_figures(app: typer.Typer, home: Path) -> None:
    result = CliRunner().invoke(app, ["trends", "--home", str(home), "--over", "reason"])
    assert result.exit_code == 0
    assert "Delivery" in result.stdout
    assert "66.7%" in result.stdout
    assert "demo engine" not in result.stderr


def test_trends_for_people_say_how_many_calls_a_demo_engine_heard(app: typer.Typer, home: Path) -> None:
    database = Database(f"sqlite:///{home / 'callwise.db'}")
    with database.write() as connection:
        add_call(connection, 3, NOON, analysis={"reason_code": "repair", "is_demo": True})
    result = CliRunner().invoke(app, ["trends", "--home", str(home)])
    assert "1 of these calls: heard or summarised by a demo engine" in result.stderr


def test_a_date_that_is_none_is_a_usage_error(app: typer.Typer, home: Path) -> None:
    result = CliRunner().invoke(app, ["trends", "--home", str(home), "--since", "yesterday"])
    assert result.exit_code == 2
    assert "2026-03-14" in result.stderr


def test_days_are_cut_in_the_zone_that_is_named(app: typer.Typer, home: Path) -> None:
    asked = ["trends", "--home", str(home), "--by", "day", "--json", "--zone"]
    found = json.loads(CliRunner().invoke(app, [*asked, "Pacific/Kiritimati"]).stdout)
    # Noon in UTC is two in the night there, of the day after.
    assert (found["time_zone"], found["rows"][0]["period"]) == ("Pacific/Kiritimati", "2026-03-11")
    assert CliRunner().invoke(app, [*asked, "Mars/Base"]).exit_code == 2


def test_several_kinds_are_exported_at_once_and_listed(app: typer.Typer, home: Path, tmp_path: Path) -> None:
    out = tmp_path / "bi"
    arguments = ["export", "csv", "xlsx", "--home", str(home), "--out", str(out), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    files = json.loads(result.stdout)["files"]
    assert {Path(file["path"]).suffix for file in files} == {".csv", ".json", ".xlsx"}
    assert all(Path(file["path"]).stat().st_size == file["bytes"] for file in files)
    assert {file["path"]: file["rows"] for file in files}[str(out / "csv" / "fact_call.csv")] == 3


def test_what_cannot_be_exported_is_a_usage_error(app: typer.Typer, home: Path) -> None:
    result = CliRunner().invoke(app, ["export", "pdf", "--home", str(home)])
    assert result.exit_code == 2
    assert result.stderr.startswith("callwise export:")
