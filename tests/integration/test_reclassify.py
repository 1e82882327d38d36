"""The past under the reasons of now: asked about anew without hearing it again, on both databases."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from analytics.rollup import recompute_all, refresh
from analytics.star import fact_call
from calls.errors import EngineMisconfigured, UnusableAnswer
from calls.money import Charge
from calls.pipeline import Lane
from calls.reasons import Reason, Taxonomy
from calls.recording import CallFacts, Direction
from crm import jobs, reclassify, tables, waiting
from crm.facts import set_facts
from crm.reclassify import NoTaxonomy, Wanted, queue_calls, stop
from crm.reclassify_runs import find_run, observed, plan, read_run, run_document
from crm.reviews import correct_reason
from crm.status import status
from crm.swaps import correct_agent_channel, stated_agent_channel
from crm.taxonomies import store_taxonomy
from engines.language_fake import FakeLanguage, first_words
from engines.speech_fake import FakeSpeech
from tests.integration.test_late_facts import sums
from tests.integration.test_steps import SAID, Centre
from tests.seeds import NOW, TAXONOMY, seed_call, seed_taxonomy
from tests.sound import two_channel_wav

NEWER = Taxonomy(
    version="seeds-2",
    title="Newer",
    reasons=(
        Reason("where_is_it", "Where is it", "The customer asks where an order is."),
        Reason("repair", "Repair", "Something is broken.", replaces=("repair_booking",)),
        Reason("new_order", "New order", "The customer wants to buy.", is_sales=True),
    ),
)
CHARGE = Charge("openai", "gpt-5.4-mini", "analysis", "req-1", 1000, 200, 100, 0.0, 1500)


@pytest.fixture
def centre(any_database, tmp_path):
    made = Centre(any_database, tmp_path / "scratch")
    yield made
    made.leases.close()


@pytest.fixture
def done(centre):
    """Three calls, done under the earlier reasons."""
    call_ids = [centre.receive(two_channel_wav(seconds=3), key=f"{n}.wav") for n in range(3)]
    centre.work(centre.parts())
    return call_ids


class Deaf(FakeSpeech):
    """Nobody may ask it anything: what was heard stands in the database."""

    def transcribe(self, *_args):
        raise AssertionError("a recording was heard again")


def asking(script=first_words, charge=None):
    """An engine that keeps what it was asked, and the parts' own other half."""
    asked = []

    def keeping(conversation, taxonomy):
        asked.append(conversation)
        return script(conversation, taxonomy)

    return FakeLanguage(keeping, charge=charge), asked


def load(centre, given=NEWER):
    with centre.database.write() as connection:
        store_taxonomy(connection, given, datetime.now(UTC))


def queue(centre, **wanted):
    return queue_calls(centre.database, Wanted(**wanted), now=datetime.now(UTC))


def run(centre, queued):
    with centre.database.read() as connection:
        return read_run(connection, queued.run_id)


def document(centre, queued):
    with centre.database.read() as connection:
        return run_document(connection, read_run(connection, queued.run_id))


def current(centre):
    return {row.call_id: row for row in centre.rows(tables.call_analysis) if row.is_current}


def correct(centre, call_id, code):
    with centre.database.write() as connection:
        return correct_reason(connection, call_id, code, by="Ada", now=datetime.now(UTC))


def test_the_past_gets_the_reasons_of_now_from_its_transcripts_and_stays_done_meanwhile(centre, done):
    before = {call_id: centre.call(call_id) for call_id in done}
    load(centre)
    queued = queue(centre)
    assert (queued.ask_count, queued.carried_count, queued.kept_count) == (3, 0, 0)
    assert {centre.call(call_id).stage for call_id in done} == {"done"}
    assert {row.reason_code for row in current(centre).values()} == {"delivery_status"}
    engine, asked = asking()
    centre.work(centre.parts(speech=Deaf(), language=engine))
    assert {row.reason_code for row in current(centre).values()} == {"where_is_it"}
    assert {row.revision for row in current(centre).values()} == {2}
    assert {conversation.lane for conversation in asked} == {Lane.BACKFILL}
    for call_id in done:
        call = centre.call(call_id)
        assert (call.stage, call.finished_at) == ("done", before[call_id].finished_at)
        assert call.modified_at > before[call_id].modified_at
    assert centre.rows(tables.job) == []
    # Nothing is left to ask: the same wish again queues nothing, and asks nothing.
    assert queue(centre).ask_count == 0
    centre.work(centre.parts(speech=Deaf(), language=engine))
    assert len(asked) == 3


