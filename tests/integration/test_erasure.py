"""Nothing of somebody who asked for it is left anywhere, byte by byte; what counts is; and it does not come again."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

import crm.schema
from analytics.exports import export
from analytics.rollup import recompute_all, refresh
from analytics.star import AGGREGATES, fact_call
from calls.corrections import Changes
from calls.errors import TransientError
from calls.handover import Rules
from calls.recording import own_key
from crm import erasing_rules
from crm.access import OPERATOR
from crm.announced import is_known
from crm.batch_tables import batch_question
from crm.batches import book
from crm.calls import NoSuchCall
from crm.corrections import confirm, correct, revision_of
from crm.database import Database
from crm.erasing import erase_calls
from crm.handover_queue import know_destinations, look
from crm.handover_status import ask_for
from crm.privacy_tables import doomed_object, erased_call, taught_call
from crm.reason_tables import review
from crm.review_queue import review_page
from crm.tables import (
    call,
    call_analysis,
    contact,
    metadata,
    recording,
    telling,
)
from engines.objects import ObjectStore
from engines.objects_folder import FolderStore
from ingest.intake import take_messages
from ingest.reconcile import reconcile
from runtime.erasing import Eraser, StoreSurroundings
from runtime.wiring import Wiring
from tests.integration.listening import s3_event
from tests.planted_call import LATER, MUCH_LATER, NUMBER, OTHER_NUMBER, Home
from tests.seeds import NOW
from tests.servers.postgres import PostgresServer


@pytest.fixture
def home(any_database: Database, tmp_path: Path) -> Iterator[Home]:
    """An empty site on each kind of database. SQLite's file lies in the home."""
    folder = tmp_path / "home"
    folder.mkdir()
    url = any_database.url.render_as_string(hide_password=False)
    if any_database.is_sqlite:
        any_database.dispose()
        Path(str(any_database.url.database)).rename(folder / "callwise.db")
        url = f"sqlite:///{folder}/callwise.db"
    made = Home(folder, url)
    yield made
    made.database.dispose()


@pytest.fixture
def dumped(home: Home, request: pytest.FixtureRequest) -> Any:
    """Everything that is stored anywhere, as (place, bytes)."""

    def everything() -> list[tuple[str, bytes]]:
        found = list(home.bytes())
        if not home.database.is_sqlite:
            server: PostgresServer = request.getfixturevalue("postgres_server")
            found.append(("pg_dump", server.dump(str(home.database.url.database))))
        return found

    return everything


def _hits(found: list[tuple[str, bytes]], *words: str) -> list[tuple[str, str]]:
    """Where any of these words lies, with what stands around it."""
    hits = []
    for place, content in found:
        low = content.lower()
        for word in words:
            at = low.find(word.lower().encode())
            if at >= 0:
                hits.append((place, repr(content[max(0, at - 20) : at + 30])))
    return hits


def _export(home: Home) -> None:
    export(home.database, ("csv", "parquet", "xlsx", "vcon", "pca"), home.folder / "exports", zone="UTC", now=LATER)


def test_of_an_erased_person_no_byte_is_left_anywhere_and_others_are_untouched(home: Home, dumped: Any) -> None:
    """Rows, search, log, audio, copies, notes of the store, the classifier, the exports' next edition."""
    theirs, others = home.plant(NUMBER, "zqxvqj"), home.plant(OTHER_NUMBER, "wvkqxz")
    refresh(home.database, "UTC", NOW)
    _export(home)
    before = dumped()
    # The scan finds what is there, or it would prove nothing.
    assert len(_hits(before, "zqxvqj")) >= 8
    assert _hits(before, NUMBER[1:])
    eraser = Eraser(home.wired)
    erased = eraser.erase_person(eraser.person_of_number("0049 151 99887766"), now=LATER)
    assert (erased.call_count, erased.contact_count, erased.classifier_count) == (1, 1, 1)
    assert erased.crm_objects == [("salesforce", "zqxvqjtask")]
    refresh(home.database, "UTC", LATER)
    _export(home)
    eraser.tend(now=LATER)
    assert _hits(dumped(), "zqxvqj", NUMBER[1:], NUMBER[-9:]) == []
    # What was in SQLite's log is in its file now.
    places = [{place.removesuffix("-wal") for place, _ in _hits(found, "wvkqxz")} for found in (before, dumped())]
    assert places[0] == places[1]
    with home.database.read() as connection:
        left = connection.execute(sa.select(erased_call.c.call_id)).scalars().all()
    assert (left, others not in left) == ([theirs], True)
    assert eraser.erase_person(eraser.person_of_number(NUMBER), now=LATER).call_count == 0


