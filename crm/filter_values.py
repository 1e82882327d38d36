"""What the names of a filter stand for: the values that columns of `call` have to have, looked up in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from crm.access import EVERYBODYS, Viewer, own_agent, visible_agents
from crm.reason_tables import reason_successor
from crm.tables import agent, call, queue, team

if TYPE_CHECKING:
    from crm.call_filters import CallFilter

Chosen = tuple[sa.Column[Any], tuple[Any, ...]]


@dataclass(frozen=True)
class ChosenValues:
    """The columns that have to have one of some values: of `agent_id` those alone whose calls the viewer may see.

    `agent_count` says how many agents there are; None where they were not looked up.
    """

    columns: tuple[Chosen, ...]
    agent_count: int | None = None


def chosen_values(connection: sa.Connection, viewer: Viewer, wanted: "CallFilter") -> ChosenValues:
    """What `wanted` and the rights of `viewer` say of columns; no values where a name stands for nothing."""
    agents = _agents(viewer, wanted)
    looked_for = [] if agents is None or isinstance(agents, tuple) else [agents]
    if wanted.queue:
        queues = _named(call.c.queue_id, queue.c.id)
        looked_for.append(queues.where(sa.func.lower(queue.c.name) == wanted.queue.lower()))
    if wanted.reason:
        earlier = _named(call.c.reason_code, code=reason_successor.c.code)
        looked_for.append(earlier.where(reason_successor.c.successor_code == wanted.reason))
    rows: Sequence[sa.Row[Any]] = connection.execute(sa.union_all(*looked_for)).all() if looked_for else ()
    found: list[Chosen] = []
    if agents is not None:
        found.append((call.c.agent_id, agents if isinstance(agents, tuple) else _ids_in(rows, call.c.agent_id)))
    if wanted.queue:
        found.append((call.c.queue_id, _ids_in(rows, call.c.queue_id)))
    if wanted.reason:
        found.append((call.c.reason_code, (wanted.reason, *(row.code for row in rows if row.code is not None))))
    for column, value in (
        (call.c.outcome, wanted.outcome),
        (call.c.mood, wanted.sentiment),
        (call.c.direction, wanted.direction),
        (call.c.stage, wanted.stage),
    ):
        if value:
            found.append((column, (value,)))
    return ChosenValues(tuple(found), next((row.agents for row in rows if row.agents is not None), None))


def _agents(viewer: Viewer, wanted: "CallFilter") -> tuple[UUID, ...] | sa.Select[Any] | None:
    """The agents whose calls are wanted of those whose calls may be seen, or the query for them; None where that
    restricts nothing.
    """
    if not wanted.agent and not wanted.team:
        if viewer.role in EVERYBODYS:
            return None
        own = own_agent(viewer)
        if own is not None:
            return (own,)
    agents = sa.select(sa.func.count()).select_from(agent.alias()).scalar_subquery()
    found = _named(call.c.agent_id, agent.c.id, agents=agents).where(visible_agents(viewer))
    if wanted.agent:
        found = found.where(sa.func.lower(agent.c.display_name) == wanted.agent.lower())
    if wanted.team:
        of_team = sa.select(team.c.id).where(sa.func.lower(team.c.name) == wanted.team.lower())
        found = found.where(agent.c.team_id.in_(of_team))
    return found


def _named(
    column: sa.Column[Any],
    found_id: sa.ColumnElement[UUID] | None = None,
    *,
    code: sa.ColumnElement[str] | None = None,
    agents: sa.ColumnElement[int] | None = None,
) -> sa.Select[Any]:
    """Values of `column` as rows that look alike whatever is looked up."""
    columns: tuple[sa.ColumnElement[Any], ...] = (
        sa.literal_column(f"'{column.name}'", sa.Text).label("name"),
        (sa.cast(sa.null(), sa.Uuid()) if found_id is None else found_id).label("id"),
        (sa.cast(sa.null(), sa.Text) if code is None else code).label("code"),
        (sa.cast(sa.null(), sa.BigInteger) if agents is None else agents).label("agents"),
    )
    return sa.select(*columns)


def _ids_in(rows: Sequence[sa.Row[Any]], column: sa.Column[Any]) -> tuple[UUID, ...]:
    return tuple(sorted(row.id for row in rows if row.name == column.name))