def test_a_run_tells_before_and_after_by_reason(centre, done):
    correct(centre, done[0], "repair_booking")
    load(centre)
    queued = queue(centre)
    assert (queued.ask_count, queued.carried_count) == (2, 1)
    assert run(centre, queued).state == "running"
    centre.work(centre.parts())
    found = document(centre, queued)
    assert (found["state"], found["calls"], found["answered"]) == ("ended", 3, 3)
    assert (found["unchanged"], found["changed"], found["waiting"], found["left"]) == (1, 2, 0, 0)
    assert [(row["code"], row["before"], row["after"]) for row in found["reasons"]] == [
        ("where_is_it", 0, 2),
        ("repair", 0, 1),
        ("delivery_status", 2, 0),
        ("repair_booking", 1, 0),
    ]
    assert found["moves"] == [{"before": "delivery_status", "after": "where_is_it", "calls": 2}]
    with centre.database.read() as connection:
        assert find_run(connection) == find_run(connection, str(queued.run_id)[:8]) == queued.run_id


def test_a_persons_reason_is_carried_over_without_asking_and_never_overwritten(centre, done):
    carried, kept, asked_about = done
    correct(centre, carried, "repair_booking")
    correct(centre, kept, "delivery_status")
    load(centre)
    queued = queue(centre)
    assert (queued.ask_count, queued.carried_count, queued.kept_count) == (1, 1, 1)
    engine, asked = asking()
    centre.work(centre.parts(language=engine))
    found = current(centre)
    assert (found[carried].reason_code, found[carried].taxonomy_version) == ("repair", "seeds-2")
    # Its reason has no counterpart among the new ones: it stays as it is, and that is counted.
    assert (found[kept].reason_code, found[kept].taxonomy_version) == ("delivery_status", "seeds-1")
    assert (found[asked_about].reason_code, len(asked)) == ("where_is_it", 1)
    assert document(centre, queued)["kept_by_person"] == 1


def test_a_correction_while_the_engine_thinks_outranks_its_answer(centre, done):
    load(centre)
    queue(centre)

    def correcting(conversation, taxonomy):
        for call_id in done:
            correct(centre, call_id, "repair")
        return first_words(conversation, taxonomy)

    engine, asked = asking(correcting)
    centre.work(centre.parts(language=engine))
    # The two that waited were under the reasons of now by then: nobody asked about them.
    assert len(asked) == 1
    assert {row.reason_code for row in current(centre).values()} == {"repair"}
    assert sorted(row.revision for row in current(centre).values()) == [2, 2, 3]
    assert centre.rows(tables.job) == []


def test_a_persons_reason_stays_when_the_call_is_understood_again_for_another_cause(centre, done):
    correct(centre, done[0], "new_order")
    with centre.database.write() as connection:
        other = 1 - stated_agent_channel(connection, done[0])
        correct_agent_channel(connection, done[0], other, now=datetime.now(UTC))
    engine, asked = asking()
    centre.work(centre.parts(language=engine))
    assert (len(asked), centre.call(done[0]).stage) == (1, "done")
    found = current(centre)[done[0]]
    # The rest is the engine's, from the speakers as they are now.
    assert (found.reason_code, found.summary, found.revision) == ("new_order", "how can I help you", 3)


def test_a_word_that_would_be_lost_is_kept_in_the_middle_of_a_question(centre, done):
    load(centre)
    queued = queue(centre)

    def another(conversation, taxonomy):
        # The owner goes back and forth; somebody says a reason that the engine's taxonomy has not.
        load(centre, TAXONOMY)
        correct(centre, done[0], "delivery_status")
        load(centre, NEWER)
        return first_words(conversation, taxonomy)

    with centre.database.write() as connection:
        connection.execute(sa.delete(tables.job).where(tables.job.c.call_id != done[0]))
    engine, _ = asking(another)
    centre.work(centre.parts(language=engine))
    assert current(centre)[done[0]].reason_code == "delivery_status"
    assert run(centre, queued).ended == {"kept_by_person": 1}


