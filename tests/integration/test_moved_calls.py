"""Facts are found by a call's time and id: also once the call was at another time, or is gone."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from analytics.repeats import Concerned
from analytics.rollup import MARKS_AT_ONCE, recompute_all, refresh
from crm.database import Database
from crm.jobs import touch_call
from crm.tables import call, call_analysis, transcript
from crm.touched_tables import moved_call, touched_call
from tests.calls_made_up import NOON, add_call, id_of, prepare
from tests.unit.test_rollup import LATER, stored

CALLS = 5


def filled(database: Database) -> None:
    with database.write() as connection:
        prepare(connection)
        for number in range(CALLS):
            add_call(connection, number, NOON, contact_id=id_of("contact", 0))
    refresh(database, "UTC", LATER)


def move(database: Database, number: int, **by: float) -> None:
    with database.write() as connection:
        change = sa.update(call).where(call.c.id == id_of("call", number)).values(happened_at=NOON + timedelta(**by))
        connection.execute(change)
        touch_call(connection, id_of("call", number))


def marks(database: Database) -> int:
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(moved_call)).scalar_one()


def test_a_fact_is_found_where_its_call_was_before_it_moved(any_database: Database) -> None:
    filled(any_database)
    move(any_database, 0, days=40)
    move(any_database, 0, days=-3)
    # There and back.
    move(any_database, 1, days=2)
    move(any_database, 1)
    with any_database.write() as connection:
        for table in (call_analysis, transcript):
            connection.execute(sa.delete(table).where(table.c.call_id == id_of("call", 2)))
        connection.execute(sa.delete(call).where(call.c.id == id_of("call", 2)))
        touch_call(connection, id_of("call", 2))
    # Far more marks than one transaction follows: of a call, any may be among the first.
    move(any_database, 3, hours=5)
    many = [{"id": uuid4(), "call_id": id_of("call", 100 + n)} for n in range(2 * MARKS_AT_ONCE)]
    with any_database.write() as connection:
        connection.execute(sa.insert(touched_call), many)
    move(any_database, 3, hours=6)
    assert marks(any_database) == 7
    assert refresh(any_database, "UTC", LATER) == len(many) + 7
    followed = stored(any_database)
    assert marks(any_database) == 0
    assert len(followed["fact_call"]) == CALLS - 1
    recompute_all(any_database, "UTC", LATER)
    assert followed == stored(any_database)


def test_a_recompute_finds_the_facts_of_calls_that_have_moved(any_database: Database) -> None:
    filled(any_database)
    move(any_database, 0, days=70)
    move(any_database, 1, days=-70)
    recompute_all(any_database, "UTC", LATER)
    assert marks(any_database) == 0
    assert [row[2] for row in stored(any_database)["fact_call"]].count(12) == CALLS


def test_a_recompute_mends_what_no_trigger_saw(any_database: Database) -> None:
    filled(any_database)
    with any_database.write() as connection:
        connection.execute(sa.text(f"DROP TRIGGER call_left{'' if any_database.is_sqlite else ' ON call'}"))
    move(any_database, 0, days=3)
    refresh(any_database, "UTC", LATER)
    assert len(stored(any_database)["fact_call"]) == CALLS + 1
    recompute_all(any_database, "UTC", LATER)
    assert len(stored(any_database)["fact_call"]) == CALLS


def test_no_statement_of_a_refresh_reads_all_facts(database: Database) -> None:
    filled(database)
    move(database, 0, days=-20)
    asked: list[tuple[str, Any]] = []
    sa.event.listen(
        database.engine, "before_cursor_execute", lambda _c, _cursor, text, given, *_: asked.append((text, given))
    )
    refresh(database, "UTC", LATER)
    about = [one for one in asked if "fact_call" in one[0] and isinstance(one[1], tuple)]
    assert len(about) > 5
    with database.read() as connection:
        plans = [
            row[3] for text, given in about for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", given)
        ]
    assert [plan for plan in plans if plan.startswith("SCAN") and "fact_call" in plan] == []
    assert [plan for plan in plans if "ix_fact_call_reason_key" in plan] == []
    assert any("ix_fact_call_customer" in plan for plan in plans)
    assert any("ix_fact_call_happened_at_utc" in plan for plan in plans)


def test_of_changes_without_number_everyone_is_concerned() -> None:
    concerned = Concerned()
    concerned.add([(1, NOON)] * 500_000)
    assert not concerned.is_everyone
    concerned.add([(1, NOON)])
    assert concerned.is_everyone
    assert not concerned.moments
