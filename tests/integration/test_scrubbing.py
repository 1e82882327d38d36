"""Deleted words leave SQLite's files in steps, and at last in one go where new words come between all of them."""

from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from bench.web_calls import fill
from crm.database import Database
from crm.scrubbing import PATIENCE, is_scrub_wanted, scrub, want_scrub
from crm.search_tables import call_text
from tests.seeds import NOW

WORD = "zqxvqj"


@pytest.fixture
def scrubbed(database: Database) -> Database:
    """A centre in which a word was said, is said no more, and lies in the index of words still."""
    fill(database, 600)
    for said in (WORD, "Nothing."):
        _say(database, said)
    with database.write() as connection:
        want_scrub(connection, now=NOW)
    assert _lies_in_files(database)
    return database


def _say(database: Database, said: str, *, place: int = 7) -> None:
    with database.write() as connection:
        number = sa.select(call_text.c.number).order_by(call_text.c.number).offset(place).limit(1).scalar_subquery()
        connection.execute(sa.update(call_text).where(call_text.c.number == number).values(said=said))


def _lies_in_files(database: Database) -> bool:
    folder = Path(str(database.url.database)).parent
    return any(WORD.encode() in file.read_bytes() for file in folder.glob("*.db*"))


def _is_wanted(database: Database) -> bool:
    with database.read() as connection:
        return is_scrub_wanted(connection)


def test_a_scrub_goes_on_where_it_ended_until_the_words_are_out(scrubbed: Database) -> None:
    rounds = 1
    while not scrub(scrubbed, now=NOW, pages=8, within_s=0):
        rounds += 1
        assert _is_wanted(scrubbed)
    assert rounds > 3
    assert not _lies_in_files(scrubbed)
    assert not _is_wanted(scrubbed)


def test_words_that_come_between_all_steps_put_it_off_for_a_day_and_no_longer(scrubbed: Database) -> None:
    for round_ in range(12):
        assert not scrub(scrubbed, now=NOW + PATIENCE, pages=8, within_s=0)
        _say(scrubbed, f"Something new, {round_}.", place=9)
    assert _lies_in_files(scrubbed)
    assert scrub(scrubbed, now=NOW + PATIENCE + timedelta(seconds=1), pages=8, within_s=0)
    assert not _lies_in_files(scrubbed)