def test_a_run_is_stopped_and_taken_up_where_it_was_left(centre, done):
    load(centre)
    queued = queue(centre)
    with centre.database.write() as connection:
        rows = waiting.due(connection, now=datetime.now(UTC), limit=1, queues=["language"])
        held = jobs.claim(connection, rows[0][0], rows[0][1], now=datetime.now(UTC), lease_s=60)
        # The answer that is on its way is still taken.
        assert stop(connection, now=datetime.now(UTC)) == 2
        jobs.put_back(connection, held, "test", "", due_at=datetime.now(UTC), counts=False)
    centre.work(centre.parts())
    found = run(centre, queued)
    assert (found.state, found.answered_count, found.left_count) == ("stopped", 1, 2)
    again = queue(centre)
    assert (again.run_id, again.ask_count) == (queued.run_id, 2)
    centre.work(centre.parts())
    found = run(centre, again)
    assert (found.state, found.answered_count, found.call_count) == ("ended", 3, 3)


def test_queueing_twice_makes_one_run_and_one_question_a_call(centre, done):
    load(centre)
    first, second = queue(centre), queue(centre)
    assert (first.run_id, len(centre.rows(tables.job))) == (second.run_id, 3)
    engine, asked = asking()
    centre.work(centre.parts(language=engine))
    assert (len(asked), run(centre, first).call_count) == (3, 3)


def test_a_failure_leaves_the_call_as_it_was_and_can_be_tried_again(centre, done):
    load(centre)
    queued = queue(centre)

    def refusing(*_):
        raise UnusableAnswer("no", code="refused")

    centre.work(centre.parts(language=FakeLanguage(refusing)))
    assert {centre.call(call_id).stage for call_id in done} == {"done"}
    assert {centre.call(call_id).failed_code for call_id in done} == {None}
    assert {row.reason_code for row in current(centre).values()} == {"delivery_status"}
    assert document(centre, queued)["failed"] == {"refused": 3}
    assert queue(centre).ask_count == 3
    centre.work(centre.parts())
    assert document(centre, queued)["failed"] == {}
    assert {row.reason_code for row in current(centre).values()} == {"where_is_it"}


def test_only_the_wanted_calls_are_asked_about(any_database):
    with any_database.write() as connection:
        seed_taxonomy(connection)
        for day, code in ((1, "delivery_status"), (2, "delivery_status"), (3, "repair_booking")):
            seed_call(connection, happened_at=NOW + timedelta(days=day), analysis={"reason_code": code})
        seed_call(connection, said=None, is_sample=True)
        seed_call(connection, stage="failed", failed_code="x", failed_step="call.understand", with_analysis=False)
        store_taxonomy(connection, NEWER, NOW)

        def counted(**wanted):
            found = plan(connection, NEWER, Wanted(**wanted))
            return found.ask_count, dict(found.call_count_by_reason)

        assert counted() == (3, {"delivery_status": 2, "repair_booking": 1})
        assert counted(since=NOW + timedelta(days=2)) == (2, {"delivery_status": 1, "repair_booking": 1})
        assert counted(until=NOW + timedelta(days=2)) == (1, {"delivery_status": 1})
        assert counted(only_reason="delivery_status") == (2, {"delivery_status": 2})
        # By its name of now as well.
        assert counted(only_reason="repair") == (1, {"repair_booking": 1})
        assert counted(only_reason="new_order") == (0, {})


def test_a_plan_knows_what_asking_took_before(centre):
    for number in range(2):
        centre.receive(two_channel_wav(seconds=3), key=f"{number}.wav")
    centre.work(centre.parts(language=FakeLanguage(charge=CHARGE)))
    load(centre)
    with centre.database.read() as connection:
        found = observed(connection, NEWER, Wanted())
    assert (found.asked_count, dict(found.tokens_by_model)) == (2, {"gpt-5.4-mini": (2000, 400, 200)})
    assert found.text_bytes == sum(len(said.text) for side in SAID.values() for said in side)
    queued = queue(centre)
    centre.work(centre.parts(language=FakeLanguage(charge=CHARGE)))
    assert run(centre, queued).cost_microusd == 2 * 1500
    # What was asked twice took so much twice.
    load(centre, replace(NEWER, version="seeds-3"))
    with centre.database.read() as connection:
        found = observed(connection, replace(NEWER, version="seeds-3"), Wanted())
    assert (found.asked_count, found.tokens_by_model["gpt-5.4-mini"]) == (4, (4000, 800, 400))


