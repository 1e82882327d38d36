"""PostgreSQL's COPY as Arrow: the same rows as SQL gives, from every table, whatever stands in them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from analytics.export_arrow import batches, schema
from analytics.export_copy import NotAFlag
from analytics.export_tables import ExportTable, export_tables
from analytics.exports import export
from analytics.rollup import refresh
from analytics.star import fact_call
from crm.database import Database
from crm.tables import call, queue
from tests.calls_made_up import NOON, add_call, id_of, prepare

LATER = NOON + timedelta(days=40)


@pytest.fixture
def centre(postgres_database: Database) -> Database:
    """Calls of every kind, with texts that are hard to carry."""
    with postgres_database.write() as connection:
        prepare(connection)
        for number in range(60):
            known = {"contact_id": id_of("contact", number % 5), "agent_id": id_of("agent", number % 3)}
            facts = known | {"queue_id": id_of("queue", 0)} if number % 3 else {}
            add_call(connection, number, NOON + timedelta(hours=7 * number), duration_s=60.5 + number, **facts)
        add_call(connection, 90, NOON, stage="failed", failed_step="call.transcribe", failed_code="x", analysis=None)
        add_call(connection, 91, datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC))
        hard = 'a "quoted"\ttext\nwith \\ and é and 通話'
        connection.execute(sa.update(queue).where(queue.c.id == id_of("queue", 0)).values(name=hard))
        connection.execute(sa.update(call).where(call.c.id == id_of("call", 2)).values(disposition=hard))
    refresh(postgres_database, "Europe/Berlin", LATER)
    return postgres_database


def copied(connection: sa.Connection, table: ExportTable) -> pa.Table:
    """The table as the export reads it."""
    return pa.Table.from_batches(batches(connection, table), schema(table))


def test_every_table_comes_as_sql_gives_it(centre: Database) -> None:
    for personal_data in (False, True):
        for table in export_tables(personal_data=personal_data):
            # Personal data is in one table only.
            if table.select is None or (personal_data and not table.chunk):
                continue
            with centre.read() as connection:
                found = copied(connection, table)
                order = [table.select.selected_columns[name] for name in table.order]
                wanted = connection.execute(table.select.order_by(*order)).mappings().all()
            assert found.schema == schema(table)
            as_text = {field.name for field in found.schema if field.type == pa.string()}
            rows = [
                {name: str(value) if name in as_text and value is not None else value for name, value in row.items()}
                for row in wanted
            ]
            assert found.to_pylist() == rows, table.name
            assert rows


def test_an_empty_table_and_an_empty_part_have_no_rows(postgres_database: Database) -> None:
    tables = {table.name: table for table in export_tables(personal_data=False)}
    with postgres_database.read() as connection:
        assert copied(connection, tables["fact_call"]).num_rows == 0
        assert copied(connection, tables["dim_customer"].part(5, 9)).num_rows == 0


def test_a_flag_that_is_none_is_an_error_and_no_wrong_file(centre: Database, tmp_path: Path) -> None:
    with centre.write() as connection:
        one = sa.select(sa.func.min(fact_call.c.call_key)).scalar_subquery()
        connection.execute(sa.update(fact_call).where(fact_call.c.call_key == one).values(handled_count=2))
    with pytest.raises(NotAFlag):
        export(centre, ("parquet",), tmp_path, zone="Europe/Berlin", now=LATER)
    assert not list(tmp_path.glob("parquet/**/*.parquet"))


def test_a_reader_that_stops_halfway_leaves_the_connection_usable(centre: Database) -> None:
    tables = {table.name: table for table in export_tables(personal_data=False)}
    with centre.read() as connection:
        found: Iterator[pa.RecordBatch] = batches(connection, tables["dim_date"])
        next(found)
        found.close()  # type: ignore[attr-defined]
        assert copied(connection, tables["fact_call"]).num_rows == 62
