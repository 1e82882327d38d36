"""Laws of intake, on SQLite and PostgreSQL: one call per recording, whatever is announced how often."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from calls.pipeline import SkipReason, Stage, Step, step_named
from calls.recording import CallFacts, Direction, ObjectRef, StoredObject, call_id_for
from crm import jobs
from crm.arrivals import Arrival, Received
from crm.database import Database
from crm.facts import set_facts
from crm.intake import insert_batch, insert_received, note_unreadable
from crm.tables import agent, call, job, queue, recording, team, unreadable_event
from crm.told_calls import calls_of
from crm.touched_tables import touched_call

NOW = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def make_stored(key: str = "a.wav", etag: str = "e1", size: int = 100) -> StoredObject:
    return StoredObject(ObjectRef("recordings", key, etag=etag, size_bytes=size), last_modified_at=NOW)


def receive(
    database: Database, stored: StoredObject | None = None, facts: CallFacts | None = None, now: datetime = NOW
) -> Received:
    with database.write() as connection:
        return insert_received(
            connection, stored or make_stored(), facts or CallFacts(), source_system="pbx", profile="plain", now=now
        )


def rows(database: Database, table: sa.Table) -> list[sa.Row[Any]]:
    with database.read() as connection:
        return list(connection.execute(sa.select(table)))


def end_call(database: Database, received: Received, now: datetime = NOW) -> None:
    with database.write() as connection:
        claim = jobs.claim(connection, received.call_id, step_named("call.transcribe"), now=now, lease_s=9)
        assert claim is not None
        jobs.skip(connection, claim, SkipReason.NO_SPEECH, now=now)
        connection.execute(sa.delete(touched_call))


def test_a_recording_becomes_a_call_a_recording_and_a_job(any_database):
    started_at = NOW - timedelta(minutes=5)
    facts = CallFacts(
        external_call_id="c-1",
        direction=Direction.INBOUND,
        from_number_e164="+12065550118",
        agent_name="Tom Becker",
        agent_email="tom@example.com",
        team_name="East",
        queue_name="Delivery",
        started_at=started_at,
        attributes={"order": "4719"},
    )
    received = receive(any_database, facts=facts)
    assert received == Received(call_id_for("pbx", "c-1").hex, is_new=True)
    [stored] = rows(any_database, call)
    assert (stored.stage, stored.happened_at, stored.received_at) == (Stage.RECEIVED, started_at, NOW)
    assert stored.attributes == {"order": "4719"}
    [tom] = rows(any_database, agent)
    [east] = rows(any_database, team)
    assert (tom.display_name, tom.email, tom.team_id) == ("Tom Becker", "tom@example.com", east.id)
    assert (stored.agent_id, stored.queue_id) == (tom.id, rows(any_database, queue)[0].id)
    [work] = rows(any_database, job)
    assert (work.call_id, work.step, work.due_at) == (received.call_id, "call.transcribe", NOW)
    assert rows(any_database, recording)[0].is_current


def test_a_call_of_which_nobody_said_when_it_was_counts_from_its_arrival(any_database):
    receive(any_database)
    [stored] = rows(any_database, call)
    assert (stored.started_at, stored.happened_at) == (None, NOW)


def test_a_duplicate_inserts_nothing_and_answers_the_same_call(any_database):
    first = receive(any_database)
    second = receive(any_database, now=LATER)
    assert second == first._replace(is_new=False)
    assert [len(rows(any_database, table)) for table in (call, recording, job)] == [1, 1, 1]
    assert rows(any_database, job)[0].due_at == NOW


def test_a_duplicate_of_a_finished_call_does_not_wake_it(any_database):
    end_call(any_database, receive(any_database))
    assert not receive(any_database, now=LATER).is_new
    assert rows(any_database, job) == []


def test_many_listeners_with_the_same_recordings_make_each_call_once(any_database):
    arrivals = [
        Arrival(make_stored(f"{n}.wav"), CallFacts(external_call_id=f"c{n}", agent_name=f"a{n % 3}"), "pbx", "plain")
        for n in range(20)
    ]

    def listen(turn: int) -> int:
        mine = arrivals[turn:] + arrivals[:turn]
        with any_database.write() as connection:
            return sum(received.is_new for received in insert_batch(connection, mine, now=NOW))

    with ThreadPoolExecutor(4) as listeners:
        assert sum(listeners.map(listen, range(8))) == 20
    assert [len(rows(any_database, table)) for table in (call, recording, job, agent)] == [20, 20, 20, 3]


def test_a_recording_of_a_call_that_was_told_its_name_late_is_a_call_of_its_own(any_database):
    first = receive(any_database)
    with any_database.write() as connection:
        assert set_facts(connection, first.call_id, CallFacts(external_call_id="c-1", agent_name="Tom"), now=NOW)
    second = receive(any_database, make_stored("b.wav"), CallFacts(external_call_id="c-1"), now=LATER)
    assert second.is_new
    assert second.call_id != first.call_id
    assert receive(any_database, make_stored("b.wav"), CallFacts(external_call_id="c-1")) == second._replace(
        is_new=False
    )
    names = {row.id: (row.external_call_id.partition("~")[0], row.initial_call_id) for row in rows(any_database, call)}
    assert names == {first.call_id: ("c-1", None), second.call_id: ("c-1", "c-1")}


def test_of_many_recordings_those_that_are_known_insert_nothing_and_the_others_do(any_database):
    # So many new ones that PostgreSQL tries them without a look at each first, and one that it cannot take.
    arrivals = [
        Arrival(make_stored(f"{n}.wav"), CallFacts(external_call_id=f"c{n}"), "pbx", "plain") for n in range(150)
    ]
    odd = [
        arrivals[0]._replace(facts=CallFacts(external_call_id="c0", attributes={"a": 'quo"te \\ {brace}, NULL'})),
        Arrival(make_stored('quo"te \\ {brace}, NULL.wav'), CallFacts(external_call_id='x"\\,'), "pbx", "plain"),
        # The call is known, the key is not.
        Arrival(make_stored("120b.wav"), CallFacts(external_call_id="c120", started_at=NOW), "pbx", None),
    ]
    with any_database.write() as connection:
        assert all(received.is_new for received in insert_batch(connection, [odd[0], *arrivals[100:]], now=NOW))
        answers = insert_batch(connection, [*arrivals, *odd[1:]], now=LATER)
    assert [received.is_new for received in answers] == [False, *[True] * 99, *[False] * 50, True, True]
    keys = sorted(row.object_key for row in rows(any_database, recording))
    assert keys == sorted([f"{n}.wav" for n in range(150)] + ['quo"te \\ {brace}, NULL.wav', "120b.wav"])
    told = {row.external_call_id.partition("~")[0]: row.attributes for row in rows(any_database, call)}
    assert told["c0"] == {"a": 'quo"te \\ {brace}, NULL'}
    assert 'x"\\,' in told
    assert len(rows(any_database, job)) == 152
    ids = [row.id for row in sorted(rows(any_database, recording), key=lambda row: row.id)]
    assert {found.version for found in ids} == {7}


@pytest.mark.parametrize("column", ["stage", "skip_reason", "direction"])
def test_a_word_that_a_call_cannot_have_is_refused(any_database, column):
    receive(any_database, facts=CallFacts(direction=Direction.INBOUND))
    with pytest.raises(sa.exc.IntegrityError), any_database.write() as connection:
        connection.execute(sa.update(call).values({column: "sideways"}))


def test_other_content_under_a_known_key_starts_the_call_anew(any_database):
    first = receive(any_database)
    end_call(any_database, first)
    again = receive(any_database, make_stored(etag="e2"), now=LATER)
    assert again == Received(first.call_hex, is_new=True)
    [stored] = rows(any_database, call)
    assert (stored.stage, stored.skip_reason, stored.finished_at) == (Stage.RECEIVED, None, None)
    assert {(row.etag, row.is_current) for row in rows(any_database, recording)} == {("e1", False), ("e2", True)}
    assert rows(any_database, job)[0].step == "call.transcribe"
    assert {row.call_id for row in rows(any_database, touched_call)} == {first.call_id}


def test_old_content_that_is_back_becomes_current_again(any_database):
    first = receive(any_database)
    receive(any_database, make_stored(etag="e2"))
    assert receive(any_database).is_new
    assert {(row.etag, row.is_current) for row in rows(any_database, recording)} == {("e1", True), ("e2", False)}
    assert {row.call_id for row in rows(any_database, recording)} == {first.call_id}


def test_a_worker_that_hears_the_old_content_cannot_write_its_result(any_database):
    received = receive(any_database)
    with any_database.write() as connection:
        claim = jobs.claim(connection, received.call_id, step_named("call.transcribe"), now=NOW, lease_s=60)
    receive(any_database, make_stored(etag="e2"))
    with pytest.raises(jobs.ClaimLost), any_database.write() as connection:
        jobs.advance(connection, claim, now=NOW, lease_s=9, rung_at=None)


def test_a_new_version_with_the_same_content_is_not_worked_on_again(any_database):
    receive(any_database)
    stored = make_stored()
    assert not receive(any_database, stored._replace(ref=stored.ref._replace(version_id="v2"))).is_new


def test_two_keys_of_one_telephony_call_are_two_calls(any_database):
    facts = CallFacts(external_call_id="c-1")
    one = receive(any_database, make_stored("leg1.wav"), facts)
    two = receive(any_database, make_stored("leg2.wav"), facts)
    assert two.is_new
    assert one.call_id != two.call_id
    assert receive(any_database, make_stored("leg2.wav"), facts) == two._replace(is_new=False)
    externals = sorted(row.external_call_id for row in rows(any_database, call))
    assert externals[0] == "c-1"
    assert externals[1].startswith("c-1~")


def test_one_batch_may_name_a_recording_twice_and_a_call_twice(any_database):
    facts = CallFacts(external_call_id="c-1")
    arrivals = [
        Arrival(make_stored("leg1.wav"), facts, "pbx", None),
        Arrival(make_stored("leg2.wav"), facts, "pbx", None),
        Arrival(make_stored("leg1.wav"), facts, "pbx", None),
        Arrival(make_stored("leg1.wav", etag="e2"), facts, "pbx", None),
    ]
    with any_database.write() as connection:
        answers = insert_batch(connection, arrivals, now=NOW)
    assert [answer.is_new for answer in answers] == [True, True, False, True]
    assert answers[0].call_id == answers[2].call_id == answers[3].call_id != answers[1].call_id
    assert len(rows(any_database, job)) == 2


def test_two_telephony_systems_may_use_one_call_id(any_database):
    facts = CallFacts(external_call_id="1")
    with any_database.write() as connection:
        both = [
            insert_received(connection, make_stored(key), facts, source_system=system, profile=None, now=NOW)
            for system, key in (("pbx", "a.wav"), ("connect", "b.wav"))
        ]
    assert both[0].call_id != both[1].call_id
    assert {row.external_call_id for row in rows(any_database, call)} == {"1"}


def test_facts_that_come_late_are_added_and_mark_both_days(any_database):
    received = receive(any_database, facts=CallFacts(agent_name="Ana", attributes={"a": "1"}))
    end_call(any_database, received)
    late = CallFacts(
        external_call_id="c-9",
        agent_name="Ana",
        started_at=NOW - timedelta(days=2),
        queue_name="Billing",
        attributes={"a": "1", "b": "2"},
    )
    with any_database.write() as connection:
        assert set_facts(connection, received.call_id, late, now=LATER)
        assert not set_facts(connection, received.call_id, late, now=LATER)
    [stored] = rows(any_database, call)
    assert stored.happened_at == NOW - timedelta(days=2)
    assert stored.attributes == {"a": "1", "b": "2"}
    assert (stored.id, stored.external_call_id) == (received.call_id, "c-9")
    assert stored.agent_id is not None
    assert {row.call_id for row in rows(any_database, touched_call)} == {received.call_id}


def test_a_finished_call_whose_customer_is_told_late_is_filed_again(any_database):
    received = receive(any_database)
    with any_database.write() as connection:
        next_up: jobs.Claim | Step | None = step_named("call.transcribe")
        while next_up is not None:
            if isinstance(next_up, Step):
                next_up = jobs.claim(connection, received.call_id, next_up, now=NOW, lease_s=9)
                assert next_up is not None
            next_up = jobs.advance(connection, next_up, now=NOW, lease_s=9, rung_at=None)
        set_facts(connection, received.call_id, CallFacts(from_number_e164="+12065550118"), now=NOW)
    [stored] = rows(any_database, call)
    assert stored.stage == Stage.UNDERSTOOD
    assert rows(any_database, job)[0].step == "call.file"


def test_a_late_call_id_that_another_call_has_is_left_alone(any_database):
    receive(any_database, make_stored("a.wav"), CallFacts(external_call_id="c-1"))
    other = receive(any_database, make_stored("b.wav"), CallFacts(external_call_id="c-2"))
    with any_database.write() as connection:
        assert not set_facts(connection, other.call_id, CallFacts(external_call_id="c-1"), now=NOW)
    assert {row.external_call_id for row in rows(any_database, call)} == {"c-1", "c-2"}


def test_a_call_is_found_by_the_key_of_its_recording_by_its_id_and_by_its_conversation(any_database):
    facts = CallFacts(external_call_id="r-1", initial_call_id="c-1")
    received = receive(any_database, make_stored("dir/a.wav"), facts)
    with any_database.read() as connection:
        assert calls_of(connection, keys=[("recordings", "dir/a.mp3"), ("recordings", "dir/a.wav")]) == {
            received.call_id
        }
        assert calls_of(connection, keys=[("other", "dir/a.wav")], ids=[("other", "r-1")]) == set()
        assert calls_of(connection, ids=[("pbx", "r-1")]) == {received.call_id}
        assert calls_of(connection, conversations=[("pbx", "c-1")]) == {received.call_id}


def text(key: str = "a.vtt", *, call_id: str = "c-1") -> Arrival:
    return Arrival(make_stored(key, etag="t1"), CallFacts(external_call_id=call_id), "pbx", "webvtt", is_text=True)


def sound(key: str = "a.wav", *, call_id: str = "c-1") -> Arrival:
    return Arrival(make_stored(key), CallFacts(external_call_id=call_id), "pbx", "plain")


@pytest.mark.parametrize("order", [(text(), sound()), (sound(), text()), (text(), text(), sound(), text(), sound())])
def test_a_text_and_the_sound_of_one_call_are_one_call_and_the_sound_is_heard(any_database, order):
    for arrival in order:
        with any_database.write() as connection:
            insert_batch(connection, [arrival], now=NOW)
    assert len(rows(any_database, call)) == 1
    assert {(row.object_key, row.is_current) for row in rows(any_database, recording)} == {
        ("a.wav", True),
        ("a.vtt", False),
    }
    assert [work.step for work in rows(any_database, job)] == ["call.transcribe"]


def test_a_text_without_sound_is_read(any_database):
    with any_database.write() as connection:
        insert_batch(connection, [text()], now=NOW)
    assert [work.step for work in rows(any_database, job)] == ["call.read"]


def test_what_was_stored_long_ago_waits_behind_live_calls_and_is_not_rung_for(any_database):
    old = make_stored("old.wav")._replace(last_modified_at=NOW - timedelta(days=3))
    with any_database.write() as connection:
        both = [Arrival(stored, CallFacts(), "pbx", None) for stored in (old, make_stored("new.wav"))]
        answers = insert_batch(connection, both, now=NOW, rung_at=NOW)
    lanes = {row.call_id: (row.lane, row.rung_at) for row in rows(any_database, job)}
    assert [lanes[received.call_id] for received in answers] == [(1, None), (0, NOW)]


def test_an_unreadable_event_is_kept_with_its_body_cut(any_database):
    with any_database.write() as connection:
        note_unreadable(connection, source="amqp", code="not_json", body="x\0" * 9000, now=NOW)
    [kept] = rows(any_database, unreadable_event)
    assert (kept.code, len(kept.body)) == ("not_json", 4000)
