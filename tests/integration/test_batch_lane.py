"""The batch lane through the whole pipeline: same questions, same checks, same rows, half the price."""

import json

import pytest
import sqlalchemy as sa

from calls.pipeline import RECLASSIFY, UNDERSTAND, Lane
from cli.operate import print_status
from crm import jobs, retries, tables
from crm.batch_tables import batch_question
from crm.schema import upgrade
from runtime.doctor import examine
from runtime.settings import Settings
from runtime.wiring import Wiring
from tests.seeds import NOW, TAXONOMY, seed_call, seed_taxonomy
from tests.servers.openai_answers import Usage, asked_schema, default_answer, example_of, fails, says
from tests.servers.openai_batches import BatchShelf
from tests.servers.openai_server import API_KEY
from workers.app import make_parts
from workers.run import work_until_idle
from workers.sweep import tend_batches

PRICES = {"gpt-5.4-mini": {"input": 1.0, "cached": 0.1, "output": 8.0}}
USAGE = Usage(2_000, 1_000, 100)
DIRECT_COST = 1_000 + 100 + 800


def analyses(request):
    """An answer of the asked-for shape whose quotes are found in the call."""
    schema = asked_schema(request)
    if schema is None:
        return default_answer(request)
    document = example_of(schema)
    quote = {"turn": 1, "quote": "My dishwasher has not arrived"}
    for claim in ("reason", "summary", "outcome"):
        document[claim]["quotes"] = [quote]
    document["reason"] |= {"code": TAXONOMY.reasons[0].code, "confidence": 0.9}
    document["summary"] |= {"situation": "A dishwasher has not come."}
    return says(json.dumps(document), usage=USAGE)(request)


def wire(tmp_path, server, name, **language):
    given = {"engine": "openai", "model": "gpt-5.4-mini", "api_key": API_KEY, "base_url": server.base_url} | language
    wired = Wiring(Settings(home=tmp_path / name, language=given, speech={"engine": "offline"}, prices=PRICES))
    wired.settings.home_path.mkdir()
    upgrade(wired.database)
    with wired.database.write() as connection:
        seed_taxonomy(connection)
    return wired


def wait_for(wired, *, lane, count=3, step=UNDERSTAND):
    with wired.database.write() as connection:
        for _ in range(count):
            ended = step is RECLASSIFY
            call_id = seed_call(connection, stage=step.needs, with_analysis=ended)
            connection.execute(sa.insert(tables.job).values(jobs.first_job(call_id, NOW, step=step, lane=lane)))


def work(wired, **changes):
    return work_until_idle(
        make_parts(wired, ring=None),
        catch_up=lambda: 0,
        roll=lambda: 0,
        timeout_s=120,
        tend_batches=lambda: tend_batches(wired, gather_s=0.0),
        poll_s=0.0,
        **changes,
    )


def rows(wired, table):
    with wired.database.read() as connection:
        return connection.execute(sa.select(table)).all()


@pytest.fixture
def shelf(openai_server):
    made = BatchShelf(openai_server, analyses, is_quick=True)
    openai_server.reply_always(made)
    return made


def asked_directly(server):
    return [request for request in server.requests if request.operation == "/responses"]


def said_of(row):
    """What stands in an analysis, but for whose and when it is."""
    return {
        name: value
        for name, value in row._mapping.items()
        if name not in {"id", "call_id", "transcript_id", "created_at"}
    }


