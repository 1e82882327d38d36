"""Laws of writing readings down: every one stands in the log before it is shown, once, however many come together."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from calls.errors import TransientError
from crm.access import Role, Viewer
from crm.audit import Action, entries, verify
from crm.database import Database
from tests.seeds import NOW
from web.readings import ONE_READING, Readings

ANN = Viewer("ann", Role.AGENT, uuid4())


def test_readings_that_come_together_are_all_written_in_one_chain(any_database: Database):
    readings, calls = Readings(), [uuid4() for _ in range(80)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda call: readings.note(any_database, ANN, Action.HEAR_AUDIO, call, NOW), calls * 2))
    with any_database.read() as connection:
        written = [entry.call_id for entry in entries(connection, limit=1000)]
        assert verify(connection).broken_at is None
    # Two requests for one call that come at the same moment may both be written, never neither.
    assert set(written) == set(calls)


def test_a_reading_that_goes_on_is_one_and_a_later_or_anothers_is_another(any_database: Database):
    readings, call = Readings(), uuid4()
    moments = (NOW, NOW + timedelta(minutes=1), NOW + ONE_READING)
    for now in moments:
        readings.note(any_database, ANN, Action.HEAR_AUDIO, call, now)
    readings.note(any_database, ANN, Action.READ_TRANSCRIPT, call, NOW)
    readings.note(any_database, Viewer("bob", Role.AGENT, uuid4()), Action.HEAR_AUDIO, call, NOW)
    with any_database.read() as connection:
        assert len(entries(connection)) == 4


def test_a_reading_that_cannot_be_written_is_an_error_and_is_tried_again(any_database: Database, tmp_path: Path):
    readings, call = Readings(), uuid4()
    away = Database(f"sqlite:///{tmp_path}/nothing.db")
    with pytest.raises(TransientError):
        readings.note(away, ANN, Action.HEAR_AUDIO, call, NOW)
    readings.note(any_database, ANN, Action.HEAR_AUDIO, call, NOW)
    with any_database.read() as connection:
        assert len(entries(connection)) == 1


def test_the_memory_of_readings_is_bounded(any_database: Database):
    readings, calls = Readings(max_count=3), [uuid4() for _ in range(5)]
    for call in [*calls, calls[0]]:
        readings.note(any_database, ANN, Action.HEAR_AUDIO, call, NOW)
    with any_database.read() as connection:
        assert len(entries(connection)) == 6
