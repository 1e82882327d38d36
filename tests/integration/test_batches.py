"""Laws of the batch lane: nothing is sent twice, lost or paid twice, whatever the server and the workers do."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from calls.errors import InBatch, TransientError, UnusableAnswer
from calls.pipeline import UNDERSTAND, Lane
from calls.prices import Price
from crm import batch_questions, batches, jobs, waiting
from crm.batch_tables import batch_prompt, batch_question, language_batch
from crm.tables import job, paid_request
from engines.batched_requests import BatchedRequests
from engines.language_batch import BatchApi
from engines.language_requests import LanguageRequests
from tests.seeds import seed_call, seed_taxonomy
from tests.servers.openai_answers import Usage, fails, says
from tests.servers.openai_batches import BatchShelf
from tests.servers.openai_server import API_KEY, API_VERSION
from workers.batches import BatchWork, tend
from workers.questions import StoredQuestions

MODEL = "gpt-5.4-mini"
DEPLOYMENT = f"openai/{MODEL}"
SCHEMA = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
PRICE = Price(input=1.0, cached=0.1, output=8.0)
# 1,000 * 1 + 1,000 * 0.1 + 100 * 8, halved.
COST = 950
SAYS = says('{"said": "hello"}', usage=Usage(2_000, 1_000, 100))


class Killed(BaseException):
    """A worker that dies: nothing of ours catches it."""


class BatchLane:
    """A database with calls, a server with batches, and the lane between them."""

    def __init__(self, database, server, shelf):
        self.database, self.server, self.shelf = database, server, shelf
        with database.write() as connection:
            seed_taxonomy(connection)

    def work(self, **changes):
        api = BatchApi("openai", model=MODEL, api_key=API_KEY, base_url=self.server.base_url, price=PRICE)
        return BatchWork(self.database, **({"apis": {DEPLOYMENT: api}, "is_on": True, "gather_s": 0.0} | changes))

    def call(self, **facts):
        """A call that waits for its analysis, in the lane of old work."""
        with self.database.write() as connection:
            call_id = seed_call(connection, stage="transcribed", with_analysis=False, **facts)
            row = jobs.first_job(call_id, datetime.now(UTC), step=UNDERSTAND, lane=Lane.BACKFILL)
            connection.execute(sa.insert(job).values(row))
        return call_id

    def ask(self, call_id, *, text="hello", times=1, defers=True, subject="transcript/v1"):
        """What an analysis of so many questions gets, one after the other; the call waits where it has to."""
        direct = LanguageRequests("openai", model=MODEL, api_key=API_KEY, base_url=self.server.base_url, price=PRICE)
        questions = StoredQuestions(self.database, call_id, f"{subject}/{call_id}")
        requests = BatchedRequests(direct, questions, deployment=DEPLOYMENT, model=MODEL, defers=defers)
        answers = []
        try:
            for _ in range(times):
                messages = [{"role": "user", "content": text}]
                answers.append(requests.ask("system", messages, SCHEMA, 500, lane=Lane.BACKFILL))
        except InBatch as waits:
            due_at = datetime.now(UTC) + timedelta(seconds=waits.retry_after_s)
            with self.database.write() as connection:
                where = job.c.call_id == call_id
                connection.execute(sa.update(job).where(where).values(last_code=waits.code, due_at=due_at))
            return None
        self.charges = [requests.charge(answer) for answer in answers]
        return [answer.text for answer in answers]

    def paid(self):
        with self.database.read() as connection:
            return [row.cost_microusd for row in connection.execute(sa.select(paid_request))]

    def due(self):
        with self.database.read() as connection:
            return {found for found, _ in waiting.due(connection, now=datetime.now(UTC), limit=99, queues=["language"])}

    def rows(self, table):
        with self.database.read() as connection:
            return connection.execute(sa.select(table)).all()

    def again_now(self):
        """Let what a batch missed be sent at once."""
        with self.database.write() as connection:
            connection.execute(sa.update(batch_question).values(send_at=datetime.now(UTC)))
            connection.execute(sa.update(language_batch).values(held_until=None))


@pytest.fixture
def shelf(openai_server):
    made = BatchShelf(openai_server, SAYS)
    openai_server.reply_always(made)
    return made


@pytest.fixture
def lane(any_database, openai_server, shelf):
    return BatchLane(any_database, openai_server, shelf)


def test_questions_wait_together_and_their_calls_go_on_with_the_answers_at_half_the_price(lane, shelf):
    first, second = lane.call(), lane.call()
    assert [lane.ask(first), lane.ask(second), lane.ask(second)] == [None, None, None]
    assert lane.due() == set()
    assert tend(lane.work()).under_way == 1
    [batch] = shelf.batches.values()
    assert len(batch.questions) == 2
    assert len(lane.rows(batch_prompt)) == 1
    assert tend(lane.work()).under_way == 1
    assert lane.due() == set()
    shelf.end()
    assert tend(lane.work()).under_way == 0
    assert lane.due() == {first, second}
    assert lane.ask(first) == lane.ask(second) == ['{"said": "hello"}']
    assert (lane.paid(), [charge.is_booked for charge in lane.charges]) == ([COST, COST], [True])
    assert {row.is_batch for row in lane.rows(paid_request)} == {True}
    assert shelf.files == {}


def test_what_a_batch_asks_is_what_a_direct_request_would_ask(lane, shelf, openai_server):
    call_id = lane.call()
    lane.ask(call_id, text="Grüße")
    tend(lane.work())
    [batch] = shelf.batches.values()
    [asked] = batch.questions.values()
    lane.ask(lane.call(), text="Grüße", defers=False)
    assert asked == openai_server.requests[-1].body


def test_a_second_question_of_an_analysis_goes_in_a_second_batch_and_the_first_is_not_asked_again(lane, shelf):
    call_id = lane.call()
    for _ in range(2):
        assert lane.ask(call_id, times=2) is None
        tend(lane.work())
        shelf.end()
        tend(lane.work())
    assert len(lane.ask(call_id, times=2)) == 2
    assert [len(batch.questions) for batch in shelf.batches.values()] == [1, 1]
    assert lane.paid() == [COST, COST]


@pytest.mark.parametrize("moment", ["gathered", "uploaded", "created", "answered", "kept", "ended"])
def test_a_worker_that_dies_at_any_point_sends_nothing_twice_and_loses_or_pays_nothing_twice(lane, shelf, moment):
    calls = [lane.call() for _ in range(5)]
    for call_id in calls:
        lane.ask(call_id)
    died = []

    def die_once(reached):
        if reached == moment and not died:
            died.append(reached)
            raise Killed

    for _ in range(4):
        try:
            tend(lane.work(observe=die_once))
        except Killed:
            lane.again_now()
        shelf.end()
    assert died == [moment]
    assert [len(batch.questions) for batch in shelf.batches.values()] == [5]
    assert len(shelf.answered) == 5
    assert lane.paid() == [COST] * 5
    assert lane.due() == set(calls)
    assert [lane.ask(call_id) for call_id in calls] == [['{"said": "hello"}']] * 5
    assert shelf.files == {} or moment == "ended"


def test_two_workers_at_once_send_and_collect_one_batch_once(lane, shelf):
    lane.ask(lane.call())
    work = lane.work()

    def meanwhile(moment):
        if moment in {"uploaded", "ended"}:
            tend(lane.work())

    tend(lane.work(observe=meanwhile))
    assert len(shelf.batches) == 1
    shelf.end()
    tend(lane.work(observe=meanwhile))
    tend(work)
    assert lane.paid() == [COST]


def test_a_cut_connection_at_the_creation_of_a_batch_does_not_make_a_second_one(lane, shelf, openai_server):
    lane.ask(lane.call())

    def cut_after_it_was_made(request):
        reply = shelf(request)
        return type(reply)(**(vars(reply) | {"ending": "cut", "is_checked": False}))

    openai_server.reply(shelf, cut_after_it_was_made)
    assert tend(lane.work()).under_way == 1
    assert tend(lane.work()).under_way == 1
    assert len(shelf.batches) == 1
    shelf.end()
    tend(lane.work())
    assert lane.paid() == [COST]


def test_what_an_expired_or_cancelled_batch_left_unanswered_goes_in_the_next_one(lane, shelf):
    calls = [lane.call() for _ in range(3)]
    for call_id in calls:
        lane.ask(call_id)
    tend(lane.work())
    shelf.end("expired", answers=1)
    tend(lane.work())
    assert len(lane.due()) == 1
    lane.again_now()
    tend(lane.work())
    assert [len(batch.questions) for batch in shelf.batches.values()] == [3, 2]
    shelf.end("cancelled", answers=1)
    tend(lane.work())
    lane.again_now()
    tend(lane.work())
    shelf.end()
    tend(lane.work())
    assert lane.due() == set(calls)
    assert (len(shelf.answered), lane.paid()) == (3, [COST] * 3)
    assert {row.failed_code for row in lane.rows(language_batch)} == {"batch_expired", "batch_cancelled", None}


def test_a_question_that_no_batch_answers_is_asked_directly_in_the_end(lane, shelf, openai_server):
    call_id = lane.call()
    lane.ask(call_id)
    for _ in range(batch_questions.MOST_MISSES):
        tend(lane.work())
        shelf.end(fate=lambda _, request: fails(500, "server_error")(request))
        tend(lane.work())
        lane.again_now()
    assert lane.due() == {call_id}
    assert lane.ask(call_id) == ['{"said": "hello"}']
    assert lane.charges[0].cost_microusd == 2 * COST
    assert (lane.paid(), openai_server.requests[-1].operation) == ([], "/responses")


def test_an_error_against_which_nothing_helps_is_the_one_that_a_direct_question_would_end_with(lane, shelf):
    filtered, well = lane.call(), lane.call()
    lane.ask(filtered)
    lane.ask(well)
    tend(lane.work())
    shelf.end(fate=lambda number, request: SAYS(request) if number else fails(400, "content_filter")(request))
    tend(lane.work())
    assert lane.ask(well) == ['{"said": "hello"}']
    with pytest.raises(UnusableAnswer) as raised:
        lane.ask(filtered)
    assert (raised.value.code, lane.paid(), lane.due()) == ("refused", [COST], {filtered, well})


def test_a_full_queue_of_the_servers_is_waited_for_and_held_against_no_question(lane, shelf):
    lane.ask(lane.call())
    for _ in range(batch_questions.MOST_MISSES + 1):
        shelf.refusals.append("token_limit_exceeded")
        tend(lane.work())
        tend(lane.work())
        [question] = lane.rows(batch_question)
        assert (question.miss_count, question.send_at > datetime.now(UTC) + timedelta(minutes=5)) == (0, True)
        lane.again_now()
    tend(lane.work())
    shelf.end()
    assert tend(lane.work()).under_way == 0
    assert lane.paid() == [COST]


def test_a_wrong_key_leaves_the_batch_to_be_sent_and_shows_why(lane, shelf, openai_server):
    lane.ask(lane.call())
    openai_server.reply(fails(401, "invalid_api_key"))
    assert tend(lane.work()).under_way == 1
    with lane.database.read() as connection:
        assert batches.batch_counts(connection) == {
            "under_way": 1,
            "unsent_questions": 0,
            "unanswered_questions": 1,
            "last_failed_code": "wrong_api_key",
        }
    assert tend(lane.work()).under_way == 1
    assert len(shelf.batches) == 1


def test_a_batch_that_the_server_does_not_know_is_not_sent_again_for_a_day(lane, shelf):
    lane.ask(lane.call())
    tend(lane.work())
    kept = dict(shelf.batches)
    shelf.batches.clear()
    assert tend(lane.work()).under_way == 1
    assert tend(lane.work()).under_way == 1
    assert [row.failed_code for row in lane.rows(language_batch)] == ["batch_gone"]
    shelf.batches |= kept
    shelf.end()
    assert (tend(lane.work()).under_way, lane.paid()) == (0, [COST])


def test_questions_wait_for_others_until_the_oldest_is_ripe(lane, shelf):
    lane.ask(lane.call())
    assert tend(lane.work(gather_s=3600)).under_way == 0
    with lane.database.write() as connection:
        connection.execute(sa.update(batch_question).values(asked_at=datetime.now(UTC) - timedelta(hours=1)))
    lane.ask(lane.call())
    assert tend(lane.work(gather_s=3600)).under_way == 1
    assert len(lane.rows(batch_question)) == 2


def test_no_more_is_sent_than_there_is_money_for_and_what_is_sent_counts_as_spent(lane, shelf):
    for _ in range(4):
        lane.ask(lane.call())
    with lane.database.read() as connection:
        size = connection.execute(sa.select(sa.func.max(batch_question.c.size_bytes))).scalar_one()
    expected = (-(-size // 4) + 500 * 8) // 2 + 1
    assert tend(lane.work(room_microusd=lambda: 0)).under_way == 0
    rooms = [2 * expected, 0]
    tend(lane.work(room_microusd=lambda: rooms.pop(0)))
    [batch] = shelf.batches.values()
    assert len(batch.questions) == 2
    [row] = lane.rows(language_batch)
    assert expected < row.reserved_microusd <= 2 * expected
    shelf.end()
    tend(lane.work(room_microusd=lambda: 0))
    assert [row.reserved_microusd for row in lane.rows(language_batch)] == [0]


def test_where_batches_are_switched_off_what_was_sent_is_taken_and_the_rest_asked_directly(lane, shelf):
    sent, unsent = lane.call(), lane.call()
    lane.ask(sent)
    tend(lane.work())
    lane.ask(unsent)
    assert tend(lane.work(is_on=False)).under_way == 1
    assert lane.due() == {unsent}
    assert lane.ask(unsent, defers=False) == ['{"said": "hello"}']
    assert lane.ask(sent, defers=False) is None
    shelf.end()
    tend(lane.work(is_on=False))
    assert lane.ask(sent, defers=False) == ['{"said": "hello"}']
    assert (lane.paid(), len(shelf.batches)) == ([COST], 1)


def test_what_waits_for_a_deployment_that_is_gone_is_asked_of_another(lane, shelf):
    sent, unsent = lane.call(), lane.call()
    lane.ask(sent)
    tend(lane.work())
    lane.ask(unsent)
    gone = lane.work(apis={})
    assert tend(gone) == (1, 1)
    assert lane.due() == {unsent}
    with lane.database.write() as connection:
        connection.execute(sa.update(language_batch).values(created_at=datetime.now(UTC) - timedelta(hours=27)))
    assert tend(gone) == (0, 1)
    assert lane.due() == {unsent, sent}
    assert [row.failed_code for row in lane.rows(language_batch)] == ["batch_abandoned"]


def test_azure_takes_the_same_batches_under_its_own_paths(lane, shelf, openai_server):
    call_id = lane.call()
    lane.ask(call_id)
    azure = BatchApi(
        "azure", model=MODEL, api_key=API_KEY, base_url=openai_server.azure_endpoint, api_version=API_VERSION
    )
    work = lane.work(apis={DEPLOYMENT: azure})
    tend(work)
    shelf.end()
    assert tend(work) == (0, 1)
    assert lane.ask(call_id) == ['{"said": "hello"}']
    assert {request.path.split("/")[1] for request in openai_server.requests} == {"openai"}
    assert lane.paid() == [None]


def test_questions_go_with_the_analysis_and_an_answer_that_comes_later_is_still_paid_for(lane, shelf):
    answered, late = lane.call(), lane.call()
    lane.ask(answered)
    tend(lane.work())
    shelf.end()
    tend(lane.work())
    lane.ask(late)
    tend(lane.work())
    with lane.database.write() as connection:
        batch_questions.forget_questions(connection, answered)
        batch_questions.forget_questions(connection, late)
    [left] = lane.rows(batch_question)
    assert (left.call_id, left.messages) == (late, None)
    shelf.end()
    tend(lane.work())
    assert (lane.rows(batch_question), lane.paid()) == ([], [COST, COST])


def test_another_transcript_or_taxonomy_is_another_question(lane, shelf):
    call_id = lane.call()
    lane.ask(call_id)
    tend(lane.work())
    shelf.end()
    tend(lane.work())
    assert lane.ask(call_id, subject="transcript/v2") is None
    assert lane.ask(call_id) == ['{"said": "hello"}']


def test_garbage_among_the_results_harms_no_other_answer(lane, shelf):
    calls = [lane.call() for _ in range(3)]
    for call_id in calls:
        lane.ask(call_id)
    tend(lane.work())
    shelf.end(fate=lambda number, request: type(SAYS(request))(body={}) if number == 1 else SAYS(request))
    [batch] = shelf.batches.values()
    name, content = shelf.files[batch.output_file_id]
    foreign = json.dumps({"custom_id": "not ours", "response": {"status_code": 200, "body": {}}})
    shelf.files[batch.output_file_id] = (name, b"half a li\n" + foreign.encode() + b"\n\n[]\n" + content)
    tend(lane.work())
    assert len(lane.due()) == 2
    assert lane.paid() == [COST, COST]


def test_a_direct_questions_errors_pass_as_they_are(lane, openai_server):
    openai_server.reply(fails(500, "server_error"))
    with pytest.raises(TransientError):
        lane.ask(lane.call(), defers=False)
