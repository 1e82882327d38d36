"""The star schema: the migrations build what the code says."""

import sqlalchemy as sa

from analytics import star
from analytics.parts import PARTS
from crm.database import Database
from tests.star_differences import differences


def test_the_migrated_database_is_the_one_that_the_code_describes(database: Database) -> None:
    assert differences(database) == []


def test_a_missing_column_is_found_by_the_comparison(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.text("ALTER TABLE agg_hour DROP COLUMN sale_count"))
    assert [found[0] for found in differences(database)] == ["add_column"]


def test_every_column_that_leaves_says_what_it_is() -> None:
    for table in star.EXPORTED:
        for column in table.columns:
            assert column.info["description"].endswith((".", "]")), f"{table.name}.{column.name}"


def test_facts_and_aggregates_carry_every_part_and_no_ratio() -> None:
    parts = [part.name for part in PARTS]
    for table in (star.fact_call, *star.AGGREGATES):
        assert [column.name for column in table.columns if column.name in parts] == parts
        assert not [column.name for column in table.columns if isinstance(column.type, sa.Float | sa.Numeric)]
