"""What telephony says of a call, as columns; agents, teams and queues are found or made by name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.pipeline import FILE, Stage
from calls.recording import CallFacts
from crm import jobs
from crm.database import insert
from crm.results import file_call
from crm.swaps import rename_speakers
from crm.tables import agent, call, job, queue, team

# Facts that stand in columns of the same name.
_PLAIN = (
    "initial_call_id",
    "previous_call_id",
    "direction",
    "from_number_e164",
    "to_number_e164",
    "customer_name",
    "queued_at",
    "started_at",
    "answered_at",
    "ended_at",
    "hold_time_s",
    "hold_count",
    "acw_time_s",
    "is_transferred",
    "disconnect_reason",
    "agent_channel",
)
_values = attrgetter(*_PLAIN)


@dataclass(frozen=True)
class Named:
    """The ids of the agents and queues that facts name."""

    agents: Mapping[str, UUID] = field(default_factory=dict)
    queues: Mapping[str, UUID] = field(default_factory=dict)


def is_anybody_named(facts: CallFacts) -> bool:
    """Whether an agent, a team or a queue is named."""
    return bool(facts.agent_name or facts.team_name or facts.queue_name)


def upsert_named(connection: sa.Connection, told: Iterable[CallFacts]) -> Named:
    """Find or make every agent, team and queue that is named. An agent's e-mail and team are set once they are told."""
    given = [facts for facts in told if is_anybody_named(facts)]
    if not given:
        return Named()
    teams = _ids(connection, team, "name", {facts.team_name for facts in given})
    queues = _ids(connection, queue, "name", {facts.queue_name for facts in given})
    agents = _ids(connection, agent, "display_name", {facts.agent_name for facts in given})
    known = {(f.agent_name, f.agent_email, f.team_name) for f in given if f.agent_email or f.team_name}
    for name, email, team_name in sorted(known, key=str):
        if name is not None:
            connection.execute(
                sa.update(agent)
                .where(agent.c.id == agents[name])
                .values(
                    email=sa.func.coalesce(sa.literal(email, sa.Text), agent.c.email),
                    team_id=sa.func.coalesce(sa.literal(teams.get(team_name or ""), sa.Uuid), agent.c.team_id),
                )
            )
    return Named(agents=agents, queues=queues)


def told_columns(facts: CallFacts, named: Named) -> dict[str, Any]:
    """The columns of `call` that telephony spoke of; what it did not say is left out."""
    columns = {name: value for name, value in zip(_PLAIN, _values(facts), strict=True) if value is not None}
    if facts.agent_name:
        columns["agent_id"] = named.agents[facts.agent_name]
    if facts.queue_name:
        columns["queue_id"] = named.queues[facts.queue_name]
    return columns


def columns_of(facts: Sequence[CallFacts], named: Named) -> dict[str, Sequence[Any]]:
    """The same of many calls, column by column; what nobody said of any of them is left out."""
    set_in_any: set[str] = set().union(*map(vars, facts))
    made = {name: list(map(attrgetter(name), facts)) for name in _PLAIN if name in set_in_any}
    columns: dict[str, Sequence[Any]] = {
        name: values for name, values in made.items() if any(value is not None for value in values)
    }
    if named.agents:
        columns["agent_id"] = [named.agents.get(told.agent_name or "") for told in facts]
    if named.queues:
        columns["queue_id"] = [named.queues.get(told.queue_name or "") for told in facts]
    return columns


def all_columns(facts: CallFacts, named: Named) -> dict[str, Any]:
    """Every column of `call` that telephony may speak of, None where it did not."""
    empty: dict[str, Any] = dict.fromkeys((*_PLAIN, "agent_id", "queue_id"))
    return empty | told_columns(facts, named)


