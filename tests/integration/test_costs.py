"""Laws of the ledger, of budgets and of `costs`, on both databases."""

import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
import typer
from typer.testing import CliRunner

from calls.errors import BudgetSpent, EngineMisconfigured
from calls.money import Charge
from calls.pipeline import TRANSCRIBE, UNDERSTAND, Lane
from cli import costs as commands
from cli import operate
from crm import jobs
from crm.money import costs, note_charge, spent_microusd
from crm.tables import job
from runtime.budgets import Budgets
from runtime.doctor import examine
from runtime.settings import Settings
from runtime.wiring import Wiring
from tests.seeds import seed_call, seed_taxonomy
from tests.star_differences import differences
from tests.web_client import make_hall

UTC_ZONE = ZoneInfo("UTC")
MORNING = datetime(2026, 3, 20, 9, 0, tzinfo=UTC)
PRICED = {"gpt-5.4-mini": {"input": 0.25}, "gpt-4o-transcribe": {"minute": 0.006}}


def asked(cost, *, model="gpt-5.4-mini", tokens=100, **other):
    return Charge("openai", model, "analysis", "req", tokens, tokens // 2, 10, 0.0, cost, **other)


def heard(cost, *, seconds=60.0):
    return Charge("openai", "gpt-4o-transcribe", "speech", "req", audio_s=seconds, cost_microusd=cost)


@pytest.fixture
def ledger(any_database):
    with any_database.write() as connection:
        seed_taxonomy(connection)
    return any_database


def settings_of(home, **changes):
    paid = {"engine": "openai", "api_key": "k"}
    return Settings(home=home, speech=paid, language=paid, prices=PRICED, **changes)


def wait_for(connection, call_id, step, lane=Lane.LIVE, code=None, due_at=None):
    row = jobs.first_job(call_id, MORNING, step=step, lane=lane) | {"last_code": code, "due_at": due_at or MORNING}
    connection.execute(sa.insert(job).values(row))


def test_the_schema_of_the_migrations_is_that_of_the_code(any_database):
    assert differences(any_database) == []


def test_every_grouping_adds_up_to_the_same_bill(ledger):
    with ledger.write() as connection:
        calls = [
            seed_call(connection, analysis={"reason_code": code}) for code in ("delivery_status", "new_order", None)
        ]
        for index, call_id in enumerate(calls):
            note_charge(connection, call_id, heard(6_000), now=MORNING - timedelta(days=index))
            note_charge(connection, call_id, asked(900 + index, is_batch=index == 1), now=MORNING)
        note_charge(connection, None, asked(None, model="new"), now=MORNING)
    with ledger.read() as connection:
        [total] = costs(connection, None, zone=UTC_ZONE)
        groups = {by: costs(connection, by, zone=UTC_ZONE) for by in ("day", "reason", "model", "purpose", "call")}
    assert (total.cost_microusd, total.request_count, total.unpriced_count) == (3 * 6_000 + 2_703, 7, 1)
    assert (total.call_count, total.batch_request_count, total.audio_s) == (3, 1, 180.0)
    for rows in groups.values():
        for name in ("cost_microusd", "request_count", "unpriced_count", "input_tokens", "cached_tokens", "audio_s"):
            assert sum(getattr(row, name) for row in rows) == getattr(total, name)
    assert [row.key for row in groups["day"]] == ["2026-03-18", "2026-03-19", "2026-03-20"]
    by_reason = {row.key: row.cost_microusd for row in groups["reason"]}
    assert by_reason == {"delivery_status": 6_900, "new_order": 6_901, None: 6_902}
    assert {row.key for row in groups["call"]} == {*map(str, calls), None}
    assert [row.key for row in groups["model"]] == ["gpt-4o-transcribe", "gpt-5.4-mini", "new"]


def test_only_the_current_analysis_says_for_which_reason_a_call_was_paid(ledger):
    with ledger.write() as connection:
        call_id = seed_call(connection, analysis={"revision": 2})
        note_charge(connection, call_id, asked(5), now=MORNING)
    with ledger.read() as connection:
        assert [row.request_count for row in costs(connection, "reason", zone=UTC_ZONE)] == [1]


def test_a_day_of_costs_is_one_of_the_zone_and_bounds_cut_it(ledger):
    zone = ZoneInfo("Europe/Berlin")
    late = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)  # 00:30 on the 29th in Berlin, a day of 23 hours
    with ledger.write() as connection:
        for hours in (-1, 0, 22, 23):
            note_charge(connection, None, asked(1), now=late + timedelta(hours=hours))
    with ledger.read() as connection:
        rows = costs(connection, "day", zone=zone)
        cut = costs(connection, "day", zone=zone, since=late, until=late + timedelta(hours=1))
    assert [(row.key, row.request_count) for row in rows] == [("2026-03-28", 1), ("2026-03-29", 2), ("2026-03-30", 1)]
    assert [(row.key, row.request_count) for row in cut] == [("2026-03-29", 1)]


def test_speech_and_language_are_told_apart_by_their_purpose(ledger):
    with ledger.write() as connection:
        for charge in (heard(6), asked(3), asked(None), Charge("openai", "m", "finetuning", cost_microusd=2)):
            note_charge(connection, None, charge, now=MORNING)
        note_charge(connection, None, asked(50), now=MORNING - timedelta(seconds=1))
    with ledger.read() as connection:
        assert spent_microusd(connection, "speech", MORNING) == 6
        assert spent_microusd(connection, "language", MORNING) == 5


