"""Every filter of the list is served by an index in the list's order, with statistics or without."""

from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from bench.web_calls import fill, names_of, phone_of
from crm.access import OPERATOR, Role, Viewer
from crm.call_filters import CallFilter, conditions_of, newest
from crm.calls import list_calls
from crm.database import Database
from crm.tables import agent, team
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


def plan_of(connection: sa.Connection, wanted: CallFilter, viewer: Viewer = OPERATOR) -> list[str]:
    keys = newest(connection, conditions_of(connection, viewer, wanted), count=51)
    compiled = sa.select(keys).compile(connection.engine, compile_kwargs={"literal_binds": True})
    return [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]


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


def test_a_page_of_the_list_is_two_statements_and_one_for_each_name_of_its_filter(any_database: Database):
    with any_database.write() as connection:
        seed_taxonomy(connection)
        for _ in range(3):
            seed_call(connection)
        sent: list[str] = []
        sa.event.listen(connection, "before_cursor_execute", lambda *given: sent.append(given[2]))
        list_calls(connection, OPERATOR, CallFilter())
        assert sum(statement.startswith("SELECT") for statement in sent) == 2
        list_calls(connection, OPERATOR, CallFilter(agent="andrew k", queue="deliveries"))
        assert sum(statement.startswith("SELECT") for statement in sent) == 6
