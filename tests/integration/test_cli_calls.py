"""Laws of `calls`, `call` and `users` as commands."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from cli import calls as commands
from cli import tokens as token_commands
from cli import users as user_commands
from crm.calls import NoSuchCall, WrongQuery
from crm.swaps import NoChannels
from crm.users import UserError, find_user, is_password_of
from tests.seeds import NOW, seed_call, seed_failed_call, seed_taxonomy
from tests.web_client import Hall, make_hall
from tests.xss import XSS


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    return make_hall(tmp_path / "home")


def run(hall: Hall, *arguments: str, typed: str | None = None) -> Result:
    """The command's outcome, with all that it printed."""
    app = typer.Typer()
    commands.register(app)
    user_commands.register(app)
    token_commands.register(app)
    home = str(hall.wiring.settings.home_path)
    return CliRunner().invoke(app, [*arguments, "--home", home], input=typed, env={"COLUMNS": "160", "NO_COLOR": "1"})


def document(hall: Hall, *arguments: str) -> Any:
    """The JSON document that the command prints."""
    ended = run(hall, *arguments, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


def test_the_list_and_one_call_are_the_documents_of_the_api(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, external_call_id="X 1")
    hall.sign_in()
    assert document(hall, "calls") == hall.client.get("/api/v1/calls").json()
    for reference in (str(call_id), "X 1", call_id.hex[:8]):
        assert document(hall, "call", reference) == hall.client.get(f"/api/v1/calls/{call_id}").json()


def test_an_id_that_two_systems_gave_shows_the_newest_call_and_names_the_other(hall):
    with hall.wiring.database.write() as connection:
        older = seed_call(connection, external_call_id="X 1", source_system="pbx", happened_at=NOW - timedelta(hours=1))
        newer = seed_call(connection, external_call_id="X 1", source_system="cloud", happened_at=NOW)
    shown = run(hall, "call", "X 1", "--json")
    assert json.loads(shown.stdout)["id"] == str(newer)
    assert f"{older} (pbx)" in shown.stderr
    assert "pbx" not in run(hall, "call", str(newer)).stderr


def test_a_reason_that_no_version_has_is_said(hall):
    with hall.wiring.database.write() as connection:
        seed_taxonomy(connection)
        seed_call(connection)
    said = run(hall, "calls", "--reason", "delivery_statsu", "--json")
    assert json.loads(said.stdout)["calls"] == []
    assert "'delivery_statsu'" in said.stderr
    assert not run(hall, "calls", "--reason", "new_order", "--json").stderr


def test_the_next_page_is_taken_by_its_key(hall):
    with hall.wiring.database.write() as connection:
        for _ in range(3):
            seed_call(connection, said=None)
    first = document(hall, "calls", "--limit", "2")
    assert len(document(hall, "calls", "--after", first["next"])["calls"]) == 1
    assert f"--after {first['next']}" in run(hall, "calls", "--limit", "2").output


def test_people_read_tables(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection)
        seed_failed_call(connection)
    listed = run(hall, "calls").output
    assert "Dishwasher has not arrived" in listed
    assert "the file is no audio recording" in listed
    shown = run(hall, "call", str(call_id)).output
    assert "Delivery status (delivery_status, confidence 87%)" in shown
    assert "0:03" in shown


def test_what_of_an_analysis_is_missing_or_doubtful_is_said_in_words(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, analysis={"skipped": [{"feature": "next_steps", "code": "unsupported"}]})
    assert "next steps: no words of the call bear it out" in run(hall, "call", str(call_id)).output


def test_the_list_says_what_is_generated_and_what_a_demo_engine_heard(hall):
    with hall.wiring.database.write() as connection:
        seed_call(connection)
        seed_call(connection, analysis={"is_demo": True})
        seed_call(connection, is_sample=True)
    printed = run(hall, "calls", "--samples").stderr
    assert "Of these 3 calls: 1 heard or summarised by a demo engine" in printed
    assert "Of these 3 calls: 1 generated history" in printed


@pytest.mark.parametrize("hostile", [*XSS, "[red]not markup[/red]", "[/]"])
def test_text_from_a_call_is_no_markup_of_the_terminal(hall, hostile):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, analysis={"headline": hostile}, said=[(0, "customer", 0.0, 1.0, hostile)])
    assert run(hall, "calls").exit_code == 0
    assert run(hall, "call", str(call_id)).exit_code == 0
    assert document(hall, "call", str(call_id))["analysis"]["headline"] == hostile


def test_what_cannot_be_read_or_found_is_an_error_of_ours(hall):
    assert isinstance(run(hall, "calls", "--since", "soon").exception, WrongQuery)
    assert isinstance(run(hall, "call", "nothing").exception, NoSuchCall)
    assert run(hall, "calls", "--limit", "0").exit_code == 2


def test_a_made_password_is_printed_once_and_opens_the_account(hall):
    ended = run(hall, "users", "add", "ben")
    password = ended.stdout.strip()
    with hall.wiring.database.read() as connection:
        assert is_password_of(find_user(connection, "ben"), password)
    assert password not in run(hall, "users", "list").output


