"""The analytics on PostgreSQL: the same figures and files as on SQLite, and nothing lost between two at work."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from analytics.exports import MANIFEST, export
from analytics.measures import BY_SLUG
from analytics.points import Point, counts
from analytics.rollup import recompute_all, refresh, take_marks
from analytics.star import AGGREGATES, UNCHECKED, agg_period, fact_call
from analytics.sums import Filters, Over
from analytics.trends import By, heat_map, row_document, totals, trend
from crm.database import Database
from crm.jobs import touch_call
from crm.tables import call
from tests.calls_made_up import NOON, add_call, id_of, prepare
from tests.history_fixture import NOW, ZONE, fill

ALL = ("csv", "parquet", "xlsx")


def test_trends_and_files_are_the_same_as_on_sqlite(
    database: Database, postgres_database: Database, tmp_path: Path
) -> None:
    found = []
    for number, filled in enumerate((database, postgres_database)):
        fill(filled)
        recompute_all(filled, ZONE, NOW)
        with filled.read() as connection:
            found.append(
                [
                    [row_document(row) for row in trend(connection, by=by, over=over, today=NOW.date()).rows]
                    for by in By
                    for over in (None, *Over)
                ]
                + [
                    heat_map(connection),
                    totals(connection, filters=Filters(agent="sam reed", reason="new_order")).parts,
                    totals(connection, filters=Filters(since=date(2026, 2, 2), with_samples=False)).parts,
                    *in_another_zone(connection),
                ]
            )
        export(filled, ALL, tmp_path / str(number), zone=ZONE, now=NOW)
    assert found[0] == found[1]
    rows = []
    for number in range(2):
        files = json.loads((tmp_path / str(number) / MANIFEST).read_text(encoding="utf-8"))["files"]
        rows.append({file["path"]: file["rows"] for file in files})
    assert rows[0] == rows[1]
    with postgres_database.read() as connection:
        for table in UNCHECKED:
            for key in table.foreign_keys:
                dangling = sa.select(sa.func.count()).where(key.parent.not_in(sa.select(key.column)))
                assert connection.execute(dangling).scalar_one() == 0, key.parent


def in_another_zone(connection: sa.Connection) -> Iterator[object]:
    """Figures by days that begin at half past at the site; and of a point, what the list behind it counts."""
    elsewhere = Filters(zone="America/St_Johns", since=date(2026, 2, 2))
    for by in By:
        found = trend(connection, by=by, over=Over.REASON, filters=elsewhere, today=NOW.date())
        yield [row.parts for row in found.rows]
    cells = heat_map(connection, filters=Filters(zone=elsewhere.zone))
    yield cells
    point = Point(measure="calls", weekday=cells[3].weekday, hour=cells[3].hour, zone=elsewhere.zone)
    counted = sa.select(sa.func.count()).select_from(call).where(counts(connection, point))
    assert connection.execute(counted).scalar_one() == cells[3].calls


def test_the_sql_of_every_measure_runs_there(postgres_database: Database) -> None:
    with postgres_database.write() as connection:
        prepare(connection)
        add_call(connection, 1, NOON, duration_s=60.0)
    refresh(postgres_database, "UTC", NOON + timedelta(days=9))
    with postgres_database.read() as connection:
        whole = totals(connection).figures
        for slug, measure in BY_SLUG.items():
            query = f"SELECT {measure.sql()} FROM (SELECT *, 'all' AS period FROM bi.fact_call) AS f GROUP BY period"
            found = connection.execute(sa.text(query)).scalar_one()
            if slug in whole:
                assert found == whole[slug].value, slug


def test_sums_that_have_lost_their_last_call_are_no_more(postgres_database: Database) -> None:
    now = NOON + timedelta(days=9)
    with postgres_database.write() as connection:
        prepare(connection)
        for number in range(4):
            add_call(connection, number, NOON + timedelta(days=number))
    # From the second on, single calls are followed.
    refresh(postgres_database, "UTC", now)
    with postgres_database.write() as connection:
        for number, stage in enumerate(("received", "failed")):
            call_id = id_of("call", number)
            connection.execute(sa.update(call).where(call.c.id == call_id).values(stage=stage))
            touch_call(connection, call_id)
    assert refresh(postgres_database, "UTC", now) == 2
    followed = sums_of(postgres_database)
    recompute_all(postgres_database, "UTC", now)
    assert followed == sums_of(postgres_database)


def sums_of(database: Database) -> list[list[tuple[object, ...]]]:
    """Every row of every table of sums, but for when it changed."""
    with database.read() as connection:
        return [
            [tuple(row)[:-1] for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for table in AGGREGATES
        ]


def test_marks_are_taken_without_reading_all_for_each(postgres_database: Database) -> None:
    marks, read = (
        sa.table("touched_call"),
        sa.text("SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = :name"),
    )
    count = 500
    with postgres_database.write() as connection:
        prepare(connection)
        for number in range(count):
            touch_call(connection, id_of("call", number))
        # Taken at once: the pages are still there when the server counts the rows.
        connection.execute(sa.delete(marks))
    with postgres_database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE touched_call"))
    with postgres_database.write() as connection:
        for number in range(count):
            touch_call(connection, id_of("call", number))
    with postgres_database.write() as connection:
        taken = take_marks(connection).call_ids
        rows = connection.execute(read, {"name": marks.name}).scalar_one()
    assert len(set(taken)) == count
    assert rows <= 3 * count


def test_a_call_that_commits_while_the_roll_up_runs_is_in_the_next_one(postgres_database: Database) -> None:
    now = datetime(2026, 4, 1, tzinfo=UTC)
    with postgres_database.write() as connection:
        prepare(connection)
        add_call(connection, 0, NOON)
    written, refreshed = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with postgres_database.write() as connection:
            add_call(connection, 1, NOON)
            written.set()
            refreshed.wait(30)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    assert written.wait(30)
    refresh(postgres_database, "UTC", now)
    refreshed.set()
    writer.join(30)
    refresh(postgres_database, "UTC", now)
    with postgres_database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(fact_call)).scalar_one() == 2


def test_two_roll_ups_at_once_give_what_one_gives(postgres_database: Database) -> None:
    now = datetime(2026, 4, 1, tzinfo=UTC)
    with postgres_database.write() as connection:
        prepare(connection)
        for number in range(40):
            add_call(connection, number, NOON + timedelta(hours=number))
    errors: list[BaseException] = []

    def roll() -> None:
        try:
            recompute_all(postgres_database, "UTC", now)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=roll) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    with postgres_database.read() as connection:
        for table in (fact_call, *AGGREGATES):
            asked = sa.select(sa.func.sum(table.c.call_count))
            if table is agg_period:
                # It has every call once for each period and each dimension.
                asked = asked.where(table.c.period == "week", table.c.dimension == "team")
            assert connection.execute(asked).scalar_one() == 40
