"""Every filter of the list is served by an index in the list's order, with statistics or without."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from bench.web_calls import fill, names_of, phone_of
from crm.access import OPERATOR, Role, Viewer
from crm.call_filters import CallFilter, conditions_of, newest
from crm.calls import earlier_calls, list_calls
from crm.customers import calls_of_customer, reasons_of_customer
from crm.database import Database
from crm.one_call import call_in_full
from crm.schema import upgrade
from crm.status import status
from crm.tables import agent, call, team
from crm.taxonomies import taxonomy_versions
from tests.seeds import NOW, seed_call, seed_taxonomy

FILTERS = {
    "ix_call_happened_at_id": CallFilter(since=NOW - timedelta(days=5)),
    "ix_call_agent_id_happened_at_id": CallFilter(agent="Andrew K", stage="done"),
    "ix_call_queue_id_happened_at_id": CallFilter(queue="Deliveries", direction="inbound"),
    "ix_call_reason_code_happened_at_id": CallFilter(reason="delivery_status", outcome="resolved"),
    "ix_call_outcome_happened_at_id": CallFilter(outcome="resolved", sentiment="low"),
    "ix_call_mood_happened_at_id": CallFilter(sentiment="low"),
    "ix_call_direction_happened_at_id": CallFilter(direction="internal"),
    "ix_call_stage_happened_at_id": CallFilter(stage="failed", outcome="resolved"),
    "ix_call_needs_review": CallFilter(needs_review=True, direction="inbound"),
}

INDEXES_OF_FEW = ("ix_call_is_sample", "ix_call_unread_name")


def plan_of(connection: sa.Connection, wanted: CallFilter, viewer: Viewer = OPERATOR) -> list[str]:
    keys = newest(connection, conditions_of(connection, viewer, wanted), count=51)
    compiled = sa.select(keys).compile(connection.engine, compile_kwargs={"literal_binds": True})
    return [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]


def sent_from_now_on(connection: sa.Connection) -> list[tuple[str, Any]]:
    """Each statement that is sent, with its values: the list grows."""
    sent: list[tuple[str, Any]] = []
    sa.event.listen(connection, "before_cursor_execute", lambda *given: sent.append(given[2:4]))
    return sent


@pytest.mark.parametrize("index", FILTERS)
def test_sqlite_walks_the_index_of_the_filter_without_statistics(database: Database, index: str):
    with database.write() as connection:
        seed_taxonomy(connection)
        seed_call(connection)
        plan = plan_of(connection, FILTERS[index])
    walks = [line for line in plan if line.startswith(("SEARCH call", "SCAN call"))]
    assert len(walks) == 1
    assert f"{index} " in f"{walks[0]} ", plan
    assert not any("TEMP B-TREE" in line for line in plan), plan


def test_a_team_is_its_agents_one_index_walk_each(database: Database):
    with database.write() as connection:
        team_id = uuid4()
        connection.execute(sa.insert(team).values(id=team_id, name="North"))
        for name in ("Ann", "Bob", "Cy"):
            connection.execute(sa.insert(agent).values(id=uuid4(), display_name=name, team_id=team_id))
        for viewer, wanted in (
            (OPERATOR, CallFilter(team="north")),
            (Viewer("l", Role.LEAD, team_ids=frozenset({team_id})), CallFilter()),
        ):
            plan = plan_of(connection, wanted, viewer)
            assert sum("ix_call_agent_id_happened_at_id (agent_id=?" in line for line in plan) == 3, plan


def test_a_small_team_leads_over_a_reason_where_the_index_of_agents_is_quicker(any_database: Database):
    with any_database.write() as connection:
        small_id, large_id = uuid4(), uuid4()
        for team_id, size in ((small_id, 3), (large_id, 17)):
            connection.execute(sa.insert(team).values(id=team_id, name=f"Team of {size}"))
            members = [{"id": uuid4(), "display_name": f"{size}/{n}", "team_id": team_id} for n in range(size)]
            connection.execute(sa.insert(agent), members)

        def leading(team_id: UUID, **wanted: str) -> str:
            lead = Viewer("l", Role.LEAD, team_ids=frozenset({team_id}))
            [one] = conditions_of(connection, lead, CallFilter(**wanted))
            return one.leading.name

        is_quick = connection.dialect.name == "postgresql"
        assert leading(small_id, reason="complaint") == ("agent_id" if is_quick else "reason_code")
        assert leading(small_id, reason="complaint", direction="inbound") == "reason_code"
        assert leading(large_id, reason="complaint") == "reason_code"


def test_the_planner_keeps_to_the_indexes_with_statistics(database: Database):
    fill(database, 2500)
    with database.read() as connection:
        named = {"agent": connection.execute(sa.select(agent.c.display_name).limit(1)).scalar_one(), "queue": "Queue 2"}
        for index, wanted in FILTERS.items():
            given = {name: value for name, value in named.items() if getattr(wanted, name)}
            plan = plan_of(connection, CallFilter(**(vars(wanted) | given)))
            assert any(index in line for line in plan), (index, plan)
        for customer in (phone_of(7), names_of(7)[1]):
            plan = plan_of(connection, CallFilter(customer=customer))
            assert any("ix_call_contact_id_happened_at" in line for line in plan), plan
            assert any("ix_call_unfiled" in line for line in plan), plan
            assert not any(line.startswith("SCAN call ") and "INDEX" not in line for line in plan), plan


def test_a_page_of_the_list_is_two_statements_and_one_for_all_names_of_its_filter(any_database: Database):
    with any_database.write() as connection:
        seed_taxonomy(connection)
        for _ in range(3):
            seed_call(connection)
        sent = sent_from_now_on(connection)
        list_calls(connection, OPERATOR, CallFilter())
        assert sum(statement.startswith("SELECT") for statement, _ in sent) == 2
        list_calls(connection, OPERATOR, CallFilter(agent="andrew k", queue="deliveries"))
        assert sum(statement.startswith("SELECT") for statement, _ in sent) == 5


def test_a_page_of_words_is_two_statements_and_on_sqlite_a_look_at_what_lies_behind(any_database: Database):
    with any_database.write() as connection:
        seed_taxonomy(connection)
        seed_call(connection)
        list_calls(connection, OPERATOR, CallFilter(text="dishwasher"))
        sent = sent_from_now_on(connection)
        assert len(list_calls(connection, OPERATOR, CallFilter(text="dishwasher")).calls) == 1
        is_sqlite = connection.dialect.name == "sqlite"
        assert [statement.split()[0] for statement, _ in sent] == ["SELECT"] * (3 if is_sqlite else 2)


def test_postgresql_plans_the_lines_of_a_page_once_however_few_they_are(postgres_url: str):
    database = Database(postgres_url)
    upgrade(database)
    with database.write() as connection:
        seed_taxonomy(connection)
        for _ in range(3):
            seed_call(connection)
        for _ in range(20):
            list_calls(connection, OPERATOR, CallFilter())
        prepared = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement LIKE '%%headline%%'"
        assert connection.exec_driver_sql(prepared).all() == [(10, 5)]
    database.dispose()


def test_postgresql_looks_for_names_by_their_parts(postgres_url: str):
    database = Database(postgres_url)
    upgrade(database)
    with database.write() as connection:
        if connection.exec_driver_sql("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'").first() is None:
            pytest.skip("PostgreSQL without pg_trgm")
        seed_taxonomy(connection)
        seed_call(connection, contact_number="+12065550100")
        seed_call(connection, customer_name="Ann Poe")
        connection.exec_driver_sql("SET enable_seqscan = off")
        # Of two calls it would be as good.
        connection.exec_driver_sql("DROP INDEX ix_call_unfiled")
        sent = sent_from_now_on(connection)
        assert [line.customer_name for line in list_calls(connection, OPERATOR, CallFilter(customer="n po")).calls]
        used = [
            node.get("Index Name")
            for statement, values in list(sent)
            for [[plan]] in connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values)
            for node in nodes_of(plan["Plan"])
        ]
    assert {"ix_contact_name_trigrams", "ix_call_unfiled_name_trigrams"} <= set(used)
    database.dispose()


def test_counts_over_all_calls_are_read_from_indexes_alone(database: Database):
    """What a page of operations and one of reasons say of a million calls, in a glance."""
    with database.write() as connection:
        seed_taxonomy(connection)
        seed_call(connection)
        sent = sent_from_now_on(connection)
        assert status(connection, NOW)["done"] == taxonomy_versions(connection)[0].call_count == 1
        for statement, values in list(sent):
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values):
                table = row[-1].split()[1]
                if row[-1].startswith("SCAN") and table in {"call", "call_analysis"}:
                    assert "COVERING INDEX" in row[-1] or row[-1].split()[-1] in INDEXES_OF_FEW, (statement, row[-1])


def test_postgresql_begins_with_the_call_that_a_page_is_about(postgres_url: str):
    """It plans nine tables in the order in which they are named: beginning with all calls took seconds at a million."""
    database = Database(postgres_url)
    upgrade(database)
    with database.write() as connection:
        seed_taxonomy(connection)
        first = seed_call(connection, contact_number="+12065550100", happened_at=NOW - timedelta(days=1))
        call_id = seed_call(connection, contact_number="+12065550100")
        contact_id = connection.execute(sa.select(call.c.contact_id).where(call.c.id == call_id)).scalar_one()
        connection.exec_driver_sql("SET enable_seqscan = off")
        sent = sent_from_now_on(connection)
        call_in_full(connection, OPERATOR, call_id)
        assert [line.id for line in earlier_calls(connection, OPERATOR, call_id)] == [first]
        calls_of_customer(connection, OPERATOR, contact_id)
        reasons_of_customer(connection, OPERATOR, contact_id)
        for statement, values in list(sent):
            [[[plan]]] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values)
            for node in nodes_of(plan["Plan"]):
                if node.get("Relation Name") == "call":
                    assert "Index Cond" in node, statement
    database.dispose()


def nodes_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes_of(below)