def test_a_spent_budget_stops_its_service_until_the_days_turn_and_no_other(ledger, tmp_path):
    budgets = Budgets(settings_of(tmp_path, budgets={"language_usd_per_day": 1.0, "live_share": 0.5}), ledger)
    now = datetime.now(UTC)
    budgets.require("language", Lane.BACKFILL)
    with ledger.write() as connection:
        note_charge(connection, None, asked(500_000), now=now)
        note_charge(connection, None, heard(9_000_000), now=now)
    budgets.require("language", Lane.LIVE)
    budgets.require("speech", Lane.LIVE)
    with pytest.raises(BudgetSpent) as raised:
        budgets.require("language", Lane.BACKFILL)
    assert raised.value.code == "budget_spent"
    turn = now + timedelta(seconds=raised.value.retry_after_s)
    assert abs(turn - datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)) < timedelta(minutes=1)
    with ledger.write() as connection:
        note_charge(connection, None, asked(500_000), now=now)
    with pytest.raises(BudgetSpent):
        budgets.require("language", Lane.LIVE)


def test_what_an_engine_that_costs_nothing_does_is_bounded_by_no_budget(ledger, tmp_path):
    settings = Settings(home=tmp_path, language={"engine": "offline"}, budgets={"language_usd_per_day": 0})
    Budgets(settings, ledger).require("language", Lane.LIVE)


def test_a_budget_over_a_model_without_a_price_is_an_error_of_the_set_up(ledger, tmp_path):
    prices = {"gpt-5.4-mini": [{"input": 1, "valid_from": date.max}]}
    paid = {"engine": "openai", "api_key": "k"}
    settings = Settings(home=tmp_path, language=paid, prices=prices, budgets={"language_usd_per_day": 5})
    with pytest.raises(EngineMisconfigured, match=r"gpt-5\.4-mini") as raised:
        Budgets(settings, ledger).require("language", Lane.LIVE)
    assert raised.value.code == "price_unknown"


def test_what_waits_for_a_budget_goes_on_when_it_is_raised_and_nothing_else_does(ledger, tmp_path):
    now = datetime.now(UTC)
    later = now + timedelta(hours=5)
    with ledger.write() as connection:
        live, old, spoken, broken = (seed_call(connection, stage="transcribed") for _ in range(4))
        wait_for(connection, live, UNDERSTAND, code="budget_spent", due_at=later)
        wait_for(connection, old, UNDERSTAND, Lane.BACKFILL, code="budget_spent", due_at=later)
        wait_for(connection, spoken, TRANSCRIBE, code="budget_spent", due_at=later)
        wait_for(connection, broken, UNDERSTAND, code="wrong_api_key", due_at=later)
        note_charge(connection, None, asked(1_000_000), now=now)
        note_charge(connection, None, heard(1_000_000), now=now)

    def woken(**budgets):
        assert Budgets(settings_of(tmp_path, budgets=budgets), ledger).wake() == len(due_before(ledger, later))
        return due_before(ledger, later)

    assert woken(language_usd_per_day=1, speech_usd_per_day=1) == set()
    assert woken(language_usd_per_day=1.5, speech_usd_per_day=1, live_share=0.5) == {live}
    with ledger.write() as connection:
        connection.execute(sa.update(job).where(job.c.call_id == live).values(due_at=later))
    assert woken(speech_usd_per_day=1) == {live, old}


def due_before(database, moment):
    with database.read() as connection:
        return set(connection.execute(sa.select(job.c.call_id).where(job.c.due_at < moment)).scalars())


def test_doctor_and_status_show_the_budget_and_what_waits_for_it(tmp_path):
    hall = make_hall(tmp_path / "home")
    wired = Wiring(settings_of(hall.wiring.settings.home_path, budgets={"language_usd_per_day": 2}))
    now = datetime.now(UTC)
    with wired.database.write() as connection:
        note_charge(connection, None, asked(2_000_000), now=now)
        call_id = seed_call(connection, stage="transcribed")
        wait_for(connection, call_id, UNDERSTAND, code="budget_spent", due_at=now + timedelta(hours=1))
    [check] = [check for check in examine(wired) if check.name == "budgets"]
    assert (check.status, "2.00 of 2 dollars" in check.detail, "1 calls wait" in check.detail) == ("note", True, True)
    document = operate.print_status(wired, as_json=True)
    assert document["money_today"]["language"] == {
        "spent_microusd": 2_000_000,
        "budget_microusd": 2_000_000,
        "parked": 1,
    }
    assert document["waiting"] == {"budget_spent": 1}


def test_costs_are_a_document_and_a_table_that_says_what_has_no_price(tmp_path):
    hall = make_hall(tmp_path / "home")
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection)
        note_charge(connection, call_id, asked(1_500_000, model="[red]gpt"), now=MORNING)
        note_charge(connection, call_id, asked(None), now=MORNING + timedelta(days=1))
    app = typer.Typer()
    commands.register(app)

    def run(*arguments):
        home = str(hall.wiring.settings.home_path)
        return CliRunner().invoke(app, [*arguments, "--home", home], env={"COLUMNS": "200", "NO_COLOR": "1"})

    document = json.loads(run("--by", "model", "--since", "2026-03-20", "--until", "2026-03-20", "--json").stdout)
    assert [(row["model"], row["cost_microusd"]) for row in document["rows"]] == [("[red]gpt", 1_500_000)]
    assert document["total"]["unpriced_count"] == 0
    printed = run("--by", "model")
    assert "[red]gpt" in printed.output
    assert "1.5000" in printed.output
    assert "1 of 2 requests have no known price" in printed.output
    assert run("--since", "soon").exit_code == 2
