"""Laws of the door that Twilio sends its callbacks to: who is let in, what is kept of the rest, and what people see."""

import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest
import sqlalchemy as sa
import typer
from starlette.testclient import TestClient
from structlog.testing import capture_logs
from typer.testing import CliRunner

from calls.pipeline import FETCH
from cli import calls as commands
from crm import tables
from crm.status import status
from crm.users import create_user
from ingest.twilio import sign
from runtime.doctor import examine
from runtime.settings_intake import TelephonySettings, TwilioSettings
from runtime.settings_site import DatabaseSettings
from runtime.settings_web import WebSettings
from runtime.wiring import Wiring
from tests.servers.twilio import ACCOUNT, TOKEN, Trouble
from tests.twilio_centre import ABSENT, CALL, COMPLETED, PUBLIC_URL, Centre
from tests.web_client import PASSWORD, Hall
from web.app import create_app
from workers.steps import run_step


@pytest.fixture
def centre(database, tmp_path, twilio):
    made = Centre(database, tmp_path / "home", twilio)
    yield made
    made.leases.close()


@pytest.mark.parametrize(
    "forged",
    [
        {"token": "guessed"},
        {"url": "http://127.0.0.1"},
        {"X-Twilio-Signature": ""},
        {"X-Twilio-Signature": "L/OH5YylLD5NRKLltdqwSvS0BnU="},
        {"X-Forwarded-Host": "evil.example", "token": "guessed"},
    ],
)
def test_a_forged_callback_is_refused_and_nothing_of_it_is_kept_or_logged(centre, forged):
    with capture_logs() as logs:
        answer = centre.send(COMPLETED | {"Secret": "body-of-the-forger"}, **forged)
    assert answer.status_code == 403
    assert [(entry["event"], entry["source"]) for entry in logs] == [("webhook_refused", "twilio")]
    assert CALL not in json.dumps(logs)
    assert "body-of-the-forger" not in json.dumps(logs)
    assert centre.calls() == centre.rows(tables.unreadable_event) == []


def test_the_public_address_counts_with_its_query_and_not_the_one_behind_a_proxy(centre):
    answer = centre.send(COMPLETED, query="site=2&x=%20a", Host="127.0.0.1:8321")
    assert answer.status_code == 204
    outside = centre.send(COMPLETED, Host="calls.example.org")
    assert outside.status_code == 204


def test_a_json_callback_is_taken_when_its_hash_is_signed(centre):
    body = json.dumps(COMPLETED).encode()
    query = f"bodySHA256={sha256(body).hexdigest()}"
    headers = {
        "Content-Type": "application/json",
        "X-Twilio-Signature": sign(TOKEN, f"{PUBLIC_URL}/webhooks/twilio?{query}"),
    }
    assert centre.client.post(f"/webhooks/twilio?{query}", content=body, headers=headers).status_code == 204
    assert centre.call().stage == "announced"
    assert centre.client.post(f"/webhooks/twilio?{query}", content=body + b" ", headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"AccountSid": "AC" + "ff" * 16}, "other_account"),
        ({"CallSid": "../../etc"}, "bad_sid"),
        ({"RecordingSid": "RE\0"}, "bad_sid"),
        ({"RecordingStatus": "exploded"}, "unknown_status"),
    ],
)
def test_what_is_signed_and_makes_no_sense_is_kept_for_a_person(centre, change, code):
    answer = centre.send(COMPLETED | change)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    [kept] = centre.rows(tables.unreadable_event)
    assert (kept.source, kept.code) == ("twilio", code)
    assert "CallSid=" in kept.body
    assert centre.calls() == []


def test_a_body_without_an_end_is_not_read_to_its_end(centre):
    read = []

    def pieces():
        for _ in range(1000):
            read.append(1)
            yield b"x" * 65536

    answer = centre.client.post("/webhooks/twilio", content=pieces())
    assert answer.status_code == 413
    assert centre.send(COMPLETED | {"Padding": "x" * 70000}).status_code == 413
    assert centre.calls() == []


def test_without_an_account_nobody_is_let_in_and_without_a_public_address_twilio_sends_again(centre, tmp_path):
    closed = Centre(centre.database, tmp_path / "a", centre.twilio, telephony=TelephonySettings())
    assert closed.send(COMPLETED).status_code == 404
    blind = Centre(centre.database, tmp_path / "b", centre.twilio, web=WebSettings())
    assert blind.send(COMPLETED).status_code == 503
    assert centre.calls() == []


