"""Laws of the taxonomy's versions in the database."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from calls.errors import SettingsError
from calls.reasons import AnswerKind, Question, Reason
from crm.tables import touched_day
from crm.taxonomies import (
    NoSuchVersion,
    current_taxonomy,
    known_successors,
    store_taxonomy,
    stored_taxonomy,
    take_from_file,
    taxonomy_versions,
)
from tests.seeds import NOW, TAXONOMY, seed_call

SECOND = replace(
    TAXONOMY,
    version="seeds-2",
    title="Second",
    reasons=(
        Reason("delivery", "Delivery", "Where is it?", ("It is late",), replaces=("delivery_status",)),
        Reason("late", "Late", "It is late.", parent_code="delivery", is_sales=True),
    ),
    questions=(Question("size", "Which size?", AnswerKind.CHOICE, ("small", "large")),),
)
THIRD = replace(SECOND, version="seeds-3", title="Third")


def test_the_version_stored_last_is_current_and_storing_one_again_changes_nothing_else(any_database):
    for given in (TAXONOMY, SECOND, TAXONOMY, TAXONOMY):
        with any_database.write() as connection:
            store_taxonomy(connection, given, NOW)
            assert current_taxonomy(connection) == given
    with any_database.read() as connection:
        assert stored_taxonomy(connection, "seeds-2") == SECOND
        with pytest.raises(NoSuchVersion):
            stored_taxonomy(connection, "seeds-9")


def test_a_version_with_other_content_is_refused_and_changes_nothing(any_database):
    with any_database.write() as connection:
        store_taxonomy(connection, SECOND, NOW)
        store_taxonomy(connection, TAXONOMY, NOW)
    for changed in (
        replace(SECOND, title="Other"),
        replace(SECOND, reasons=SECOND.reasons[:1]),
        replace(SECOND, reasons=(replace(SECOND.reasons[0], replaces=()), SECOND.reasons[1])),
        replace(SECOND, questions=()),
    ):
        with pytest.raises(SettingsError, match="`seeds-2` is stored with other content"), any_database.write() as c:
            store_taxonomy(c, changed, NOW)
    with any_database.read() as connection:
        assert current_taxonomy(connection) == TAXONOMY


def test_versions_are_listed_with_what_was_classified_under_them(any_database):
    with any_database.write() as connection:
        store_taxonomy(connection, TAXONOMY, NOW)
        seed_call(connection)
        seed_call(connection, is_sample=True)
        store_taxonomy(connection, SECOND, NOW + timedelta(days=1))
        found = taxonomy_versions(connection)
    assert [(one.version, one.is_current, one.reason_count, one.call_count) for one in found] == [
        ("seeds-2", True, 2, 0),
        ("seeds-1", False, 3, 1),
    ]


def test_only_the_days_of_calls_whose_reason_goes_on_as_another_are_marked(any_database):
    with any_database.write() as connection:
        store_taxonomy(connection, TAXONOMY, NOW)
        seed_call(connection)
        seed_call(connection, happened_at=NOW + timedelta(hours=1))
        seed_call(connection, happened_at=NOW + timedelta(days=3), analysis={"reason_code": "new_order"})
        store_taxonomy(connection, SECOND, NOW)
        assert known_successors(connection) == {"delivery_status": "delivery"}
        assert connection.execute(sa.delete(touched_day).returning(touched_day.c.utc_day)).scalars().all() == [
            NOW.date()
        ]
        # The same version again changes nothing; another one, of the same map, and the way back do.
        store_taxonomy(connection, SECOND, NOW)
        assert connection.execute(sa.select(touched_day)).all() == []
        store_taxonomy(connection, THIRD, NOW)
        assert connection.execute(sa.delete(touched_day).returning(touched_day.c.utc_day)).scalars().all() == [
            NOW.date()
        ]
        store_taxonomy(connection, TAXONOMY, NOW)
        assert known_successors(connection) == {}
        assert connection.execute(sa.select(touched_day.c.utc_day)).scalars().all() == [NOW.date()]


def take(database, given, *, is_own, after_s=0):
    with database.write() as connection:
        return take_from_file(connection, given, NOW + timedelta(seconds=after_s), is_own=is_own)


def load(database, given):
    with database.write() as connection:
        store_taxonomy(connection, given, NOW)


def current(database):
    with database.read() as connection:
        return current_taxonomy(connection).version


def test_a_start_leaves_loaded_reasons_alone_until_the_owners_file_changes(any_database):
    assert take(any_database, TAXONOMY, is_own=True)
    load(any_database, SECOND)
    assert not take(any_database, TAXONOMY, is_own=True, after_s=1)
    assert current(any_database) == "seeds-2"
    assert take(any_database, THIRD, is_own=True, after_s=2)
    # An owner who puts the file back means it.
    assert take(any_database, TAXONOMY, is_own=True, after_s=3)
    assert current(any_database) == "seeds-1"


def test_the_bundled_file_follows_a_new_release_but_never_takes_the_place_of_loaded_reasons(any_database):
    assert take(any_database, TAXONOMY, is_own=False)
    assert take(any_database, SECOND, is_own=False, after_s=1)
    load(any_database, TAXONOMY)
    assert not take(any_database, THIRD, is_own=False, after_s=2)
    assert current(any_database) == "seeds-1"
    # The first file of the owner's own does.
    assert take(any_database, THIRD, is_own=True, after_s=3)


def test_a_database_of_before_takes_the_file_over_as_it_did(any_database):
    load(any_database, TAXONOMY)
    assert take(any_database, SECOND, is_own=False)
    assert current(any_database) == "seeds-2"
