"""What has been kept long enough goes by itself: sound, words and calls each in their time, queue by queue."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from analytics.rollup import recompute_all, refresh
from analytics.star import agg_day
from calls.corrections import Changes
from calls.errors import TerminalError
from calls.handover import Rules
from calls.recording import OWN_KINDS, SILENCED, own_key
from crm import retries
from crm.access import OPERATOR
from crm.corrections import correct, revision_of
from crm.database import Database
from crm.expiring import is_due
from crm.handover_queue import know_destinations, look
from crm.handover_status import ask_for
from crm.one_call import call_in_full
from crm.privacy_tables import erased_call
from crm.reason_tables import review
from crm.results import current_transcript
from crm.review_queue import review_page
from crm.reviews import NotUnderstood
from crm.search_tables import call_text
from crm.swaps import NoChannels, correct_agent_channel
from crm.tables import call, call_analysis, contact, recording, transcript, utterance
from runtime.erasing import EXPIRE_EVERY, Eraser
from runtime.settings import Settings
from runtime.settings_site import DatabaseSettings, KeptFor, RetentionSettings
from runtime.wiring import Wiring
from tests.seeds import seed_call, seed_failed_call, seed_taxonomy
from tests.web_client import make_hall

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class House:
    """A site with some settings of retention, and calls of some age in some queue."""

    def __init__(self, home: Path, database: Database, retention: RetentionSettings) -> None:
        url = database.url.render_as_string(hide_password=False)
        self.wired = Wiring(Settings(home=home, database=DatabaseSettings(url=url), retention=retention))
        self.database = self.wired.database
        with self.database.write() as connection:
            seed_taxonomy(connection)

    def call(self, days: int, queue: str | None = "Sales") -> UUID:
        """A call so many days ago, with its recording and our copies in the store."""
        name = uuid4().hex
        stored = self.wired.objects.put(f"in/{name}.wav", b"RIFF")
        with self.database.write() as connection:
            call_id = seed_call(
                connection,
                happened_at=NOW - days * DAY,
                queue=queue,
                contact_number=f"+4915{days:08}",
                from_number_e164=f"+4915{days:08}",
                recording={"object_key": f"in/{name}.wav", "etag": stored.ref.etag},
                transcript={"agent_channel": 1},
            )
            found = sa.select(recording.c.id).where(recording.c.call_id == call_id)
            recording_id = connection.execute(found).scalar_one()
        for kind in OWN_KINDS:
            self.wired.objects.put(own_key(kind, recording_id), b"copy")
        return call_id

    def left(self, call_id: UUID) -> str:
        """What is left of a call, a letter each: sound, words, and who it was."""
        with self.database.read() as connection:
            found = call_in_full(connection, OPERATOR, call_id)
            sound = found.recording is not None and found.recording.has_sound
            keys = {ref.key for ref in self.wired.objects.list()}
            held = connection.execute(sa.select(recording).where(recording.c.call_id == call_id)).one_or_none()
            names = {held.object_key, *(own_key(kind, held.id) for kind in OWN_KINDS)} if held else set()
            # The rows and the store say the same.
            assert (names <= keys) if sound else not names & keys
            words = bool(found.transcript and found.transcript.turns)
            assert words == bool(found.analysis and found.analysis.summary)
            searched = connection.execute(sa.select(call_text.c.said).where(call_text.c.call_id == call_id)).scalar()
            assert words == bool(searched)
            return "".join(
                letter
                for letter, is_left in (("S", sound), ("W", words), ("P", found.line.customer_name is not None))
                if is_left
            )


@pytest.fixture
def make(any_database: Database, tmp_path: Path) -> Iterator[object]:
    made: list[House] = []

    def house(**retention: object) -> House:
        made.append(House(tmp_path / "home", any_database, RetentionSettings(**retention)))
        return made[-1]

    yield house
    for one in made:
        one.database.dispose()


def test_sound_words_and_calls_go_each_in_their_time(make) -> None:
    house = make(recordings_days=10, words_days=20, calls_days=30)
    ages = {5: "SWP", 15: "WP", 25: "P", 35: ""}
    calls = {days: house.call(days) for days in ages}
    Eraser(house.wired).tend(now=NOW)
    assert {days: house.left(call_id) for days, call_id in calls.items()} == ages
    with house.database.read() as connection:
        assert connection.execute(sa.select(erased_call.c.call_id, erased_call.c.cause)).all() == [
            (calls[35], "retention")
        ]
        # The customer of the erased call had no other.
        names = connection.execute(sa.select(contact.c.phone_e164).order_by(contact.c.phone_e164)).scalars().all()
        assert [name for name in names if name] == [f"+4915{days:08}" for days in (5, 15, 25)]


def test_many_calls_go_in_portions_each_behind_the_one_before(make) -> None:
    """Also of one and the same moment."""
    house = make(recordings_days=10, words_days=20, calls_days=30)
    ages = {5: "SWP", 15: "WP", 25: "P", 35: ""}
    calls = [(days, house.call(days)) for days in ages for _ in range(3)]
    Eraser(house.wired, at_once=2).tend(now=NOW)
    assert [(days, house.left(call_id)) for days, call_id in calls] == [(days, ages[days]) for days, _ in calls]
    erased = Eraser(house.wired, at_once=2).purge(NOW - 10 * DAY, now=NOW)
    assert erased.call_count == 6
    assert [house.left(call_id) for days, call_id in calls if days != 5] == [""] * 9


def test_a_queue_of_its_own_has_its_own_times_alone(make) -> None:
    house = make(recordings_days=10, queues={"Legal": KeptFor(words_days=10), "Complaints": KeptFor()})
    calls = {queue: house.call(15, queue) for queue in ("Sales", "Legal", "Complaints", None)}
    Eraser(house.wired).tend(now=NOW)
    assert {queue: house.left(call_id) for queue, call_id in calls.items()} == {
        "Sales": "WP",
        "Legal": "SP",
        "Complaints": "SWP",
        None: "WP",
    }


def test_nothing_goes_by_itself_where_nothing_is_set_and_the_clock_strikes_once_an_hour(make) -> None:
    house = make()
    old = house.call(5000)
    Eraser(house.wired).tend(now=NOW)
    assert house.left(old) == "SWP"
    with house.database.write() as connection:
        asked = [NOW, NOW, NOW + EXPIRE_EVERY - timedelta(seconds=1), NOW + EXPIRE_EVERY]
        assert [is_due(connection, "x", every=EXPIRE_EVERY, now=now) for now in asked] == [True, False, False, True]


def test_what_people_corrected_outlives_the_words_and_no_call_without_words_is_to_be_reviewed(make) -> None:
    """Their own words go; that the reason was corrected stays, in codes."""
    house = make(words_days=1)
    corrected, worded, doubted, unread = (house.call(days) for days in (5, 6, 7, 8))
    with house.database.write() as connection:
        changes = {corrected: Changes(reason="repair_booking", customer="+4915999"), worded: Changes(summary="Mine.")}
        for call_id, change in changes.items():
            correct(connection, OPERATOR, call_id, revision_of(connection, call_id), change, now=NOW)
        doubtful = sa.update(call_analysis).where(call_analysis.c.call_id.in_([worded, doubted]))
        connection.execute(doubtful.values(reason_confidence=0.1))
        connection.execute(sa.update(call).where(call.c.id == unread).values(profile=None))
        assert {item.line.id for item in review_page(connection, OPERATOR).items} == {doubted, unread}
    Eraser(house.wired).tend(now=NOW)
    with house.database.read() as connection:
        assert review_page(connection, OPERATOR).items == ()
        assert connection.execute(sa.select(sa.func.count()).where(call.c.needs_review)).scalar_one() == 0
        said = connection.execute(sa.select(review.c.call_id, review.c.field).order_by(review.c.field)).all()
        assert said == [(corrected, "customer"), (corrected, "reason")]


def test_a_crm_keeps_the_summary_of_a_call_whose_words_or_sound_go(make) -> None:
    """No hand-over finds it as changed, also where somebody corrects it later."""
    house = make(words_days=10, recordings_days=5)
    calls = [house.call(15), house.call(7)]
    with house.database.write() as connection:
        know_destinations(connection, [("hook", "webhook")], now=NOW - 20 * DAY)
        look(connection, "hook", Rules(), now=NOW)
    before = _changed_at(house)
    Eraser(house.wired).tend(now=NOW + DAY)
    assert [house.left(call_id) for call_id in calls] == ["P", "WP"]
    assert _changed_at(house) == before
    with house.database.write() as connection:
        assert look(connection, "hook", Rules(), now=NOW + DAY) == 0
        change = Changes(reason="repair_booking")
        correct(connection, OPERATOR, calls[0], revision_of(connection, calls[0]), change, now=NOW + 2 * DAY)
        assert look(connection, "hook", Rules(), now=NOW + 2 * DAY) == 0
        with pytest.raises(NotUnderstood, match="not kept any more"):
            ask_for(connection, OPERATOR, calls[0], "hook", Rules(), now=NOW + 2 * DAY)
        assert ask_for(connection, OPERATOR, calls[1], "hook", Rules(), now=NOW + 2 * DAY) == "waiting"


def test_the_page_of_a_call_whose_words_are_gone_says_so_and_offers_no_words_to_mend(tmp_path: Path) -> None:
    hall = make_hall(tmp_path)
    with hall.wiring.database.write() as connection:
        call_id = seed_call(connection)
        blanked = sa.update(transcript).values(recording_id=None)
        connection.execute(sa.delete(utterance))
        connection.execute(blanked)
    hall.sign_in()
    page = hall.client.get(f"/calls/{call_id}").text
    assert "What was said in this call is not kept any more." in page
    assert "Nobody speaks in this recording" not in page
    assert "<h2>Summary</h2>" not in page
    assert "Correct the reason" in page


def _changed_at(house: House) -> dict[UUID, datetime]:
    with house.database.read() as connection:
        return {row.id: row.modified_at for row in connection.execute(sa.select(call.c.id, call.c.modified_at))}


def test_a_copy_that_is_made_while_the_sound_goes_is_deleted_once_more(make) -> None:
    house = make(recordings_days=1)
    call_id = house.call(5)
    Eraser(house.wired).tend(now=NOW)
    with house.database.read() as connection:
        recording_id = connection.execute(sa.select(recording.c.id).where(recording.c.call_id == call_id)).scalar_one()
    house.wired.objects.put(own_key(SILENCED, recording_id), b"late copy")
    Eraser(house.wired).tend(now=NOW + timedelta(hours=3))
    assert list(house.wired.objects.list()) == []


def test_the_figures_stay_and_equal_a_recompute(make) -> None:
    house = make(words_days=1)
    house.call(5)
    refresh(house.database, "UTC", NOW)

    def figures() -> list[object]:
        with house.database.read() as connection:
            rows = connection.execute(sa.select(agg_day)).mappings().all()
        return [{name: value for name, value in row.items() if "modified" not in name} for row in rows]

    before = figures()
    Eraser(house.wired).expire(now=NOW)
    refresh(house.database, "UTC", NOW)
    assert figures() == before
    recompute_all(house.database, "UTC", NOW)
    assert figures() == before


def test_work_that_waits_keeps_its_call_and_words_that_are_gone_are_asked_for_in_vain(make) -> None:
    """A call on its way is not touched; afterwards nobody can swap, retry into, or learn from words that are gone."""
    house = make(words_days=1, recordings_days=1)
    waiting, done = house.call(5), house.call(6)
    with house.database.write() as connection:
        connection.execute(sa.update(call).where(call.c.id == waiting).values(stage="received"))
        failed = seed_failed_call(connection, happened_at=NOW - 5 * DAY)
        connection.execute(
            sa.insert(review).values(
                id=uuid4(), call_id=done, revision=1, field="summary", after="x", reviewed_by="eve", reviewed_at=NOW
            )
        )
    Eraser(house.wired).tend(now=NOW)
    assert (house.left(waiting), house.left(done)) == ("SWP", "P")
    with house.database.write() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(review)).scalar_one() == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(utterance)).scalar_one() == 4
        with pytest.raises(TerminalError):
            current_transcript(connection, done)
        with pytest.raises(NoChannels):
            correct_agent_channel(connection, done, 1, now=NOW)
        assert retries.retry(connection, now=NOW, call_ids=[failed]) == 1
