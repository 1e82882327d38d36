"""The rows of `fact_call` and `fact_call_reason` follow the calls: only what differs is written."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from analytics import dimensions
from analytics.aggregates import Deltas
from analytics.facts import REPEAT_PARTS, Fact, Keys, agreements, fact_of, reasons_of, source
from analytics.many_rows import ManyRows, all_of
from analytics.repeats import Concerned
from analytics.star import date_key, date_of, fact_call, fact_call_reason
from crm.tables import call

# So that a full recompute holds one month's facts in memory, and not all of them.
_SPAN_DAYS = 31
# A day's calls are searched this far around its midnights and then told apart by their own dates: there are zones whose
# clocks go back over midnight.
_AROUND = timedelta(hours=3)
_PART_OF_LIST = 500
_NOT_COMPARED = frozenset({"call_key", "modified_at_utc", *REPEAT_PARTS})
_INSERT = ManyRows(sa.insert(fact_call), all_of(fact_call), fills=fact_call)
_INSERT_REASONS = ManyRows(sa.insert(fact_call_reason), all_of(fact_call_reason), fills=fact_call_reason)
_UPDATE = ManyRows(
    sa.update(fact_call).where(fact_call.c.call_key == sa.bindparam("key")),
    all_of(fact_call) | {"key": fact_call.c.call_key.type},
)
_COMPARED = tuple(column.name for column in fact_call.columns if column.name not in _NOT_COMPARED)

Span = tuple[date, date]


@dataclass
class Changes:
    """A refresh under way: its moment, its zone, the keys of the dimensions, and what it has written so far.

    `days` are the keys of the days whose sums are to be made anew, `deltas` what is added to those of the others.
    """

    now: datetime
    zone: ZoneInfo
    fiscal_starts_in: int
    keys: Keys
    # Agents that are in another team than last time; both are keys.
    moved_agents: Mapping[int, int]
    days: set[int] = field(default_factory=set)
    deltas: Deltas = field(default_factory=Deltas)
    concerned: Concerned = field(default_factory=Concerned)

    def note(self, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> None:
        """A fact that is written or deleted: its sums change, its customer's calls have to be compared."""
        self.deltas.replace(before, after)
        for fact in (before, after):
            if fact is not None:
                self.concerned.add(fact["customer_key"], fact["happened_at_utc"])


def follow_calls(connection: sa.Connection, call_ids: Collection[UUID], changes: Changes) -> None:
    """Make the facts of these calls what the calls say; those of calls that are gone go."""
    for some in parts_of(list(call_ids)):
        rows = connection.execute(source().where(call.c.id.in_(some))).all()
        _write(connection, rows, _stored(connection, fact_call.c.call_id.in_(some)), changes)


def follow_days(connection: sa.Connection, days: set[date], changes: Changes) -> None:
    """Make the facts of all calls of these days what the calls say."""
    for span in _spans(days):
        stored = _stored(connection, fact_call.c.date_key.between(date_key(span[0]), date_key(span[1])))
        rows = _calls_of(connection, span, days, stored, changes.zone)
        for some in parts_of([row.id for row in rows if row.id not in stored]):
            stored |= _stored(connection, fact_call.c.call_id.in_(some))
        _write(connection, rows, stored, changes)


def follow_teams(connection: sa.Connection, agents: Iterable[tuple[int, int]], changes: Changes) -> None:
    """Let all calls of these agents be those of their team now; both are keys."""
    for agent_key, team_key in sorted(agents):
        moved = connection.execute(
            sa.update(fact_call)
            .where(fact_call.c.agent_key == agent_key, fact_call.c.team_key != team_key)
            .values(team_key=team_key, modified_at_utc=changes.now)
            .returning(fact_call.c.date_key)
        )
        changes.days |= set(moved.scalars())


