"""Laws of intake between a store and a database: what lies in the store counts, whatever is announced."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from calls.errors import ObjectGone, TransientError
from calls.pipeline import Step
from calls.recording import ObjectRef, StoredObject
from crm.awaited import awaited_count
from crm.database import Database
from crm.tables import awaited_object
from engines.objects_memory import MemoryStore
from ingest.awaiting import AwaitedListener
from ingest.events import Announced
from ingest.intake import Intake, take_messages, take_objects
from ingest.reconcile import reconcile
from tests.integration.listening import PROFILES, calls, keys, make_intake, s3_event, unreadable


def announce(*object_keys: str) -> list[Announced]:
    return [Announced((ObjectRef("recordings", key),)) for key in object_keys]


def test_what_the_store_holds_counts_and_not_what_the_event_says(any_database):
    store = MemoryStore()
    stored = store.put("a.wav", b"sound")
    intake = make_intake(any_database, store)
    for etag in ("older", "newer", ""):
        intake.take([Announced((ObjectRef("recordings", "a.wav", etag=etag, size_bytes=9),))])
    assert keys(any_database) == ["a.wav"]
    with any_database.read() as connection:
        assert connection.exec_driver_sql("SELECT etag FROM recording").scalar_one() == stored.ref.etag


@pytest.mark.parametrize("key", ["a b+c%.wav", "a+b.wav", "100%25.wav", "深夜.wav", "users:1:2-3_E.mp3", "../x.wav"])
def test_odd_names_arrive_whether_the_event_encodes_them_or_not(database, key):
    store = MemoryStore()
    store.put(key, b"sound")
    intake = make_intake(database, store)
    raw = s3_event("x").replace('"x"', f'"{key}"').replace("aws:s3", "ceph:s3")
    assert take_messages(intake, "test", [s3_event(key)]) == 1
    assert take_messages(intake, "test", [raw]) == 0
    assert keys(database) == [key]


def test_what_is_no_recording_becomes_no_call(database):
    store = MemoryStore()
    names = ["a.json", "a.csv", "folder_$folder$", ".callwise/playback/1.mp3", "notes.txt"]
    for name in [*names, "folder/"]:
        store.put(name, b"" if "folder" in name else b"x")
    taken = make_intake(database, store).take(announce(*names, "folder/", "gone.wav", "n" * 1100))
    assert (taken.new, keys(database)) == ([], [])
    assert taken.ignored == {
        "sidecar": 2,
        "not_audio": 1,
        "folder_marker": 2,
        "own": 1,
        "object_gone": 1,
        "bad_key": 1,
    }


def test_an_empty_recording_is_a_call_that_will_be_seen_to_fail(database):
    store = MemoryStore()
    store.put("empty.wav", b"")
    assert len(make_intake(database, store).take(announce("empty.wav")).new) == 1


def test_another_bucket_is_not_ours(database):
    store = MemoryStore()
    store.put("a.wav", b"sound")
    taken = make_intake(database, store).take([Announced((ObjectRef("other", "a.wav"),))])
    assert taken.ignored == {"other_bucket": 1}
    assert keys(database) == []


def test_a_name_that_nobody_reads_is_a_call_without_a_profile(database):
    store = MemoryStore()
    store.put("New folder/Audio (2).mp3", b"sound")
    make_intake(database, store).take(announce("New folder/Audio (2).mp3"))
    [call] = calls(database)
    assert (call.profile, call.started_at, call.external_call_id) == (
        None,
        None,
        "recordings/New folder/Audio (2).mp3",
    )


def later(database: Database, seconds: float) -> None:
    """Let that much time pass for everything that is awaited."""
    past = timedelta(seconds=seconds)
    with database.write() as connection:
        for row in connection.execute(sa.select(awaited_object)).all():
            moved = {"look_at": row.look_at - past, "announced_at": row.announced_at - past}
            is_this = awaited_object.c.object_key == row.object_key
            connection.execute(sa.update(awaited_object).where(is_this).values(**moved))


def test_an_object_that_is_announced_before_it_shows_is_looked_for_again(any_database):
    store = MemoryStore()
    intake = make_intake(any_database, store)
    awaiting = AwaitedListener(intake)
    assert take_messages(intake, "test", [s3_event("late+one.wav", "late.json")]) == 0
    assert awaiting.drain() == 0
    store.put("late+one.wav", b"sound")
    later(any_database, 2)
    assert awaiting.drain() == 1
    assert keys(any_database) == ["late+one.wav"]
    later(any_database, 3601)
    awaiting.drain()
    with any_database.read() as connection:
        assert awaited_count(connection) == 0


@pytest.mark.parametrize("key", ["a.wav", "a.vtt", "a.srt", "a.vcon", "a.vcon.json"])
def test_an_object_without_a_byte_is_a_call_that_people_see_fail(database, key):
    store = MemoryStore()
    store.put(key, b"")
    assert len(make_intake(database, store).take(announce(key)).new) == 1


def test_an_object_that_was_a_call_and_is_deleted_is_not_awaited(database):
    store = MemoryStore()
    store.put("a.wav", b"sound")
    intake = make_intake(database, store)
    intake.take(announce("a.wav"))
    store.delete("a.wav")
    assert intake.take(announce("a.wav", "b.txt", "b/")).ignored == {
        "object_gone": 2,
        "folder_marker": 1,
    }
    with database.read() as connection:
        assert awaited_count(connection) == 0


SIDECAR = (
    b'{"id": "s-1", "agent": "Ana", "queue": "Service", "started_at": "2026-03-14T09:26:53Z", "from": "+12065550118"}'
)


@pytest.mark.parametrize("name", ["x.wav", "x_GUID_7_AGENT_Ben_DT_2026-03-13T09-26-53.wav"])
@pytest.mark.parametrize("order", ["sidecar first", "recording first", "sidecar announced early"])
def test_a_sidecar_gives_the_same_call_whenever_it_comes(database, order, name):
    store = MemoryStore()
    intake = make_intake(database, store)
    beside = name.removesuffix(".wav") + ".json"
    if order == "sidecar first":
        store.put(beside, SIDECAR)
        take_messages(intake, "test", [s3_event(beside)])
    store.put(name, b"sound")
    take_messages(intake, "test", [s3_event(name)])
    if order == "recording first":
        store.put(beside, SIDECAR)
        take_messages(intake, "test", [s3_event(beside)])
        take_messages(intake, "test", [s3_event(beside)])
    if order == "sidecar announced early":
        store.put(beside, SIDECAR)
        take_messages(intake, "test", [s3_event(beside, name)])
    [call] = calls(database)
    assert call.external_call_id == ("s-1" if name == "x.wav" else "7")
    assert call.happened_at.isoformat() == "2026-03-14T09:26:53+00:00"
    assert call.from_number_e164 == "+12065550118"
    assert call.profile == ("plain" if name == "x.wav" else "pca")


class LateSidecarStore(MemoryStore):
    """A store whose sidecar is uploaded and announced just after somebody has looked for it in vain."""

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    def head(self, key: str, version_id: str = "") -> StoredObject:
        try:
            return super().head(key, version_id)
        except ObjectGone:
            if key == "x.json":
                self.put(key, SIDECAR)
                make_intake(self._database, self).take(announce("x.json"))
            raise


def test_a_sidecar_that_comes_while_its_recording_is_looked_at_is_not_lost(any_database):
    store = LateSidecarStore(any_database)
    store.put("x.wav", b"sound")
    make_intake(any_database, store).take(announce("x.wav"))
    assert calls(any_database)[0].from_number_e164 == "+12065550118"


class HalfSidecarStore(MemoryStore):
    """A store in which each of two listeners finds only what was announced to it: the other came a moment later."""

    def __init__(self, shown: str) -> None:
        super().__init__()
        self._shown = shown

    def head(self, key: str, version_id: str = "") -> StoredObject:
        if key != self._shown:
            raise ObjectGone
        return super().head(key, version_id)


@pytest.mark.parametrize("order", [("x.wav", "x.json"), ("x.json", "x.wav")])
def test_two_listeners_that_take_a_recording_and_its_sidecar_side_by_side_lose_neither(postgres_database, order):
    stores = {shown: HalfSidecarStore(shown) for shown in order}
    stores["x.wav"].put("x.wav", b"sound")
    stores["x.json"].put("x.json", SIDECAR)
    first, second = order

    def meanwhile(moment: str) -> None:
        if moment == "writing":
            make_intake(postgres_database, stores[second]).take(announce(second))

    replace(make_intake(postgres_database, stores[first]), observe=meanwhile).take(announce(first))
    assert [call.from_number_e164 for call in calls(postgres_database)] == ["+12065550118"]


def test_who_dies_before_the_second_look_leaves_it_to_who_is_told_again(postgres_database):
    stores = {shown: HalfSidecarStore(shown) for shown in ("x.wav", "x.json")}
    stores["x.wav"].put("x.wav", b"sound")
    stores["x.json"].put("x.json", SIDECAR)

    def die_after_the_commit(moment: str) -> None:
        if moment == "writing":
            make_intake(postgres_database, stores["x.json"]).take(announce("x.json"))
        if moment == "committed":
            raise KeyboardInterrupt

    intake = make_intake(postgres_database, stores["x.wav"])
    with pytest.raises(KeyboardInterrupt):
        replace(intake, observe=die_after_the_commit).take(announce("x.wav"))
    assert [call.from_number_e164 for call in calls(postgres_database)] == [None]
    assert intake.take(announce("x.wav")).known_count == 1
    assert [call.from_number_e164 for call in calls(postgres_database)] == ["+12065550118"]


def test_the_bell_is_rung_after_the_commit_and_only_for_new_calls(database):
    store = MemoryStore()
    store.put("a.wav", b"sound")
    rung: list[tuple[str, int]] = []

    def ring(step: Step, call_id: UUID) -> None:
        rung.append((step.name, len([call for call in calls(database) if call.id == call_id])))

    intake = Intake(database, store, PROFILES, ring)
    intake.take(announce("a.wav"))
    intake.take(announce("a.wav"))
    assert rung == [("call.transcribe", 1)]


class BreakingStore(MemoryStore):
    """A store that breaks us over one object, in a way that nobody foresaw."""

    def head(self, key: str, version_id: str = "") -> StoredObject:
        if key == "poison.wav":
            raise ZeroDivisionError
        return super().head(key, version_id)


def test_one_object_that_breaks_us_does_not_keep_the_others_out(database):
    store = BreakingStore()
    for name in ("a.wav", "b.wav", "c.wav"):
        store.put(name, b"sound")
    intake = make_intake(database, store)
    bodies = [s3_event("a.wav"), s3_event("b.wav", "poison.wav"), s3_event("c.wav")]
    assert take_messages(intake, "test", bodies) == 3
    assert keys(database) == ["a.wav", "b.wav", "c.wav"]
    assert unreadable(database) == ["unexpected_error"]


def test_one_message_that_breaks_us_does_not_keep_the_others_out(database):
    class Breaking(dict):
        def get(self, name, default=None):
            raise RuntimeError(f"{name} broke us")

    store = MemoryStore()
    store.put("a.wav", b"sound")
    assert take_messages(make_intake(database, store), "test", [Breaking(), s3_event("a.wav")]) == 1
    assert unreadable(database) == ["unexpected_error"]


def test_garbage_between_good_messages_goes_to_the_table(any_database):
    store = MemoryStore()
    store.put("a.wav", b"sound")
    intake = make_intake(any_database, store)
    half_a_pair = r'{"Type": "Notification", "Message": "{\"a\": \ud800}"}'
    bodies = [b"\xff", half_a_pair, '{"a": 1}', s3_event("a.wav"), '{"Records": [{"eventName": "ObjectCreated:Put"}]}']
    assert take_messages(intake, "test", bodies) == 1
    assert unreadable(any_database) == ["bad_record", "not_json", "not_utf8", "unknown_shape"]


def test_a_database_that_is_away_loses_nothing(tmp_path):
    store = MemoryStore()
    store.put("a.wav", b"sound")
    away = Database("postgresql+psycopg://nobody@127.0.0.1:9/none")
    with pytest.raises(TransientError):
        take_messages(make_intake(away, store), "test", [s3_event("a.wav")])


@pytest.mark.parametrize("value", [r"\u0000", r"half \ud800", "é" * 5000])
def test_a_sidecar_with_text_that_no_database_takes_still_tells_the_rest(any_database, value):
    store = MemoryStore()
    store.put("x.wav", b"sound")
    store.put("x.json", f'{{"agent": "{value}", "{value}": "{value}", "queue": "Q"}}'.encode())
    assert len(make_intake(any_database, store).take(announce("x.wav")).new) == 1
    assert calls(any_database)[0].queue_id is not None


def test_reconcile_names_what_is_missing_and_fix_takes_it_in(any_database):
    store = MemoryStore()
    names = [f"{number:04d}.wav" for number in range(1234)]
    for name in names:
        store.put(name, name.encode())
    store.put("a.json", b"{}")
    store.put(".callwise/playback/1.mp3", b"x")
    intake = make_intake(any_database, store)
    assert take_objects(intake, "test", announce(*names[::2])) == 617
    report = reconcile(intake, fix=False)
    assert (report.object_count, report.known_count, report.missing_count) == (1234, 617, 617)
    assert report.missing == names[1::2]
    assert reconcile(intake, fix=True).queued_count == 617
    store.put(names[0], b"other content")
    assert reconcile(intake, fix=True).missing == [names[0]]
    assert reconcile(intake, fix=False).missing == []
    assert keys(any_database) == names
