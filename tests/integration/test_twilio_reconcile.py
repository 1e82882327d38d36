"""Laws of comparing what Twilio keeps with what is a call: what no callback told is found, once."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
import structlog
import typer
from typer.testing import CliRunner

from calls.errors import CallwiseError
from calls.pipeline import Lane
from cli import ingest as commands
from crm import tables
from engines.twilio import TwilioRecordings
from ingest.kept_recordings import reconcile_kept
from runtime.listening import make_intake
from tests.servers.twilio import ACCOUNT, TOKEN, Trouble
from tests.twilio_centre import CALL, COMPLETED, OTHER, RECORDING, STARTED, Centre

SINCE = date(2026, 3, 14)


@pytest.fixture
def logs_as_before():
    """The command sends logs to a stream that is gone after it."""
    yield
    structlog.reset_defaults()


def listed(sid=RECORDING, **changes):
    """One recording as the API describes it."""
    return {
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "call_sid": CALL,
        "conference_sid": None,
        "channels": 2,
        "date_created": "Sat, 14 Mar 2026 09:25:20 +0000",
        "start_time": "Sat, 14 Mar 2026 09:25:17 +0000",
        "duration": "3",
        "error_code": None,
        "media_url": "http://169.254.169.254/never/asked",
        "price": "-0.0025",
        "sid": sid,
        "source": "DialVerb",
        "status": "completed",
        **changes,
    }


@pytest.fixture
def centre(any_database, tmp_path, twilio):
    made = Centre(any_database, tmp_path / "home", twilio)
    yield made
    made.leases.close()


def compare(centre, *, fix=True):
    found = centre.wiring.twilio.listed(SINCE)
    report = reconcile_kept(make_intake(centre.wiring), found, ACCOUNT, fix=fix)
    return report.listed_count, report.missing_count, report.queued_count, report.unread_count


def test_what_no_callback_told_becomes_the_same_call_and_once_only(centre):
    centre.twilio.listed = [listed()]
    assert compare(centre, fix=False) == (1, 1, 0, 0)
    assert centre.calls() == []
    assert compare(centre) == (1, 1, 1, 0)
    by_list = centre.call()
    assert (by_list.stage, by_list.external_call_id, by_list.started_at) == ("announced", CALL, STARTED)
    assert by_list.attributes == {
        "account_sid": ACCOUNT,
        "recording_sid": RECORDING,
        "recording_source": "DialVerb",
        "recording_channels": "2",
    }
    before = centre.everything()
    assert compare(centre) == (1, 0, 0, 0)
    assert centre.send(COMPLETED).status_code == 204
    assert centre.everything() == before
    centre.work()
    assert centre.call().stage == "done"
    assert compare(centre) == (1, 0, 0, 0)


def test_old_recordings_come_behind_the_calls_of_today(centre):
    today = datetime.now(UTC) - timedelta(minutes=5)
    centre.twilio.listed = [
        listed(start_time=f"{today:%a, %d %b %Y %H:%M:%S} +0000"),
        listed(OTHER, call_sid="CA" + "9f" * 16),
    ]
    compare(centre)
    lanes = {call.id: call.started_at == STARTED for call in centre.calls()}
    assert {row.lane == Lane.BACKFILL for row in centre.rows(tables.job) if lanes[row.call_id]} == {True}
    assert {row.lane == Lane.LIVE for row in centre.rows(tables.job) if not lanes[row.call_id]} == {True}


def test_every_page_is_read_and_what_is_deleted_under_way_or_strange_is_no_call(centre):
    centre.twilio.listed = [
        *[listed(f"RE{number:032x}", call_sid=f"CA{number:032x}") for number in range(5)],
        listed(status="deleted"),
        listed(status="processing"),
        listed("RE" + "4e" * 16, call_sid="CA" + "4e" * 16, status="absent", error_code=16101),
        listed(call_sid=None, conference_sid="CF" + "5f" * 16),
        listed(account_sid="AC" + "ff" * 16),
        listed(sid="../x"),
        listed(status=None),
    ]
    assert compare(centre) == (7, 7, 7, 3)
    assert [row.stage for row in centre.calls()].count("announced") == 6
    [skipped] = [row for row in centre.calls() if row.stage == "skipped"]
    assert (skipped.skip_reason, skipped.attributes["error_code"]) == ("absent", "16101")
    assert compare(centre) == (7, 0, 0, 3)


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (Trouble(401), "wrong_auth_token"),
        (Trouble(500), "telephony_unreachable"),
        (Trouble(429), "rate_limited"),
        (Trouble(body=b"<html>"), "telephony_unreachable"),
        (Trouble(body=b'{"recordings": 7}'), "telephony_unreachable"),
        (Trouble(body=b'{"recordings": [], "next_page_uri": "https://192.0.2.7/x"}'), "redirect_refused"),
        (Trouble(body=b'{"recordings": [], "next_page_uri": "//127.0.0.1:1/x"}'), "redirect_refused"),
    ],
)
def test_a_list_that_cannot_be_had_is_said_to_be_none(twilio, trouble, code):
    twilio.trouble(trouble)
    with pytest.raises(CallwiseError) as failed:
        list(TwilioRecordings(ACCOUNT, TOKEN, api_base_url=twilio.url).listed(SINCE))
    assert failed.value.code == code
    assert len(twilio.asked) == 1


@pytest.mark.usefixtures("logs_as_before")
def test_the_command_compares_telephony_when_it_is_asked_to(centre):
    centre.twilio.listed = [listed()]
    app = typer.Typer()
    commands.register(app)
    telephony = {
        "CALLWISE_HOME": str(centre.home),
        "CALLWISE_DATABASE__URL": centre.database.url.render_as_string(hide_password=False),
    }
    account = {
        "CALLWISE_TELEPHONY__TWILIO__ACCOUNT_SID": ACCOUNT,
        "CALLWISE_TELEPHONY__TWILIO__AUTH_TOKEN": TOKEN,
        "CALLWISE_TELEPHONY__TWILIO__API_BASE_URL": centre.twilio.url,
    }

    def run(*arguments, **environment):
        return CliRunner().invoke(app, ["reconcile", *arguments], env=telephony | environment)

    unset = run("--telephony")
    assert unset.exit_code == 2
    assert "telephony.twilio.account_sid" in unset.output
    assert run().exit_code == 0
    looked = run("--telephony", "--since", "2026-03-14", "--json", **account)
    assert looked.exit_code == 1
    counts = {"recordings": 1, "missing_count": 1, "queued": 0, "unread": 0}
    assert json.loads(looked.stdout)["telephony"] == counts
    fixed = run("--telephony", "--since", "2026-03-14", "--fix", "--json", **account)
    assert fixed.exit_code == 0
    assert json.loads(fixed.stdout)["telephony"] == counts | {"queued": 1}
    assert "1 recordings kept by telephony, 0 missing" in run("--telephony", **account).output
    assert centre.call().stage == "announced"
