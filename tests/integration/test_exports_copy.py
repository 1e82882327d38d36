"""PostgreSQL's COPY as Arrow: the same rows as SQL gives, from every table, whatever stands in them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa

from analytics.export_arrow import batches, schema
from analytics.export_tables import ExportTable, export_tables
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
                if table.day:
                    assert copied(connection, table.part(0, 99_999_999)).equals(found), table.name
                    early, late = table.part(0, 20_200_101), table.part(20_200_102, 99_999_999)
                    rows = [copied(connection, part).num_rows for part in (early, late)]
                    assert sum(rows) == found.num_rows
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


def test_a_number_that_needs_more_bits_than_most_comes_as_it_is(centre: Database) -> None:
    table = next(one for one in export_tables(personal_data=False) if one.name == "fact_call")
    far = {
        1: {"handled_count": 2, "handle_time_ms": 2**40},
        2: {"sentiment_tenths": -129, "cost_microusd": 2**24},
        3: {"acw_time_ms": -1, "interruption_count": 2**16},
        # As far as the bits go.
        4: {"handle_time_ms": 2**24 - 1, "sentiment_tenths": 127, "sentiment_end_tenths": -128},
        5: {"reason_key": -(2**31), "queue_key": 2**31 - 1, "agent_key": 2**31 - 1, "team_key": -(2**31)},
    }
    with centre.write() as connection:
        for number, values in far.items():
            one = sa.update(fact_call).where(fact_call.c.call_id == id_of("call", number))
            assert connection.execute(one.values(**values)).rowcount == 1
    with centre.read() as connection:
        found = copied(connection, table).sort_by("call_key").to_pylist()
        wanted = connection.execute(sa.select(fact_call).order_by(fact_call.c.call_key)).mappings().all()
    assert len(found) == len(wanted) == 62
    for row, other in zip(found, wanted, strict=True):
        assert row == {**other, "call_id": str(other["call_id"])}


def test_a_reader_that_stops_halfway_leaves_the_connection_usable(centre: Database) -> None:
    tables = {table.name: table for table in export_tables(personal_data=False)}
    with centre.read() as connection:
        found: Iterator[pa.RecordBatch] = batches(connection, tables["dim_date"])
        next(found)
        found.close()  # type: ignore[attr-defined]
        assert copied(connection, tables["fact_call"]).num_rows == 62