def parts_of(many: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The list in pieces that a statement can name."""
    for start in range(0, len(many), _PART_OF_LIST):
        yield many[start : start + _PART_OF_LIST]


def _spans(days: Iterable[date]) -> Iterator[Span]:
    """The days as stretches without a gap, none longer than _SPAN_DAYS."""
    start = last = None
    for day in sorted(days):
        if start is None or last is None or day - last > timedelta(days=1) or (day - start).days >= _SPAN_DAYS:
            if start is not None and last is not None:
                yield start, last
            start = day
        last = day
    if start is not None and last is not None:
        yield start, last


def _calls_of(
    connection: sa.Connection, span: Span, days: set[date], stored: Collection[Any], zone: ZoneInfo
) -> list[Any]:
    """The calls of these days, and those that had a fact there: a call may have moved to another day."""
    begins_at = datetime.combine(span[0], time(), zone).astimezone(UTC) - _AROUND
    ends_at = datetime.combine(span[1] + timedelta(days=1), time(), zone).astimezone(UTC) + _AROUND
    near = connection.execute(source().where(call.c.happened_at >= begins_at, call.c.happened_at < ends_at))
    rows = [row for row in near if row.id in stored or row.happened_at.astimezone(zone).date() in days]
    read = {row.id for row in rows}
    for some in parts_of([call_id for call_id in stored if call_id not in read]):
        rows += connection.execute(source().where(call.c.id.in_(some))).all()
    return rows


def _stored(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> dict[UUID, Fact]:
    return {row.call_id: dict(row._mapping) for row in connection.execute(sa.select(fact_call).where(condition))}


def _write(connection: sa.Connection, rows: Sequence[Any], stored: dict[UUID, Fact], changes: Changes) -> None:
    """Write the facts of these rows of the calls, and take away what is stored of others."""
    dimensions.know_customers(connection, changes.keys, {row.contact_id for row in rows if row.contact_id is not None})
    agreed: dict[UUID, dict[str, int]] = {}
    for some in parts_of([row.id for row in rows]):
        agreed |= agreements(connection, some, changes.keys)
    facts = {row.id: fact_of(row, changes.zone, changes.keys, changes.now, agreed.get(row.id, {})) for row in rows}
    dimensions.know_dates(connection, {date_of(fact["date_key"]) for fact in facts.values()}, changes.fiscal_starts_in)
    _delete(connection, [stored[call_id] for call_id in stored if call_id not in facts], changes)
    new = [fact for call_id, fact in facts.items() if call_id not in stored]
    if new:
        _insert(connection, new, changes)
    changed = []
    for call_id, before in stored.items():
        fact = facts.get(call_id)
        if fact is None:
            continue
        fact["call_key"] = before["call_key"]
        if any(before[name] != fact[name] for name in _COMPARED):
            if fact["customer_key"] == before["customer_key"]:
                # Whether it is repeated is told when the customer's calls are compared.
                fact |= {name: before[name] for name in REPEAT_PARTS}
            changed.append(fact | {"modified_at_utc": changes.now, "key": before["call_key"]})
            changes.note(before, fact)
    _UPDATE.execute(connection, changed)
    _write_reasons(connection, rows, facts, stored, changes)


def _delete(connection: sa.Connection, gone: Sequence[Fact], changes: Changes) -> None:
    for some in parts_of([fact["call_key"] for fact in gone]):
        for table in (fact_call_reason, fact_call):
            connection.execute(sa.delete(table).where(table.c.call_key.in_(some)))
    for fact in gone:
        changes.note(fact, None)


def _insert(connection: sa.Connection, new: list[Fact], changes: Changes) -> None:
    first = dimensions.next_key(connection, fact_call)
    for number, fact in enumerate(new):
        fact |= {"call_key": first + number, "modified_at_utc": changes.now}
        changes.note(None, fact)
    # The facts themselves are still to be read.
    _INSERT.execute(connection, [dict(fact) for fact in new])


def _write_reasons(
    connection: sa.Connection,
    rows: Sequence[Any],
    facts: Mapping[UUID, Fact],
    stored: Mapping[UUID, Fact],
    changes: Changes,
) -> None:
    wanted = {}
    for row in rows:
        fact = facts[row.id]
        for reason_key, rank in reasons_of(row, changes.keys).items():
            wanted[fact["call_key"], reason_key] = (fact["date_key"], rank, fact["is_sample"])
    known: dict[tuple[int, int], tuple[int, int, bool]] = {}
    at = fact_call_reason.c
    for some in parts_of([stored[call_id]["call_key"] for call_id in stored if call_id in facts]):
        found = connection.execute(
            sa.select(at.call_key, at.reason_key, at.date_key, at.rank, at.is_sample).where(at.call_key.in_(some))
        )
        known |= {(row.call_key, row.reason_key): (row.date_key, row.rank, row.is_sample) for row in found}
    gone = [key for key, values in known.items() if wanted.get(key) != values]
    if gone:
        connection.execute(
            sa.delete(fact_call_reason).where(
                at.call_key == sa.bindparam("of_call"), at.reason_key == sa.bindparam("of_reason")
            ),
            [{"of_call": call_key, "of_reason": reason_key} for call_key, reason_key in gone],
        )
    new = [
        {"call_key": key[0], "reason_key": key[1], "date_key": values[0], "rank": values[1], "is_sample": values[2]}
        | {"modified_at_utc": changes.now}
        for key, values in wanted.items()
        if known.get(key) != values
    ]
    _INSERT_REASONS.execute(connection, new)
    # An export asks the facts whether anything about a day has changed (export_days.py).
    held = {fact["call_key"] for fact in stored.values()}
    changed = held & ({call_key for call_key, _ in gone} | {row["call_key"] for row in new})
    for some in parts_of(sorted(changed)):
        stamped = sa.update(fact_call).where(fact_call.c.call_key.in_(some))
        connection.execute(stamped.values(modified_at_utc=changes.now))
