"""Laws of failed sign-ins: counted by key within a window, by all processes together, and for no longer."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from crm.access_tables import sign_in_failure
from crm.database import Database
from tests.seeds import NOW
from tests.statements import statements
from web.throttle import LoginThrottle

WINDOW = timedelta(minutes=5)
LIMITS = {"10.0.0.7 ann": 3, "name ann": 5}


@pytest.fixture
def throttle(any_database: Database) -> LoginThrottle:
    return LoginThrottle(any_database, window=WINDOW)


def fail(throttle: LoginThrottle, *seconds: int) -> None:
    for one in seconds:
        throttle.note_failure(LIMITS, NOW + timedelta(seconds=one))


def test_who_has_failed_as_often_as_allowed_waits_until_the_first_of_these_is_over(throttle):
    fail(throttle, 0, 10)
    assert throttle.wait_s(LIMITS, NOW + timedelta(seconds=20)) == 0
    fail(throttle, 20)
    assert throttle.wait_s(LIMITS, NOW + timedelta(seconds=30)) == 270
    assert throttle.wait_s(LIMITS, NOW + timedelta(seconds=299)) == 1
    assert throttle.wait_s(LIMITS, NOW + WINDOW) == 0


def test_the_longest_wait_of_a_key_counts_and_another_key_does_not(throttle):
    fail(throttle, 0, 0, 60, 60, 60)
    assert throttle.wait_s(LIMITS, NOW + timedelta(seconds=60)) == 300
    assert throttle.wait_s({"name ann": 5}, NOW + timedelta(seconds=60)) == 240
    assert throttle.wait_s({"10.0.0.8 ann": 3, "10.0.0.7 an": 1}, NOW + timedelta(seconds=60)) == 0


def test_another_process_counts_on_and_a_restart_forgets_nothing(throttle, any_database):
    fail(throttle, 0, 1)
    elsewhere = Database(any_database.url.render_as_string(hide_password=False))
    other = LoginThrottle(elsewhere, window=WINDOW)
    fail(other, 2)
    assert throttle.wait_s(LIMITS, NOW + timedelta(seconds=3)) == other.wait_s(LIMITS, NOW + timedelta(seconds=3)) > 0
    elsewhere.dispose()


def test_a_success_lets_one_key_begin_anew(throttle):
    fail(throttle, 0, 1, 2)
    throttle.forget(["10.0.0.7 ann"])
    assert throttle.wait_s(LIMITS, NOW + timedelta(seconds=3)) == 0
    fail(throttle, 3, 4)
    assert throttle.wait_s({"name ann": 5}, NOW + timedelta(seconds=5)) > 0


def test_what_is_over_goes_no_name_is_kept_and_nothing_is_written_without_a_failure(throttle, any_database):
    fail(throttle, 0, 1)
    fail(throttle, 301)
    with any_database.read() as connection:
        kept = connection.execute(sa.select(sign_in_failure)).all()
    assert len(kept) == 2
    assert "ann" not in repr(kept)
    with statements(any_database) as sent:
        throttle.forget(["10.0.0.9 bob"])
        throttle.wait_s(LIMITS, NOW)
    assert all(one.startswith("SELECT") for one in sent)