def test_live_work_comes_first(centre, done):
    load(centre)
    queue(centre)
    late = centre.receive(two_channel_wav(seconds=3), key="late.wav")
    engine, asked = asking()
    parts = centre.parts(language=engine)
    with centre.database.read() as connection:
        due = waiting.due(connection, now=datetime.now(UTC), limit=10, queues=["speech", "language"])
    assert due[0][0] == late
    centre.work(parts)
    assert [conversation.lane for conversation in asked] == [Lane.LIVE, *([Lane.BACKFILL] * 3)]


def test_a_customer_that_is_told_late_is_filed_at_once_and_the_question_is_not_lost(centre, done):
    load(centre)
    queue(centre)
    told = CallFacts(from_number_e164="+12065550199", direction=Direction.INBOUND)
    with centre.database.write() as connection:
        assert set_facts(connection, done[0], told, now=datetime.now(UTC))
    call = centre.call(done[0])
    [contact] = [row for row in centre.rows(tables.contact) if row.phone_e164 == "+12065550199"]
    assert (call.stage, call.contact_id) == ("done", contact.id)
    centre.work(centre.parts())
    assert {row.reason_code for row in current(centre).values()} == {"where_is_it"}


def test_new_reasons_in_the_middle_of_a_run_are_those_that_the_rest_is_asked_under(centre, done):
    load(centre)
    first = queue(centre)
    third = replace(NEWER, version="seeds-3", title="Third")
    load(centre, third)
    second = queue(centre)
    assert second.run_id != first.run_id
    engine, asked = asking()
    centre.work(centre.parts(language=engine))
    assert (len(asked), {row.taxonomy_version for row in current(centre).values()}) == (3, {"seeds-3"})
    assert (run(centre, first).state, run(centre, first).left_count) == ("stopped", 3)
    assert run(centre, second).answered_count == 3


def test_calls_that_wait_for_another_reason_do_not_count_as_unfinished_recordings(centre, done):
    with centre.database.write() as connection:
        connection.execute(sa.update(tables.call).values(received_at=NOW - timedelta(days=400)))
    load(centre)
    queue(centre)

    def broken(*_):
        raise EngineMisconfigured("no key")

    centre.work(centre.parts(language=FakeLanguage(broken)))
    with centre.database.read() as connection:
        found = status(connection, datetime.now(UTC))
    assert (found["reclassifying"], found["backfill"], found["oldest_waiting_s"], found["done"]) == (3, 0, None, 3)
    assert found["waiting"] == {"engine_misconfigured": 3}


def test_the_roll_ups_follow_a_run_and_equal_a_recompute(centre, done):
    refresh(centre.database, "UTC")
    load(centre)
    queue(centre)
    centre.work(centre.parts())
    assert refresh(centre.database, "UTC") > 0
    keys = {row.reason_key for row in centre.rows(fact_call)}
    followed = sums(centre.database)
    recompute_all(centre.database, "UTC")
    assert sums(centre.database) == followed
    assert {row.reason_key for row in centre.rows(fact_call)} == keys
    assert len(keys) == 1


def test_without_reasons_there_is_nothing_to_classify_by(any_database):
    with pytest.raises(NoTaxonomy):
        queue_calls(any_database, Wanted(), now=NOW)


def test_many_calls_are_queued_some_at_a_time(any_database):
    count = reclassify.CALLS_AT_ONCE + 3
    with any_database.write() as connection:
        seed_taxonomy(connection)
        for _ in range(count):
            seed_call(connection, said=())
        store_taxonomy(connection, NEWER, NOW)
    assert queue_calls(any_database, Wanted(), now=NOW).ask_count == count
    with any_database.read() as connection:
        assert waiting.unfinished_count(connection) == count
