"""Laws of `reasons`, and of a person's correction, as commands."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
import typer
from typer.testing import CliRunner, Result

from calls.errors import SettingsError
from cli import calls as call_commands
from cli import reasons as commands
from crm.access import OPERATOR
from crm.calls import filter_choices
from crm.reviews import UnknownReason
from crm.tables import call_analysis, job, paid_request
from crm.taxonomies import NoSuchVersion, current_taxonomy
from tests.seeds import seed_call
from tests.web_client import Hall, make_hall

NEWER = """
version: seeds-2
title: Newer
reasons:
  - code: delivery
    label: Delivery
    definition: The customer asks where an order is, or when it will be delivered.
    examples: [My dishwasher has not arrived, Where is my order]
    replaces: [delivery_status]
  - code: fault
    label: Fault
    definition: Something is broken and has to be repaired.
    examples: [My oven is broken, Please send a technician]
questions:
  - {code: is_angry, text: 'Was the customer angry?', kind: yes_no}
"""


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    yield make_hall(tmp_path / "home")
    # A command writes its logs to the standard error that it was run with.
    structlog.reset_defaults()


@pytest.fixture
def newer(tmp_path: Path) -> str:
    path = tmp_path / "newer.yaml"
    path.write_text(NEWER, encoding="utf-8")
    return str(path)


def run(hall: Hall, *arguments: str) -> Result:
    """The command's outcome, with all that it printed."""
    app = typer.Typer()
    commands.register(app)
    call_commands.register(app)
    home = str(hall.wiring.settings.home_path)
    return CliRunner().invoke(app, [*arguments, "--home", home], env={"COLUMNS": "160", "NO_COLOR": "1"})