def test_while_the_database_is_away_twilio_is_told_to_send_again(centre):
    away = DatabaseSettings(url="postgresql+psycopg://nobody@127.0.0.1:9/nothing")
    wiring = Wiring(centre.wiring.settings.model_copy(update={"database": away}))
    client = TestClient(create_app(wiring), base_url="http://127.0.0.1", raise_server_exceptions=False)
    here, centre.client = centre.client, client
    assert centre.send(COMPLETED).status_code == 503
    assert centre.send(ABSENT).status_code == 503
    assert centre.send(COMPLETED | {"CallSid": "x"}).status_code == 503
    centre.client = here
    assert centre.send(COMPLETED).status_code == 204


def test_status_counts_what_is_still_with_telephony(centre):
    centre.send(COMPLETED)
    with centre.database.read() as connection:
        standing = status(connection, datetime.now(UTC))
    assert (standing["announced"], standing["received"]) == (1, 0)
    assert standing["oldest_waiting_s"] is not None


def test_the_token_is_in_no_log_and_no_row(centre, caplog):
    caplog.set_level("DEBUG")
    centre.twilio.trouble(Trouble(500), Trouble(401), Trouble(302, location="http://elsewhere.example/x"))
    with capture_logs() as logs:
        centre.send(COMPLETED)
        centre.send(COMPLETED, token="guessed")
        for _ in range(3):
            run_step(centre.parts(), FETCH, centre.call().id)
            with centre.database.write() as connection:
                connection.execute(sa.update(tables.job).values(due_at=datetime.now(UTC)))
    assert {"recording_announced", "webhook_refused", "step_postponed", "step_waits", "step_failed"} <= {
        entry["event"] for entry in logs
    }
    for said in (json.dumps(logs, default=str), caplog.text, repr(centre.everything()), repr(centre.wiring.settings)):
        assert TOKEN not in said


def test_people_read_in_plain_words_that_a_recording_is_still_to_be_fetched(centre):
    centre.send(COMPLETED)
    with centre.database.write() as connection:
        create_user(connection, "maria", PASSWORD, "admin", datetime.now(UTC))
    hall = Hall(centre.wiring, create_app(centre.wiring, clock=centre.clock), centre.clock)
    hall.sign_in()
    words = "Announced, its recording is still to be fetched from telephony"
    call_id = centre.call().id
    page = hall.client.get(f"/calls/{call_id}").text
    assert words in page
    assert "<audio" not in page
    assert words in hall.client.get("/calls?stage=announced").text
    assert "To fetch" in hall.client.get("/operations").text
    assert hall.client.get(f"/api/v1/calls/{call_id}/audio").status_code == 404
    centre.work()
    assert "<audio" in hall.client.get(f"/calls/{call_id}").text
    assert "To fetch" not in hall.client.get("/operations").text


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (COMPLETED, "Announced, its recording is still to be fetched from telephony"),
        (ABSENT, "Skipped: telephony made no recording"),
        (ABSENT | {"RecordingStatus": "failed"}, "Skipped: telephony could not make its recording"),
    ],
)
def test_the_command_line_says_it_in_the_same_words(centre, sent, words):
    centre.send(sent)
    app = typer.Typer()
    commands.register(app)
    environment = {
        "COLUMNS": "160",
        "NO_COLOR": "1",
        "CALLWISE_HOME": str(centre.home),
        "CALLWISE_DATABASE__URL": centre.database.url.render_as_string(hide_password=False),
    }
    ended = CliRunner().invoke(app, ["call", CALL], env=environment)
    assert ended.exit_code == 0, ended.output
    assert words in ended.output


@pytest.mark.parametrize(
    ("account", "public_url", "found"),
    [
        (TwilioSettings(), "", "ok"),
        (TwilioSettings(account_sid=ACCOUNT, auth_token=TOKEN), "https://calls.example.org", "ok"),
        (TwilioSettings(account_sid=ACCOUNT, auth_token=TOKEN), "", "wrong"),
        (TwilioSettings(account_sid=ACCOUNT), "https://calls.example.org", "wrong"),
        (TwilioSettings(auth_token=TOKEN), "https://calls.example.org", "wrong"),
    ],
)
def test_doctor_knows_what_twilio_needs(centre, account, public_url, found):
    changed = {"telephony": TelephonySettings(twilio=account), "web": WebSettings(public_url=public_url)}
    checks = {check.name: check for check in examine(Wiring(centre.wiring.settings.model_copy(update=changed)))}
    assert checks["twilio"].status == found
    assert bool(checks["twilio"].fix) == (found == "wrong")
    assert TOKEN not in repr(checks)
