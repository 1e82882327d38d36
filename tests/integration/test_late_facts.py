"""What telephony tells before, with or after a recording: the same call in every order, seen by every figure."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
import sqlalchemy as sa

from analytics.rollup import recompute_all, refresh
from analytics.star import AGGREGATES, dim_agent, dim_queue, fact_call
from analytics.sums import Over
from analytics.trends import By, trend
from calls.pipeline import QUEUES
from crm import jobs, waiting
from crm.database import Database
from crm.tables import agent, call, job, queue, telling
from engines.objects_memory import MemoryStore
from ingest.intake import Intake, take_messages
from ingest.profiles import BUILT_IN, Profiles
from tests.integration.listening import PROFILES, calls, make_intake, s3_event

CONTACT = "0a1b2c3d-0000-4000-8000-00000000cafe"
KEY = f"connect/centre/CallRecordings/2026/03/14/{CONTACT}_20260314T09:26_UTC.wav"
SIDECAR = KEY.removesuffix(".wav") + ".json"
FIRST = datetime(2026, 3, 14, 9, 20, tzinfo=UTC)


def record(updated: str, *, queue_name: str, agent_name: str, started_at: datetime, **more: object) -> str:
    """A contact record of the call, as telephony wrote it then."""
    return json.dumps(
        {
            "ContactId": CONTACT,
            "InitiationMethod": "INBOUND",
            "InitiationTimestamp": started_at.isoformat(),
            "LastUpdateTimestamp": updated,
            "CustomerEndpoint": {"Address": "+12065550118", "Type": "TELEPHONE_NUMBER"},
            "Queue": {"Name": queue_name},
            "Agent": {"Username": agent_name},
            **more,
        }
    )


OLD = record("2026-03-14T09:30:00Z", queue_name="Sales", agent_name="Ben", started_at=FIRST)
NEW = record("2026-03-14T11:00:00Z", queue_name="Billing", agent_name="Ana", started_at=FIRST - timedelta(days=2))


def told(intake: Intake, what: str) -> None:
    if what == "recording":
        intake.objects.put(KEY, b"sound")
        take_messages(intake, "test", [s3_event(KEY)])
    elif what == "sidecar":
        intake.objects.put(SIDECAR, b'{"queue": "Lobby", "customer": "Rosa Diaz", "hold_s": 12}')
        take_messages(intake, "test", [s3_event(SIDECAR)])
    else:
        take_messages(intake, "test", [OLD if what == "old record" else NEW])


def described(database: Database) -> list[tuple[object, ...]]:
    """Each call, as its facts say it is."""
    with database.read() as connection:
        rows = connection.execute(
            sa.select(call, agent.c.display_name, queue.c.name)
            .outerjoin_from(call, agent, agent.c.id == call.c.agent_id)
            .outerjoin(queue, queue.c.id == call.c.queue_id)
        )
        return [
            (row.external_call_id, row.display_name, row.name, row.happened_at, row.customer_name, row.hold_time_s)
            for row in rows
        ]


def test_the_order_in_which_a_call_is_told_of_never_matters(migrated_sqlite_file, tmp_path):
    for order in permutations(("recording", "sidecar", "old record", "new record")):
        path = shutil.copy(migrated_sqlite_file, tmp_path / "one.db")
        database = Database(f"sqlite:///{path}")
        intake = make_intake(database, MemoryStore())
        for what in (*order, *order[::-1]):
            told(intake, what)
        expected = (CONTACT, "Ana", "Billing", FIRST - timedelta(days=2), "Rosa Diaz", 12.0)
        assert described(database) == [expected], order
        database.dispose()


def test_a_name_of_the_owners_hears_the_contact_record_that_came_before_its_id(database):
    store = MemoryStore()
    intake = make_intake(database, store)
    for key, raw in ((None, NEW), ("odd.wav", b"sound"), ("odd.json", OLD.encode())):
        if key:
            store.put(key, raw)
        take_messages(intake, "test", [s3_event(key) if key else raw])
    assert [row[:3] for row in described(database)] == [(CONTACT, "Ana", "Billing")]


def finish(database: Database) -> None:
    """Do the work of every call that is there, as workers whose engines say nothing would."""
    with database.write() as connection:
        for call_id, step in waiting.due(connection, now=datetime.now(UTC), limit=10, queues=QUEUES):
            held = jobs.claim(connection, call_id, step, now=datetime.now(UTC), lease_s=9)
            while held is not None:
                held = jobs.advance(connection, held, now=datetime.now(UTC), lease_s=9, rung_at=None, does=QUEUES)


def sums(database: Database) -> list[object]:
    """Every roll-up, but for when it was written."""
    with database.read() as connection:
        return [
            sorted(connection.execute(sa.select(*[one for one in table.c if one.name != "modified_at_utc"])).all())
            for table in AGGREGATES
        ]


@pytest.mark.parametrize("seen_before", [True, False])
def test_a_late_change_of_time_queue_and_agent_is_seen_by_every_figure(any_database, seen_before):
    intake = make_intake(any_database, MemoryStore())
    told(intake, "old record")
    told(intake, "recording")
    finish(any_database)
    if seen_before:
        refresh(any_database, "UTC")
    told(intake, "new record")
    finish(any_database)
    refresh(any_database, "UTC")
    [row] = calls(any_database)
    assert row.stage == "done"
    with any_database.read() as connection:
        [fact] = connection.execute(
            sa.select(fact_call.c.date_key, dim_queue.c.name, dim_agent.c.name)
            .join_from(fact_call, dim_queue, dim_queue.c.queue_key == fact_call.c.queue_key)
            .join(dim_agent, dim_agent.c.agent_key == fact_call.c.agent_key)
        )
        assert tuple(fact) == (20260312, "Billing", "Ana")
        by_queue = trend(connection, by=By.DAY, over=Over.QUEUE, today=datetime(2026, 3, 20, tzinfo=UTC).date()).rows
    before = sums(any_database)
    assert [(line.period, line.label) for line in by_queue if line.parts["call_count"]] == [("2026-03-12", "Billing")]
    recompute_all(any_database, "UTC")
    assert sums(any_database) == before


def test_a_finished_call_whose_customer_is_told_late_gets_that_customer(any_database):
    intake = make_intake(any_database, MemoryStore())
    told(intake, "recording")
    finish(any_database)
    assert calls(any_database)[0].stage == "done"
    told(intake, "new record")
    assert calls(any_database)[0].stage == "understood"
    with any_database.read() as connection:
        assert connection.execute(sa.select(job.c.step)).scalars().all() == ["call.file"]


def test_an_old_record_that_is_sent_again_changes_nothing(any_database):
    intake = make_intake(any_database, MemoryStore())
    for what in ("recording", "new record", "old record", "new record", "old record"):
        told(intake, what)
    assert described(any_database)[0][1:3] == ("Ana", "Billing")
    with any_database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(telling)).scalar_one() == 1


def test_two_telephony_systems_that_use_one_call_id_have_two_calls_and_each_hears_its_own(any_database):
    store = MemoryStore()
    intake = make_intake(any_database, store)
    for key, system, who in (("a.wav", "avaya", "Ana"), ("b.wav", "mitel", "Ben")):
        beside = {"source_system": system, "call_id": "17", "agent": who}
        store.put(key.removesuffix(".wav") + ".json", json.dumps(beside).encode())
        store.put(key, key.encode())
        take_messages(intake, "test", [s3_event(key)])
    assert {(row.source_system, row.external_call_id) for row in calls(any_database)} == {
        ("avaya", "17"),
        ("mitel", "17"),
    }
    assert {row[1] for row in described(any_database)} == {"Ana", "Ben"}


@pytest.mark.parametrize("is_late", [True, False])
def test_whose_the_ids_are_and_who_read_them_is_heard_early_and_late(any_database, is_late):
    store = MemoryStore()
    intake = Intake(any_database, store, Profiles.of(BUILT_IN, region="US", time_zone="UTC"))
    told_of = {
        "a": {"source_system": "avaya", "call_id": "17"},
        "b": {"source_system": "mitel", "call_id": "17"},
        "c": {"source_system": "mitel", "call_id": "17"},
        "g": {"name": "projects/p/locations/l/conversations/17", "startTime": "2026-05-01T10:00:00Z"},
        "v": {"vcon": "0.0.2", "uuid": "17", "parties": [], "dialog": []},
        "r": {"ContactId": "17", "Channel": "VOICE"},
    }
    for name, document in told_of.items():
        keys = (f"{name}.wav", f"{name}.json")
        for key in keys if is_late else keys[::-1]:
            store.put(key, json.dumps(document).encode() if key.endswith(".json") else key.encode())
            take_messages(intake, "test", [s3_event(key)])
    found = {(row.source_system, row.external_call_id.partition("~")[0], row.profile) for row in calls(any_database)}
    plain = {("avaya", "17", "plain"), ("mitel", "17", "plain")}
    assert found == plain | {("google", "17", "google"), ("vcon", "17", "vcon"), ("connect", "17", "connect")}
    # The second recording of mitel's call has a name of its own, and is found with the first.
    [second] = [row for row in calls(any_database) if "~" in row.external_call_id]
    assert (second.source_system, second.initial_call_id) == ("mitel", "17")


def test_a_clock_that_is_ahead_tells_nobody_when_a_call_was(any_database):
    store = MemoryStore()
    store.put("x.wav", b"sound")
    store.put("x.json", b'{"call_id": "9", "started_at": "2093-01-01T00:00:00Z", "queue": "Q"}')
    take_messages(make_intake(any_database, store), "test", [s3_event("x.wav")])
    [row] = calls(any_database)
    assert (row.started_at, row.happened_at) == (None, row.received_at)
    assert row.attributes["not_believed"] == "started_at 2093-01-01T00:00:00+00:00"
    assert row.queue_id is not None


def test_what_the_conversation_tells_reaches_each_of_its_recordings(any_database):
    store = MemoryStore()
    intake = Intake(any_database, store, PROFILES)
    conversation, *named = (f"0a1b2c3d-0000-4000-8000-00000000000{n}" for n in range(3))
    folder = f"org-1/year=2026/month=03/day=14/hour=09/conversation_id={conversation}"
    recordings = [f"{folder}/{name}.ogg" for name in named]
    store.put(recordings[0], b"one")
    take_messages(intake, "test", [s3_event(recordings[0])])
    about = {
        "conversationId": conversation,
        "conversationStart": "2026-03-14T09:26:53Z",
        "originatingDirection": "inbound",
        "participants": [{"purpose": "agent", "name": "Ana", "participantId": "p1", "sessions": []}],
    }
    document = f"{folder}/{conversation}.ogg_call_metadata.json"
    store.put(document, json.dumps(about).encode())
    take_messages(intake, "test", [s3_event(document)])
    store.put(recordings[1], b"two")
    take_messages(intake, "test", [s3_event(recordings[1])])
    assert [row[1:4:2] for row in described(any_database)] == [
        ("Ana", datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC))
    ] * 2


CAPTIONS = b"WEBVTT\n\n00:00:01.000 --> 00:00:04.000\n<v Agent>How can I help you?\n"


@pytest.mark.parametrize("order", [("x.vtt", "x.json"), ("x.json", "x.vtt")])
def test_a_conversation_as_text_hears_the_document_and_the_metadata_beside_it(any_database, order):
    store = MemoryStore()
    intake = make_intake(any_database, store)
    for key in order:
        store.put(
            key,
            CAPTIONS if key == "x.vtt" else b'{"agent": "Ana", "hold_s": 7}',
            metadata={"queue": "Chat"} if key == "x.vtt" else {},
        )
        take_messages(intake, "test", [s3_event(key)])
    [one] = described(any_database)
    assert (one[1], one[2], one[5]) == ("Ana", "Chat", 7.0)
    with any_database.read() as connection:
        assert connection.execute(sa.select(job.c.step)).scalars().all() == ["call.read"]