def set_facts(
    connection: sa.Connection,
    call_id: UUID,
    facts: CallFacts,
    *,
    now: datetime,
    profile: str | None = None,
    source_system: str | None = None,
    spare_id: str | None = None,
) -> bool:
    """Let these be the call's facts, all that telephony has said so far; returns whether anything changed.

    What follows from them follows at once: the call is marked for the roll-ups, a
    transcript whose agent is on the other channel than was thought gets its speakers renamed, and a finished call whose
    customer, direction or time changed is filed again. `profile` names who read the facts and `source_system` whose id
    they tell, None where that stays as it is; `spare_id` is the call's where another one has that id.
    """
    before = connection.execute(sa.select(call).where(call.c.id == call_id).with_for_update()).mappings().one()
    told = all_columns(facts, upsert_named(connection, [facts])) | {"attributes": dict(facts.attributes)}
    told["happened_at"] = facts.started_at or before["received_at"]
    if profile is not None:
        told["profile"] = profile
    told |= _name(connection, before, facts, source_system, spare_id)
    changed = {name: value for name, value in told.items() if before[name] != value}
    if not changed:
        return False
    connection.execute(sa.update(call).where(call.c.id == call_id).values(**changed, modified_at=now))
    jobs.touch_call(connection, call_id)
    channel = facts.agent_channel if "agent_channel" in changed else None
    if channel is not None and rename_speakers(connection, call_id, channel, now=now):
        # It is understood again, and filed after that.
        return True
    refiled = {"from_number_e164", "to_number_e164", "direction", "customer_name", "happened_at"}
    if before["stage"] == Stage.DONE and refiled & changed.keys():
        _file_again(connection, call_id, now)
    return True


def _name(
    connection: sa.Connection, before: sa.RowMapping, facts: CallFacts, source_system: str | None, spare_id: str | None
) -> dict[str, str]:
    """The columns that let people find the call under the id that telephony tells late; none where another call has it
    and there is no other to take.
    """
    known, told = before["external_call_id"], facts.external_call_id
    wanted = told or known
    named = {"source_system": source_system or before["source_system"], "external_call_id": known}
    is_named = known == wanted or known.startswith(f"{wanted}~")
    if named["source_system"] != before["source_system"] or not is_named:
        ids = (wanted, spare_id) if told else (wanted,)
        free = (one for one in ids if one and not _is_taken(connection, before["id"], named["source_system"], one))
        named["external_call_id"] = next(free, "")
        if not named["external_call_id"]:
            return {}
    if named["external_call_id"] != wanted:
        # The recordings of one call find each other by it.
        named["initial_call_id"] = facts.initial_call_id or wanted
    return named


def _is_taken(connection: sa.Connection, call_id: UUID, source_system: str, external_call_id: str) -> bool:
    """Whether another call than this has the name."""
    has_it = sa.and_(
        call.c.source_system == source_system, call.c.external_call_id == external_call_id, call.c.id != call_id
    )
    return bool(connection.execute(sa.select(sa.exists().where(has_it))).scalar_one())


def _file_again(connection: sa.Connection, call_id: UUID, now: datetime) -> None:
    row = jobs.first_job(call_id, now, step=FILE)
    queued = connection.execute(
        insert(connection, job)
        .values(row)
        .on_conflict_do_nothing(index_elements=["call_id"])
        # PostgreSQL's driver counts no rows for an INSERT that may do nothing.
        .returning(job.c.call_id)
    ).one_or_none()
    if queued is None:
        # It waits to be asked about under other reasons: that order must not be lost, so it is filed here and now.
        file_call(connection, call_id)
        return
    connection.execute(sa.update(call).where(call.c.id == call_id).values(stage=Stage.UNDERSTOOD, finished_at=None))


def _ids(connection: sa.Connection, table: sa.Table, column: str, names: set[str | None]) -> dict[str, UUID]:
    # Sorted: two transactions that make the same names in different orders would wait for each other for ever.
    wanted = sorted(name for name in names if name)
    if not wanted:
        return {}
    named = table.c[column]
    read = sa.select(named, table.c.id).where(named.in_(wanted))
    found: dict[str, UUID] = {row[0]: row[1] for row in connection.execute(read)}
    new = [name for name in wanted if name not in found]
    if new:
        connection.execute(
            insert(connection, table).on_conflict_do_nothing(index_elements=[column]),
            [{"id": uuid4(), column: name} for name in new],
        )
        found = {row[0]: row[1] for row in connection.execute(read)}
    return found