def test_a_batch_brings_the_analyses_that_direct_questions_would_bring_at_half_the_price(
    tmp_path, openai_server, shelf
):
    batch, direct = wire(tmp_path, openai_server, "batch", batch=True), wire(tmp_path, openai_server, "direct")
    for wired in (batch, direct):
        wait_for(wired, lane=Lane.BACKFILL)
        idle = work(wired)
        assert (idle.unfinished_count, idle.timed_out) == (0, False)
    assert len(asked_directly(openai_server)) == 3
    assert [len(sent.questions) for sent in shelf.batches.values()] == [3]
    found, wanted = ([said_of(row) for row in rows(wired, tables.call_analysis)] for wired in (batch, direct))
    assert found == wanted
    assert {row.stage for row in rows(batch, tables.call)} == {"done"}
    assert [row.cost_microusd for row in rows(direct, tables.paid_request)] == [DIRECT_COST] * 3
    assert [row.cost_microusd for row in rows(batch, tables.paid_request)] == [DIRECT_COST // 2] * 3
    assert rows(batch, batch_question) == []
    assert shelf.files == {}


def test_a_call_that_just_ended_is_asked_about_directly(tmp_path, openai_server, shelf):
    wired = wire(tmp_path, openai_server, "home", batch=True)
    wait_for(wired, lane=Lane.LIVE, count=1)
    work(wired)
    assert (len(asked_directly(openai_server)), len(shelf.batches)) == (1, 0)


def test_reclassification_goes_in_batches_too_and_the_call_stays_done_meanwhile(tmp_path, openai_server, shelf):
    wired = wire(tmp_path, openai_server, "home", batch=True)
    wait_for(wired, lane=Lane.BACKFILL, count=2, step=RECLASSIFY)
    with wired.database.write() as connection:
        older = sa.insert(tables.taxonomy).values(version="older", questions=[], loaded_at=NOW, is_current=False)
        connection.execute(older)
        connection.execute(sa.update(tables.call_analysis).values(taxonomy_version="older"))
    work(wired)
    assert [len(sent.questions) for sent in shelf.batches.values()] == [2]
    assert {row.stage for row in rows(wired, tables.call)} == {"done"}
    current = [row for row in rows(wired, tables.call_analysis) if row.is_current]
    assert {(row.revision, row.taxonomy_version) for row in current} == {(2, TAXONOMY.version)}


def test_what_waits_for_a_batch_shows_and_is_no_failure(tmp_path, openai_server):
    shelf = BatchShelf(openai_server, analyses)
    openai_server.reply_always(shelf)
    wired = wire(tmp_path, openai_server, "home", batch=True)
    wait_for(wired, lane=Lane.BACKFILL, count=2)
    idle = work_until_idle(make_parts(wired, ring=None), catch_up=lambda: 0, roll=lambda: 0, timeout_s=60)
    assert idle.unfinished_count == 2
    tend_batches(wired, gather_s=0.0)
    document = print_status(wired, as_json=True)
    assert (document["waiting"], document["failed"]) == ({"in_batch": 2}, {})
    assert document["batches"]["unanswered_questions"] == 2
    [check] = [check for check in examine(wired) if check.name == "batches"]
    assert (check.status, "1 under way, 2 questions unanswered" in check.detail) == ("ok", True)


def test_a_call_that_failed_by_its_answer_is_asked_about_again_when_somebody_retries_it(tmp_path, openai_server, shelf):
    wired = wire(tmp_path, openai_server, "home", batch=True)
    wait_for(wired, lane=Lane.BACKFILL, count=1)
    filtered = BatchShelf(openai_server, fails(400, "content_filter"), is_quick=True)
    openai_server.reply_always(filtered)
    work(wired)
    assert [row.failed_code for row in rows(wired, tables.call)] == ["refused"]
    openai_server.reply_always(shelf)
    with wired.database.write() as connection:
        assert retries.retry(connection, now=NOW) == 1
        connection.execute(sa.update(tables.job).values(lane=Lane.BACKFILL))
    work(wired)
    assert [row.stage for row in rows(wired, tables.call)] == ["done"]
    assert [len(sent.questions) for sent in shelf.batches.values()] == [1]


def test_batches_that_no_deployment_takes_are_told_by_the_doctor(tmp_path, openai_server):
    wired = wire(tmp_path, openai_server, "home", batch=True, engine="compatible")
    wait_for(wired, lane=Lane.BACKFILL, count=1)
    openai_server.reply_always(analyses)
    work(wired)
    assert [row.stage for row in rows(wired, tables.call)] == ["done"]
    [check] = [check for check in examine(wired) if check.name == "batches"]
    assert (check.status, "no deployment" in check.detail) == ("note", True)