def document(hall: Hall, *arguments: str) -> Any:
    """The JSON document that the command prints."""
    ended = run(hall, *arguments, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def seed(hall: Hall, *codes: str) -> list[Any]:
    """Calls with these reasons."""
    with hall.wiring.database.write() as connection:
        return [seed_call(connection, analysis={"reason_code": code}) for code in codes]


def reasons_now(hall: Hall) -> list[str]:
    """The reasons of all calls, as they stand."""
    with hall.wiring.database.read() as connection:
        asked = sa.select(call_analysis.c.reason_code).where(call_analysis.c.is_current)
        return sorted(connection.execute(asked).scalars())


def test_loading_says_what_changes_and_a_dry_run_changes_nothing(hall, newer):
    seed(hall, "delivery_status", "repair_booking", "repair_booking")
    found = document(hall, "reasons", "load", newer, "--dry-run")
    assert found["changes"] == {
        "added": ["delivery", "fault"],
        "removed": ["repair_booking", "new_order"],
        "changed": [],
        "replaced": {"delivery_status": "delivery"},
        "questions_added": ["is_angry"],
        "questions_removed": [],
        "questions_changed": [],
    }
    assert (found["calls_under_other_reasons"], found["calls_without_counterpart"]) == (3, 2)
    assert (found["is_current"], document(hall, "reasons", "show")["version"]) == (False, "seeds-1")
    assert document(hall, "reasons", "load", newer)["is_current"]
    shown = document(hall, "reasons", "show")
    assert (shown["version"], shown["reasons"][0]["replaces"]) == ("seeds-2", ["delivery_status"])
    assert {(one["version"], one["is_current"], one["call_count"]) for one in shown["versions"]} == {
        ("seeds-1", False, 3),
        ("seeds-2", True, 0),
    }
    # Once more is no change.
    again = document(hall, "reasons", "load", newer)["changes"]
    assert not any(again.values())


def test_an_earlier_version_is_shown_and_an_unknown_one_is_told(hall, newer):
    document(hall, "reasons", "load", newer)
    shown = document(hall, "reasons", "show", "--version", "seeds-1")
    assert ([reason["code"] for reason in shown["reasons"]], shown["is_current"]) == (
        *(["delivery_status", "repair_booking", "new_order"], False),
    )
    assert isinstance(run(hall, "reasons", "show", "--version", "x").exception, NoSuchVersion)


def test_a_wrong_file_is_told_by_line_and_changes_nothing(hall, newer, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(NEWER.replace("label: Fault", "lable: Fault"), encoding="utf-8")
    ended = run(hall, "reasons", "load", str(wrong))
    assert isinstance(ended.exception, SettingsError)
    assert "line 10" in str(ended.exception)
    assert "did you mean `label`?" in str(ended.exception)
    # A version whose content changed is no version.
    document(hall, "reasons", "load", newer)
    wrong.write_text(NEWER.replace("is broken", "is worn"), encoding="utf-8")
    assert "give the file another `version`" in str(run(hall, "reasons", "load", str(wrong)).exception)
    assert "one of" in str(run(hall, "reasons", "load", str(tmp_path / "absent.yaml")).exception)


def test_the_ready_ones_can_be_listed_printed_and_loaded_by_name(hall):
    listed = run(hall, "reasons", "load", "banking")
    assert listed.exit_code == 0, listed.output
    with hall.wiring.database.read() as connection:
        stored = current_taxonomy(connection)
    app = typer.Typer()
    commands.register(app)
    printed = CliRunner().invoke(app, ["reasons", "ready", "banking"])
    assert commands.parse_taxonomy(printed.stdout) == stored
    names = CliRunner().invoke(app, ["reasons", "ready"], env={"COLUMNS": "160"}).stdout
    assert all(name in names for name in ("banking", "retail", "service_centre", "telecom"))


def test_the_past_is_classified_here_and_compared(hall, newer):
    seed(hall, "delivery_status", "repair_booking")
    document(hall, "reasons", "load", newer)
    expected = document(hall, "reasons", "reclassify", "--dry-run")
    assert (expected["calls"], expected["ask"], expected["reviewed"]) == (2, 2, 0)
    assert expected["reasons"] == [
        {"code": "delivery_status", "calls": 1, "goes_on_as": "delivery"},
        {"code": "repair_booking", "calls": 1, "goes_on_as": None},
    ]
    assert expected["forecast"]["basis"] == "free"
    assert reasons_now(hall) == ["delivery_status", "repair_booking"]
    found = document(hall, "reasons", "reclassify")
    assert (found["state"], found["answered"], found["unchanged"], found["changed"]) == ("ended", 2, 1, 1)
    assert [(row["code"], row["before"], row["after"]) for row in found["reasons"]] == [
        ("delivery", 0, 2),
        ("delivery_status", 1, 0),
        ("repair_booking", 1, 0),
    ]
    assert found["moves"] == [{"before": "repair_booking", "after": "delivery", "calls": 1}]
    assert reasons_now(hall) == ["delivery", "delivery"]
    assert document(hall, "reasons", "runs", found["id"][:8])["moves"] == found["moves"]
    assert [one["id"] for one in document(hall, "reasons", "runs")["runs"]] == [found["id"]]
    assert "repair_booking" in run(hall, "reasons", "runs", found["id"][:8]).stdout
    assert document(hall, "reasons", "reclassify")["queued"] == 0


def test_a_run_can_be_left_to_the_workers_and_stopped(hall, newer):
    seed(hall, "delivery_status", "repair_booking")
    document(hall, "reasons", "load", newer)
    queued = document(hall, "reasons", "reclassify", "--no-wait", "--only", "repair_booking")
    assert (queued["queued"], queued["waiting"], queued["only"]) == (1, 1, "repair_booking")
    assert document(hall, "reasons", "reclassify", "--stop") == {"stopped": 1}
    with hall.wiring.database.read() as connection:
        assert connection.execute(sa.select(job)).all() == []
    assert document(hall, "reasons", "runs", queued["id"])["state"] == "stopped"


def test_a_dry_run_prices_the_calls_by_what_they_took_before(hall, newer, monkeypatch):
    call_ids = seed(hall, "delivery_status", "delivery_status")
    document(hall, "reasons", "load", newer)
    for name, value in (
        ("LANGUAGE__ENGINE", "openai"),
        ("LANGUAGE__API_KEY", "k"),
        ("LANGUAGE__MODEL", "gpt-5.4-mini"),
        ("PRICES", '{"gpt-5.4-mini": {"input": 0.75, "cached": 0.075, "output": 4.5}}'),
    ):
        monkeypatch.setenv(f"CALLWISE_{name}", value)
    bound = document(hall, "reasons", "reclassify", "--dry-run")["forecast"]
    assert (bound["basis"], bound["output_tokens"], bound["models"]) == ("upper_bound", 2 * 1200, ["gpt-5.4-mini"])
    with hall.wiring.database.write() as connection:
        for call_id in call_ids:
            connection.execute(
                sa.insert(paid_request).values(
                    id=call_id,
                    call_id=call_id,
                    paid_at=sa.func.now(),
                    provider="openai",
                    model="gpt-5.4-mini",
                    purpose="analysis",
                    request_id="",
                    input_tokens=3000,
                    cached_tokens=2000,
                    output_tokens=300,
                    audio_s=0,
                    cost_microusd=1,
                )
            )
    found = document(hall, "reasons", "reclassify", "--dry-run")["forecast"]
    assert (found["basis"], found["observed_requests"], found["input_tokens"]) == ("observed", 2, 6000)
    # Two calls, each 1,000 tokens at 0.75 dollars a million, 2,000 at 0.075 and 300 at 4.5.
    assert found["cost_microusd"] == 2 * (750 + 150 + 1350)
    assert "0.00 dollars, by what they took before" in run(hall, "reasons", "reclassify", "--dry-run").output


def test_a_person_corrects_a_reason_at_the_terminal(hall):
    [call_id] = seed(hall, "delivery_status")
    found = document(hall, "call", str(call_id), "--reason", "new_order", "--by", "Ada")
    assert found["analysis"]["reason"] == {"code": "new_order", "label": "New order", "confidence": None}
    [review] = found["analysis"]["reviews"]
    assert (review["before"], review["after"], review["by"]) == ("delivery_status", "new_order", "Ada")
    assert found["analysis"]["reason_said_by"] == "Ada"
    assert "by the word of Ada" in run(hall, "call", str(call_id)).output
    assert isinstance(run(hall, "call", str(call_id), "--reason", "nonsense").exception, UnknownReason)
    assert document(hall, "calls", "--reason", "new_order")["calls"][0]["id"] == str(call_id)


def test_calls_are_found_by_the_reason_that_goes_on_in_the_place_of_theirs(hall, newer):
    [call_id, _] = seed(hall, "delivery_status", "repair_booking")
    document(hall, "reasons", "load", newer)
    assert [one["id"] for one in document(hall, "calls", "--reason", "delivery")["calls"]] == [str(call_id)]
    with hall.wiring.database.read() as connection:
        assert filter_choices(connection, OPERATOR).reasons == (
            ("delivery", "Delivery"),
            ("repair_booking", "Repair booking"),
        )
