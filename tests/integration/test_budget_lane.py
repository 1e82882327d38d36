"""Budgets through the whole pipeline: what is spent stops the work, visibly; what may be spent again lets it go on."""

import pytest
import sqlalchemy as sa

from calls.pipeline import TRANSCRIBE, UNDERSTAND, Lane
from cli.operate import print_status
from crm import jobs, tables
from crm.schema import upgrade
from runtime.settings import Settings
from runtime.wiring import Wiring
from tests.seeds import NOW, seed_call, seed_taxonomy
from tests.servers.openai_analyses import analyses
from tests.servers.openai_answers import Usage
from tests.servers.openai_batches import BatchShelf
from tests.servers.openai_server import API_KEY
from workers.app import make_parts
from workers.run import work_until_idle
from workers.sweep import tend_batches, wake_parked

MODEL = "gpt-5.4-mini"
# A dollar per million tokens each way: a call costs 1,000 millionths.
PRICES = {MODEL: {"input": 1.0, "output": 1.0}}
USAGE = Usage(900, 0, 100)


@pytest.fixture
def site(tmp_path, openai_server):
    """Makes the composition anew, as a worker that is started anew does, over one home."""

    def wire(**changes):
        language = {"engine": "openai", "model": MODEL, "api_key": API_KEY, "base_url": openai_server.base_url}
        language |= changes.pop("language", {})
        return Wiring(Settings(home=tmp_path, language=language, prices=PRICES, **changes))

    upgrade(wire().database)
    with wire().database.write() as connection:
        seed_taxonomy(connection)
    openai_server.reply_always(analyses(usage=USAGE))
    return wire


def wait_for(wired, step, lane, count):
    with wired.database.write() as connection:
        for _ in range(count):
            call_id = seed_call(connection, stage=step.needs, with_analysis=False)
            connection.execute(sa.insert(tables.job).values(jobs.first_job(call_id, NOW, step=step, lane=lane)))


def work(wired):
    return work_until_idle(
        make_parts(wired, ring=None),
        catch_up=lambda: 0,
        roll=lambda: 0,
        timeout_s=120,
        tend_batches=lambda: tend_batches(wired, gather_s=0.0),
        poll_s=0.0,
    )


def standing(wired):
    document = print_status(wired, as_json=True)
    return document["done"], document["waiting"], document["failed"]


def test_a_spent_budget_lets_calls_wait_without_an_attempt_and_a_higher_one_lets_them_go_on(site, openai_server):
    wired = site(budgets={"language_usd_per_day": 0.002})
    wait_for(wired, UNDERSTAND, Lane.LIVE, 4)
    assert work(wired).unfinished_count == 2
    assert (standing(wired), len(openai_server.requests)) == ((2, {"budget_spent": 2}, {}), 2)
    with wired.database.read() as connection:
        assert set(connection.execute(sa.select(tables.job.c.attempt_count)).scalars()) == {0}
    wake_parked(wired)
    work(wired)
    assert len(openai_server.requests) == 2
    raised = site(budgets={"language_usd_per_day": 0.003})
    wake_parked(raised)
    work(raised)
    assert (standing(raised), len(openai_server.requests)) == ((3, {"budget_spent": 1}, {}), 3)
    unbounded = site()
    wake_parked(unbounded)
    work(unbounded)
    assert standing(unbounded) == (4, {}, {})


def test_old_recordings_stop_before_calls_that_just_ended(site, openai_server):
    wired = site(budgets={"language_usd_per_day": 0.004, "live_share": 0.5})
    wait_for(wired, UNDERSTAND, Lane.BACKFILL, 4)
    work(wired)
    assert standing(wired)[:2] == (2, {"budget_spent": 2})
    wait_for(wired, UNDERSTAND, Lane.LIVE, 3)
    work(wired)
    assert standing(wired)[:2] == (4, {"budget_spent": 3})
    assert len(openai_server.requests) == 4


def test_a_budget_for_speech_stops_hearing_before_the_recording_is_even_fetched(site, openai_server):
    speech = {"engine": "openai", "model": MODEL, "api_key": API_KEY, "base_url": openai_server.base_url}
    wired = site(speech=speech, budgets={"speech_usd_per_day": 0.0})
    wait_for(wired, TRANSCRIBE, Lane.LIVE, 1)
    work(wired)
    assert (standing(wired), openai_server.requests) == ((0, {"budget_spent": 1}, {}), [])


def test_a_batch_takes_what_there_is_money_for_and_the_rest_waits(site, openai_server):
    shelf = BatchShelf(openai_server, analyses(usage=USAGE), is_quick=True)
    openai_server.reply_always(shelf)
    free = site(language={"batch": True})
    wait_for(free, UNDERSTAND, Lane.BACKFILL, 1)
    work(free)
    with free.database.read() as connection:
        [cost] = connection.execute(sa.select(tables.paid_request.c.cost_microusd)).scalars()
    assert cost == 500
    # What a question is expected to cost is reckoned from its length, some 2,200 millionths here, halved.
    wired = site(language={"batch": True}, budgets={"language_usd_per_day": 0.0065})
    wait_for(wired, UNDERSTAND, Lane.BACKFILL, 12)
    idle = work(wired)
    done, waiting, failed = standing(wired)
    assert (done + idle.unfinished_count, failed) == (13, {})
    assert sum(waiting.values()) == idle.unfinished_count > 0
    with wired.database.read() as connection:
        spent = connection.execute(sa.select(sa.func.sum(tables.paid_request.c.cost_microusd))).scalar_one()
    assert 500 < spent <= 6_500
    unbounded = site(language={"batch": True})
    wake_parked(unbounded)
    work(unbounded)
    assert standing(unbounded) == (13, {}, {})
    assert len(shelf.answered) == 13
