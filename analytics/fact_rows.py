"""The rows of `fact_call` and `fact_call_reason` follow the calls: only what differs is written."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from analytics import dimensions
from analytics.aggregates import Deltas
from analytics.fact_parts import Columns
from analytics.fact_places import STORED, Stored, placed, places_of_gone, stored, stored_at
from analytics.facts import (
    CALLS,
    CALLS_BETWEEN,
    FACT_NAMES,
    PLACE,
    REPEATS_AT,
    Fact,
    Keys,
    agreements,
    costs,
    facts_of,
    reasons_of,
)
from analytics.many_rows import Among, Filling, Prepared, as_stored, moment_of
from analytics.repeats import Concerned
from analytics.star import date_key, date_of, fact_call, fact_call_reason
from calls.pipeline import TERMINAL_STAGES

# So that a full recompute holds one month's facts in memory, and not all of them.
_SPAN_DAYS = 31
# A day's calls are searched this far around its midnights and then told apart by their own dates: there are zones whose
# clocks go back over midnight.
_AROUND = timedelta(hours=3)
_AT_ONCE = 2_000
_AT = fact_call.c
_STORED_OF_DAYS = Prepared(
    STORED.where(_AT.date_key.between(sa.bindparam("first"), sa.bindparam("last"))), ["first", "last"]
)
_INSERT, _INSERT_REASONS = Filling(fact_call), Filling(fact_call_reason)
# A call keeps its id.
_UPDATE_NAMES = [*FACT_NAMES[1:], "modified_at_utc"]
_UPDATE = Prepared(
    sa.update(fact_call)
    .where(_AT.call_key == sa.bindparam("key"))
    .values({name: sa.bindparam(f"new_{name}") for name in _UPDATE_NAMES}),
    [*(f"new_{name}" for name in _UPDATE_NAMES), "key"],
)
_STAMP = Prepared(
    sa.update(fact_call).where(Among(_AT.call_key, "keys")).values(modified_at_utc=sa.bindparam("now")),
    ["keys", "now"],
)
_OF = fact_call_reason.c
_REASONS_OF = Prepared(
    sa.select(_OF.call_key, _OF.reason_key, _OF.date_key, _OF.rank, _OF.is_sample).where(Among(_OF.call_key, "keys")),
    ["keys"],
)
_DELETE_REASON = Prepared(
    sa.delete(fact_call_reason).where(_OF.call_key == sa.bindparam("key"), _OF.reason_key == sa.bindparam("reason")),
    ["key", "reason"],
)
_DELETE = [
    Prepared(sa.delete(table).where(Among(table.c.call_key, "keys")), ["keys"])
    for table in (fact_call_reason, fact_call)
]

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

    # The keys that contacts have been given in this refresh.
    customers: dict[Any, int] = field(default_factory=dict)
    # The moves of calls that have been followed.
    moved_ids: set[Any] = field(default_factory=set)

    def note(self, before: Sequence[Fact], after: Sequence[Fact]) -> None:
        """Facts that are no more and facts that are new: sums change, and the customers' calls have to be compared."""
        self.deltas.replace(before, after)
        self.concerned.replace(before, after)


def follow_calls(connection: sa.Connection, call_ids: Collection[Any], changes: Changes) -> None:
    """Make the facts of these calls what the calls say; those of calls that are gone go."""
    for some in parts_of(list(call_ids)):
        rows, places = placed(CALLS.rows(connection, call_ids=some), changes.moved_ids)
        if gone := set(some).difference(row.id for row in rows):
            places += places_of_gone(connection, gone, changes.moved_ids)
        _write(connection, rows, stored_at(connection, places), changes)


def follow_days(connection: sa.Connection, days: set[date], changes: Changes) -> None:
    """Make the facts of all calls of these days what the calls say."""
    for span in _spans(days):
        of_days = _STORED_OF_DAYS.rows(connection, first=date_key(span[0]), last=date_key(span[1]))
        held = stored(of_days)
        rows, places = placed(_calls_of(connection, span, days, held, changes.zone), changes.moved_ids)
        for some in parts_of([place for place in places if place[1] not in held]):
            held |= stored_at(connection, some)
        for some_rows in parts_of(rows):
            of_some = {row.id: held.pop(row.id) for row in some_rows if row.id in held}
            _write(connection, some_rows, of_some, changes)
        # What is left is of calls that are no more.
        _write(connection, [], held, changes)


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


def parts_of(many: list[Any]) -> Iterator[list[Any]]:
    """The list in pieces."""
    for start in range(0, len(many), _AT_ONCE):
        yield many[start : start + _AT_ONCE]


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
    connection: sa.Connection, span: Span, days: set[date], held: Collection[Any], zone: ZoneInfo
) -> list[Any]:
    """The calls of these days, and those that had a fact there: a call may have moved to another day."""
    begins_at = datetime.combine(span[0], time(), zone).astimezone(UTC) - _AROUND
    ends_at = datetime.combine(span[1] + timedelta(days=1), time(), zone).astimezone(UTC) + _AROUND
    near = CALLS_BETWEEN.rows(connection, since=begins_at, until=ends_at)
    rows = [row for row in near if row.id in held or moment_of(row.happened_at).astimezone(zone).date() in days]
    read = {row.id for row in rows}
    for some in parts_of([call_id for call_id in held if call_id not in read]):
        rows += CALLS.rows(connection, call_ids=some)
    return rows