def test_the_figures_of_an_erased_call_stay(home: Home) -> None:
    """Before and after, and by a full recompute; what it cost stays paid."""
    for number, mark in ((NUMBER, "zqxvqj"), (OTHER_NUMBER, "wvkqxz")):
        home.plant(number, mark)
    refresh(home.database, "UTC", NOW)
    before = _figures(home.database)
    eraser = Eraser(home.wired)
    eraser.erase_person(eraser.person_of_number(NUMBER), now=LATER)
    refresh(home.database, "UTC", NOW)
    assert _figures(home.database) == before
    recompute_all(home.database, "UTC", NOW)
    assert _figures(home.database) == before


def _figures(database: Database) -> list[Any]:
    with database.read() as connection:
        stamped = {"modified_at_utc", "refreshed_at_utc"}
        return [
            sorted(
                tuple(str(value) for name, value in row._mapping.items() if name not in stamped)
                for row in connection.execute(sa.select(table))
            )
            for table in (fact_call, *AGGREGATES)
        ]


def test_an_erased_call_does_not_come_in_again(home: Home) -> None:
    """By its event, its sidecar, telephony's own record, or by comparing the bucket with the database."""
    theirs = home.plant(NUMBER, "zqxvqj")
    digits = NUMBER[1:]
    key, sidecar = f"in/{digits}-zqxvqjkey.wav", f"in/{digits}-zqxvqjkey.json"
    same, told = home.objects.read_range(key, 0, 999), home.objects.read_range(sidecar, 0, 9999)
    eraser = Eraser(home.wired)
    eraser.erase_call(theirs, now=LATER)
    take_messages(home.intake, "test", [s3_event(key), s3_event(sidecar)])
    assert _state(home.database) == {"calls": 1, "recordings": 0, "tellings": 0, "awaited": 0}
    home.objects.put(key, same)
    home.objects.put(sidecar, told)
    for body in ([s3_event(key)], [s3_event(sidecar)], [s3_event(key), s3_event(sidecar)]):
        take_messages(home.intake, "test", body)
    report = reconcile(home.intake, fix=True)
    assert (report.erased_count, report.queued_count) == (2, 0)
    assert report.is_well
    assert _state(home.database) == {"calls": 1, "recordings": 0, "tellings": 0, "awaited": 0}
    # What came back as it was is deleted again; other content under the same name is left for a person.
    eraser.delete_doomed(now=MUCH_LATER)
    assert list(home.objects.list()) == []
    home.objects.put(key, b"other content")
    take_messages(home.intake, "test", [s3_event(key)])
    eraser.delete_doomed(now=MUCH_LATER)
    assert key in [ref.key for ref in home.objects.list()]
    assert _state(home.database)["recordings"] == 0


def test_what_comes_back_while_nobody_listens_is_deleted_when_the_bucket_is_compared(home: Home) -> None:
    theirs = home.plant(NUMBER, "zqxvqj")
    kept = {ref.key: home.objects.read_range(ref.key, 0, 9999) for ref in home.objects.list("in/")}
    eraser = Eraser(home.wired)
    eraser.erase_call(theirs, now=LATER)
    for key, content in kept.items():
        home.objects.put(key, content)
    for fix, left in ((False, len(kept)), (True, 0)):
        assert reconcile(home.intake, fix=fix).erased_count == len(kept) > 0
        eraser.delete_doomed(now=MUCH_LATER)
        assert len(list(home.objects.list())) == left


def _state(database: Database) -> Mapping[str, int]:
    tables = {"calls": "call", "recordings": "recording", "tellings": "telling", "awaited": "awaited_object"}
    with database.read() as connection:
        return {
            name: connection.execute(sa.select(sa.func.count()).select_from(metadata.tables[table])).scalar_one()
            for name, table in tables.items()
        }