def test_a_password_from_standard_input_is_not_printed(hall):
    ended = run(hall, "users", "password", "maria", "--password-stdin", typed="another good password\n")
    assert "another good password" not in ended.output
    with hall.wiring.database.read() as connection:
        assert is_password_of(find_user(connection, "maria"), "another good password")


def test_the_list_of_users_tells_no_secret(hall):
    (user,) = document(hall, "users", "list")["users"]
    assert user | {"id": ""} == {
        "id": "",
        "name": "maria",
        "role": "admin",
        "agent": None,
        "teams": [],
        "is_active": True,
        "signs_in_elsewhere": False,
        "created_at": "2026-03-20T12:00:00+00:00",
    }


def test_a_name_that_is_taken_is_an_error_of_ours(hall):
    assert isinstance(run(hall, "users", "add", "maria").exception, UserError)


def test_a_swap_at_the_terminal_shows_the_corrected_call_and_says_what_it_costs(hall):
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection, transcript={"agent_channel": 1})
    ended = run(hall, "call", str(call_id), "--swap-channels", "--json")
    assert "The agent is on channel 0 now" in ended.stderr
    assert "one more request to the language engine" in " ".join(ended.stderr.split())
    shown = json.loads(ended.stdout)
    assert (shown["stage"], shown["analysis"], shown["transcript"]["agent_channel"]) == ("transcribed", None, 0)
    assert [turn["speaker"] for turn in shown["turns"]][:2] == ["customer", "agent"]
    [said] = shown["reviews"]
    assert (said["field"], said["before"], said["after"]) == ("speakers", "1", "0")
    assert isinstance(run(hall, "call", str(seed(hall)), "--swap-channels").exception, NoChannels)


def test_a_doubtful_map_of_the_channels_is_shown_with_its_remedy(hall):
    call_id = seed(hall, transcript={"agent_channel": 1, "skipped": [{"feature": "channels", "code": "maybe_swapped"}]})
    printed = run(hall, "call", str(call_id)).output
    assert f"callwise call {call_id} --swap-channels" in " ".join(printed.split())
    assert {"feature": "channels", "code": "maybe_swapped"} in document(hall, "call", str(call_id))["skipped"]


def test_timing_has_the_parts_and_what_follows_from_them(hall):
    counted = {"word_agent_count": 16, "word_customer_count": 9, "longest_monologue_agent_s": 2.5}
    timing = document(hall, "call", str(seed(hall, transcript=counted)))["timing"]
    assert timing | counted == timing
    assert (timing["words_per_minute_agent"], timing["words_per_minute_customer"]) == (200.0, 120.0)
    assert timing["agent_talk_share"] == 0.5161
    assert document(hall, "call", str(seed(hall, said=None)))["timing"]["words_per_minute_agent"] is None


def seed(hall: Hall, **facts: Any) -> Any:
    """One call in the hall's database."""
    with hall.wiring.database.write() as connection:
        return seed_call(connection, **facts)


def test_a_token_is_shown_once_and_opens_what_its_scopes_say(hall):
    made = document(hall, "tokens", "create", "maria", "dashboard", "--scope", "read_calls", "--days", "7")
    bearer = {"Authorization": f"Bearer {made['token']}"}
    hall.clock.now = datetime.now(UTC)
    assert hall.client.get("/api/v1/calls", headers=bearer).status_code == 200
    assert hall.client.get("/api/v1/status", headers=bearer).status_code == 403
    listed = run(hall, "tokens", "list", "--json").stdout
    assert made["token"] not in listed
    assert json.loads(listed)["tokens"][0]["id"] == made["id"]
    assert document(hall, "tokens", "revoke", made["id"])["is_valid"] is False
    assert hall.client.get("/api/v1/calls", headers=bearer).status_code == 401


def test_what_is_done_to_users_and_tokens_stands_in_the_audit_log(hall):
    with hall.wiring.database.write() as connection:
        seed_call(connection, agent="Andrew K")
    run(hall, "users", "team", "Deliveries", "--agent", "Andrew K")
    run(hall, "users", "add", "lea", "--role", "lead", "--team", "Deliveries")
    assert document(hall, "users", "role", "lea", "agent", "--agent", "Andrew K")["agent"] == "Andrew K"
    assert document(hall, "users", "disable", "lea")["is_active"] is False
    written = [entry["action"] for entry in document(hall, "users", "audit")["entries"]]
    assert written == ["user_changed", "user_changed", "user_added", "user_changed"]
    head = document(hall, "users", "audit", "--verify")["head"]
    run(hall, "users", "enable", "lea")
    verdict = document(hall, "users", "audit", "--verify", "--head", head)
    assert (verdict["entry_count"], verdict["broken_at"], verdict["has_given_head"]) == (5, None, True)
    assert run(hall, "users", "audit", "--verify", "--head", "0" * 64).exit_code == 1


def test_the_last_admin_stays_one(hall):
    assert isinstance(run(hall, "users", "disable", "maria").exception, UserError)
    assert isinstance(run(hall, "users", "role", "maria", "analyst").exception, UserError)
