"""Results of PostgreSQL are described when somebody asks for it."""

import sqlalchemy as sa

from crm.database import Database


def test_a_description_is_that_of_the_result_and_there_is_none_without_one(postgres_url: str):
    database = Database(postgres_url)
    with database.write() as connection:
        for names in (["a", "b"], ["c"]):
            listed = ", ".join(f"1 AS {name}" for name in names)
            cursor = connection.exec_driver_sql(f"SELECT {listed}").cursor
            assert [column.name for column in cursor.description] == names
            assert (len(cursor.description), cursor.description[0][0]) == (len(names), names[0])
        connection.exec_driver_sql("CREATE TEMPORARY TABLE kept (n integer)")
        raw = connection.connection.cursor()
        raw.execute("INSERT INTO kept VALUES (1), (2)")
        assert (raw.description, raw.rowcount) == (None, 2)
        # A statement that is sent again, and one whose table has another shape meanwhile.
        counted = sa.select(sa.literal_column("*")).select_from(sa.table("kept"))
        assert [row.n for _ in range(2) for row in connection.execute(counted)] == [1, 2, 1, 2]
        connection.exec_driver_sql("ALTER TABLE kept RENAME COLUMN n TO m")
        assert [row.m for row in connection.exec_driver_sql("SELECT * FROM kept")] == [1, 2]
    database.dispose()
