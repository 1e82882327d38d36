"""The star schema in PostgreSQL: in a schema of its own, as the code says."""

import sqlalchemy as sa

from analytics import star
from crm.database import Database
from tests.star_differences import differences


def test_the_migrated_database_is_the_one_that_the_code_describes(postgres_database: Database) -> None:
    assert differences(postgres_database) == []


def test_the_star_stands_in_a_schema_of_its_own(postgres_database: Database) -> None:
    with postgres_database.read() as connection:
        found = set(sa.inspect(connection).get_table_names(schema="bi"))
    assert found == {table.name for table in star.metadata.sorted_tables}