def _write(connection: sa.Connection, rows: Sequence[Any], stored: Stored, changes: Changes) -> None:
    """Write the facts of those of the calls that have ended their way, and take away what is stored of others."""
    ended = [row for row in rows if row.stage in TERMINAL_STAGES]
    gone = stored.keys() - {row.id for row in ended}
    if gone:
        _delete(connection, [stored[call_id] for call_id in gone], changes)
    if not ended:
        return
    calls = dict(zip(ended[0]._fields, zip(*ended, strict=True), strict=True))
    facts = _made(connection, calls, changes)
    keys = {call_id: key for call_id, (key, _) in stored.items()}
    new, before, after = [], [], []
    for fact in facts:
        if fact[0] not in stored:
            new.append(fact)
            continue
        _, held = stored[fact[0]]
        # Whether it is repeated is told when the customer's calls are compared, once its window is over.
        is_kept = fact[_CUSTOMER] == held[_CUSTOMER] and fact[_IS_OVER]
        made = fact[: REPEATS_AT.start] + held[REPEATS_AT] + fact[REPEATS_AT.stop :] if is_kept else fact
        if made != held:
            before.append(held)
            after.append(made)
    now = as_stored(connection, changes.now)
    if new:
        first = dimensions.next_key(connection, fact_call)
        keys |= {fact[0]: first + number for number, fact in enumerate(new)}
        _INSERT.many(connection, [(keys[fact[0]], *fact, now) for fact in new])
    _UPDATE.many(connection, [(*fact[1:], now, keys[fact[0]]) for fact in after])
    changes.note(before, [*new, *after])
    wanted = {
        (keys[fact[0]], reason_key): (fact[_DATE], rank, fact[_SAMPLE])
        for fact, reasons in zip(facts, reasons_of(calls, changes.keys), strict=True)
        for reason_key, rank in reasons.items()
    }
    _write_reasons(connection, wanted, [key for key, _ in stored.values()], changes)


def _made(connection: sa.Connection, calls: Columns, changes: Changes) -> list[Fact]:
    """The facts of these calls; the dimensions know their customers and their days."""
    pairs = zip(calls["contact_id"], calls["customer_key"], strict=True)
    unknown = {contact_id for contact_id, key in pairs if key is None} - {None, *changes.customers}
    changes.customers |= dimensions.know_customers(connection, unknown)
    call_ids = as_stored(connection, list(calls["id"]))
    paid = costs(connection, call_ids)
    of_call = [paid.get(call_id, (0, 0)) for call_id in calls["id"]]
    calls = {**calls, **dict(zip(("cost_microusd", "unpriced_request_count"), zip(*of_call, strict=True), strict=True))}
    agreed = agreements(connection, call_ids, changes.keys)
    facts = facts_of(calls, changes.keys, agreed, changes.customers, zone=changes.zone, now=changes.now)
    days = {fact[_DATE] for fact in facts}
    dimensions.know_dates(connection, map(date_of, days), changes.fiscal_starts_in)
    return facts


def delete_facts(connection: sa.Connection, keys: Sequence[int]) -> None:
    """Delete the facts with these keys, whatever the sums have of them."""
    for delete in _DELETE:
        delete.run(connection, keys=sorted(keys))


def _delete(connection: sa.Connection, gone: Sequence[tuple[int, Fact]], changes: Changes) -> None:
    delete_facts(connection, [key for key, _ in gone])
    changes.note([fact for _, fact in gone], [])


def _write_reasons(
    connection: sa.Connection,
    wanted: Mapping[tuple[int, int], tuple[Any, ...]],
    held: list[int],
    changes: Changes,
) -> None:
    """`wanted` are day, rank and flag by the keys of fact and reason; `held` the keys of the facts stored before."""
    rows: Iterable[Any] = _REASONS_OF.rows(connection, keys=held) if held else []
    known = {tuple(row[:2]): tuple(row[2:]) for row in rows}
    gone = [key for key, values in known.items() if wanted.get(key) != values]
    _DELETE_REASON.many(connection, gone)
    now = as_stored(connection, changes.now)
    new = [(*key, *values, now) for key, values in wanted.items() if known.get(key) != values]
    _INSERT_REASONS.many(connection, new)
    # An export asks the facts whether anything about a day has changed (export_days.py).
    changed = {key for key, _ in gone} | ({row[0] for row in new} & set(held))
    if changed:
        _STAMP.run(connection, keys=sorted(changed), now=changes.now)


_DATE, _CUSTOMER, _SAMPLE = PLACE["date_key"], PLACE["customer_key"], PLACE["is_sample"]
_IS_OVER = PLACE["is_window_complete"]
