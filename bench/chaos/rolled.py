"""The star schema of a run, by the names of its dimensions, so that two runs can be compared."""

from typing import Any

import sqlalchemy as sa

from analytics.star import AGGREGATES, dim_agent, dim_queue, dim_reason, dim_team, fact_call
from crm.database import Database
from crm.tables import recording

# What was paid is compared with the side log; the rest are keys, and the times at which rows were written.
_LEFT_OUT = frozenset({"call_key", "call_id", "customer_key", "modified_at_utc", "cost_microusd"})
_DIMENSIONS = {
    "agent_key": (dim_agent, "name"),
    "team_key": (dim_team, "name"),
    "queue_key": (dim_queue, "name"),
    "reason_key": (dim_reason, "code"),
}

Rows = dict[str, Any]


def read_rolled(database: Database) -> dict[str, Rows]:
    """By table, the rows by what names them: a fact by its recording's key, a sum by its day and members."""
    with database.read() as connection:
        names = {
            column: dict(connection.execute(sa.select(next(iter(table.primary_key)), table.c[name])).all())
            for column, (table, name) in _DIMENSIONS.items()
        }
        keys = dict(
            connection.execute(
                sa.select(recording.c.call_id, recording.c.object_key).where(recording.c.is_current)
            ).all()
        )
        rolled: dict[str, Rows] = {"fact_call": {}}
        for row in connection.execute(sa.select(fact_call)).mappings():
            rolled["fact_call"][keys.get(row["call_id"], str(row["call_id"]))] = _named(row, names)
        for table in AGGREGATES:
            rows = (_named(row, names) for row in connection.execute(sa.select(table)).mappings())
            rolled[table.name] = {
                str([row[column.name] for column in table.primary_key]): row for row in rows if any(_counts(row))
            }
    return rolled


def _named(row: Any, names: dict[str, dict[Any, Any]]) -> Rows:
    if "member_key" in row:
        members = names.get(f"{row['dimension']}_key", {})
        row = dict(row) | {"member_key": members.get(row["member_key"], row["member_key"])}
    return {
        column: names[column].get(value, value) if column in names else value
        for column, value in row.items()
        if column not in _LEFT_OUT
    }


def _counts(row: Rows) -> list[int]:
    return [value for name, value in row.items() if name.endswith("_count") and value]