def test_a_person_keeps_repeated_calls_repeated_and_a_call_that_leaves_its_customer_leaves_the_others(
    home: Home,
) -> None:
    """By person the calls stay one unknown person's; by call the customer keeps the rest."""
    first = home.plant(NUMBER, "zqxvqj")
    with home.database.write() as connection:
        contact_id = connection.execute(sa.select(call.c.contact_id).where(call.c.id == first)).scalar_one()
    eraser = Eraser(home.wired)
    erased = eraser.erase_call(first, now=LATER)
    # It was the only one: nobody needs the name.
    assert erased.contact_count == 1
    with home.database.read() as connection:
        row = connection.execute(sa.select(contact).where(contact.c.id == contact_id)).one()
        assert (row.first_name, row.phone_e164, row.anonymized_at is not None) == (None, None, True)
        assert connection.execute(sa.select(call.c.contact_id).where(call.c.id == first)).scalar_one() is None
    second = home.plant(OTHER_NUMBER, "wvkqxz")
    eraser.erase_person(eraser.person_of_number(OTHER_NUMBER), now=LATER)
    with home.database.read() as connection:
        assert connection.execute(sa.select(call.c.contact_id).where(call.c.id == second)).scalar_one() is not None


class Unreachable(FolderStore):
    """A store that goes away after two deletions."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, bucket="recordings")
        self.left = 2

    def erase(self, key: str) -> None:
        if self.left == 0:
            raise TransientError("gone", code="store_unreachable")
        self.left -= 1
        super().erase(key)


class FlakyWiring(Wiring):
    """The same site with such a store."""

    @cached_property
    def objects(self) -> ObjectStore:
        return Unreachable(self.settings.objects_folder)


def test_what_the_store_could_not_delete_is_deleted_later(home: Home) -> None:
    """The rows are gone at once; what is left to delete is known, and a worker goes on with it."""
    theirs = home.plant(NUMBER, "zqxvqj")
    flaky = FlakyWiring(home.wired.settings)
    eraser = Eraser(flaky)
    eraser.erase_call(theirs, now=LATER)
    left = eraser.doomed_count(now=LATER)
    assert left > 0
    Eraser(home.wired).tend(now=LATER)
    assert eraser.doomed_count(now=LATER) == 0
    assert list(home.objects.list()) == []
    flaky.database.dispose()


def test_what_a_worker_was_writing_is_deleted_once_more(home: Home) -> None:
    """Its result is refused by the database; the copies that it put into the store go by themselves."""
    key = "in/late.wav"
    home.objects.put(key, b"RIFF")
    take_messages(home.intake, "test", [s3_event(key)])
    with home.database.write() as connection:
        held = connection.execute(sa.select(recording)).one()
        connection.execute(sa.update(metadata.tables["job"]).values(attempt_count=1))
    eraser = Eraser(home.wired)
    eraser.erase_call(held.call_id, now=LATER)
    home.objects.put(own_key("playback", held.id), b"late copy")
    eraser.tend(now=LATER + timedelta(minutes=1))
    assert list(home.objects.list())
    eraser.tend(now=LATER + timedelta(hours=3))
    assert list(home.objects.list()) == []
    with home.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(doomed_object)).scalar_one() == 0
        assert connection.execute(sa.select(call.c.stage)).scalar_one() == "skipped"


def test_a_silenced_copy_that_a_page_was_making_is_deleted_once_more(home: Home) -> None:
    """No job tells of it; a classifier that others taught meanwhile stays."""
    theirs = home.plant(NUMBER, "zqxvqj")
    with home.database.read() as connection:
        recording_id = connection.execute(sa.select(recording.c.id).where(recording.c.call_id == theirs)).scalar_one()
        version = connection.execute(sa.select(taught_call.c.taxonomy_version).distinct()).scalar_one()
    eraser = Eraser(home.wired)
    eraser.erase_call(theirs, now=LATER)
    taught = StoreSurroundings("recordings").classifier_key(version)
    for key in (own_key("silenced", recording_id), taught):
        home.objects.put(key, b"late")
    eraser.tend(now=LATER + timedelta(hours=3))
    assert [ref.key for ref in home.objects.list()] == [taught]


def test_nobody_corrects_or_hands_over_an_erased_call(home: Home) -> None:
    theirs = home.plant(NUMBER, "zqxvqj")
    Eraser(home.wired).erase_call(theirs, now=LATER)
    with home.database.write() as connection:
        know_destinations(connection, [("hook", "webhook")], now=NOW)
        revision = revision_of(connection, theirs)
        with pytest.raises(NoSuchCall):
            correct(connection, OPERATOR, theirs, revision, Changes(summary="They moved."), now=LATER)
        with pytest.raises(NoSuchCall):
            confirm(connection, OPERATOR, theirs, revision, now=LATER)
        with pytest.raises(NoSuchCall):
            ask_for(connection, OPERATOR, theirs, "hook", Rules(), now=LATER)


def test_an_answer_that_comes_late_for_an_erased_call_is_paid_and_not_kept(home: Home) -> None:
    """The batch was on its way: its price counts, its words do not stay."""
    theirs = home.plant(NUMBER, "zqxvqj")
    batch_id = uuid4()
    with home.database.write() as connection:
        batch = {"id": batch_id, "deployment": "d", "state": "open", "created_at": NOW, "question_count": 1}
        connection.execute(sa.insert(metadata.tables["language_batch"]).values(**batch))
        connection.execute(sa.update(batch_question).values(batch_id=batch_id))
        question_id = connection.execute(sa.select(batch_question.c.id)).scalar_one()
    Eraser(home.wired).erase_call(theirs, now=LATER)
    with home.database.write() as connection:
        assert book(connection, batch_id, question_id, "zqxvqj told late", None, now=LATER)
        assert connection.execute(sa.select(batch_question.c.answer)).scalar_one() == ""


def test_nobody_is_asked_or_told_about_an_erased_call(home: Home) -> None:
    """It waits for no review, and is handed over to no CRM, though it has just changed."""
    theirs = home.plant(NUMBER, "zqxvqj")
    with home.database.write() as connection:
        connection.execute(sa.update(call_analysis).values(reason_confidence=0.1))
        connection.execute(sa.update(call).values(profile=None))
        connection.execute(sa.delete(review))
        assert [item.line.id for item in review_page(connection, OPERATOR).items] == [theirs]
        know_destinations(connection, [("hook", "webhook")], now=NOW)
        assert look(connection, "hook", Rules(), now=LATER) == 1
    Eraser(home.wired).erase_call(theirs, now=LATER)
    with home.database.write() as connection:
        assert review_page(connection, OPERATOR).items == ()
        assert look(connection, "hook", Rules(), now=LATER) == 0


def test_an_erasure_that_was_cut_off_goes_on_when_it_is_repeated(home: Home) -> None:
    """The contact goes last, so that the rest is found by the number again."""
    theirs = home.plant(NUMBER, "zqxvqj")
    eraser = Eraser(home.wired)
    with home.database.write() as connection:
        # As far as it came: one portion of calls, without the contact, and nothing in the store.
        erase_calls(
            connection,
            [theirs],
            StoreSurroundings("recordings"),
            cause="request",
            now=LATER,
            leaves_chain=False,
        )
    erased = eraser.erase_person(eraser.person_of_number(NUMBER), now=LATER)
    assert (erased.call_count, erased.contact_count) == (0, 1)
    assert eraser.doomed_count(now=LATER) == 0
    assert _hits(list(home.bytes()), "zqxvqjsound") == []


def test_telephony_that_announces_an_erased_call_again_is_told_that_it_is_known(home: Home) -> None:
    """Nothing is fetched from where it is still kept."""
    theirs = home.plant(NUMBER, "zqxvqj")
    with home.database.read() as connection:
        row = connection.execute(sa.select(call.c.source_system, call.c.external_call_id)).one()
    Eraser(home.wired).erase_call(theirs, now=LATER)
    with home.database.read() as connection:
        assert is_known(connection, row.source_system, row.external_call_id)
        assert not is_known(connection, row.source_system, "another")
        assert connection.execute(sa.select(erased_call.c.cause)).scalar_one() == "request"
        assert connection.execute(sa.select(telling)).first() is None


def test_every_table_and_every_column_of_a_call_has_its_rule() -> None:
    """Whoever adds a table says what becomes of it; whoever adds a column to a call, too."""
    assert crm.schema  # it brings all tables
    known = {*erasing_rules.KEPT, *erasing_rules.ROWS_THAT_GO, *erasing_rules.HANDLED, *erasing_rules.STAYS}
    assert {name for name in metadata.tables if not name.startswith("bi.")} - known == set()
    expected = {
        "call": {
            *("external_call_id", "initial_call_id", "previous_call_id", "failed_detail", "modified_at", "subject"),
            *("from_number_e164", "to_number_e164", "customer_name", "contact_id", "account_id", "earlier_call_id"),
            *("disconnect_reason", "attributes"),
        },
        "transcript": {"recording_id", "translation", "agent_channel"},
        "call_analysis": {"transcript_id", "headline", "summary", "subject", "next_steps", "evidence", "answers"},
    }
    gone = {
        name: {column.name for column in metadata.tables[name].columns} - kept
        for name, kept in erasing_rules.KEPT.items()
    }
    assert gone == expected
