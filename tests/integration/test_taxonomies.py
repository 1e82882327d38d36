"""Laws of the taxonomy's versions in the database."""

from dataclasses import replace

from crm.taxonomies import current_taxonomy, store_taxonomy
from tests.seeds import NOW, TAXONOMY


def test_the_version_stored_last_is_current_and_storing_one_again_changes_nothing_else(any_database):
    other = replace(TAXONOMY, version="seeds-2", title="Another")
    for given in (TAXONOMY, other, TAXONOMY, TAXONOMY):
        with any_database.write() as connection:
            store_taxonomy(connection, given, NOW)
            assert current_taxonomy(connection) == given
