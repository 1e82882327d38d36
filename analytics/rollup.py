"""The roll-ups: the star schema follows the calls, day by day, in one transaction, and equals a full recompute exactly.

Whatever changes a call marks its day in `touched_day` in the same transaction. `refresh` takes the marks, recomputes
the facts of those days, compares them with the stored ones and writes the differences; then it looks at the calls of
the customers concerned for repeated ones (which may change a call up to a week earlier), and sums the changed days
anew.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from analytics import dimensions
from analytics.facts import REPEAT_PARTS, REPEAT_WINDOW, Fact, Keys, fact_of, source
from analytics.parts import PART_NAMES
from analytics.repeats import Concerned, mark_repeats
from analytics.star import AGGREGATES, date_key, date_of, fact_call, refresh_state
from calls.errors import SettingsError
from crm.database import Database, insert
from crm.tables import UtcDateTime, call, touched_day

# So that a full recompute holds one month's facts in memory, and not all of them.
_SPAN_DAYS = 31
# A day's calls are searched this far around its midnights and then told apart by their own dates: there are zones whose
# clocks go back over midnight.
_AROUND = timedelta(hours=3)
_PART_OF_LIST = 500
_ONE_AT_A_TIME = 0x63616C6C77697365
_NOT_COMPARED = frozenset({"call_key", "modified_at_utc", *REPEAT_PARTS})

Span = tuple[date, date]


@dataclass
class _Changes:
    """A refresh under way: its moment, its zone, the keys of the dimensions, and what it has written so far."""

    now: datetime
    zone: ZoneInfo
    keys: Keys
    days: set[int] = field(default_factory=set)
    concerned: Concerned = field(default_factory=Concerned)

    def note(self, fact: Any) -> None:
        """A fact that is written or deleted: its day has to be summed, its customer's calls have to be compared."""
        self.days.add(fact["date_key"])
        self.concerned.add(fact["customer_key"], fact["happened_at_utc"])


def refresh(database: Database, zone: str, now: datetime | None = None) -> int:
    """Bring the star schema up to date; returns how many days were recomputed.

    `zone` is the site's, an IANA name: its days are counted by, and another one than last time means to recompute all.
    Raises SettingsError for a name that is none.
    """
    now, site = now or datetime.now(UTC), _zone(zone)
    with database.read() as connection:
        if not _has_work(connection, zone, now):
            return 0
    with database.write() as connection:
        _lock(connection)
        state = connection.execute(sa.select(refresh_state)).one_or_none()
        if state is None or state.time_zone != zone:
            return _recompute(connection, site, now)
        taken = connection.execute(sa.delete(touched_day).returning(touched_day.c.utc_day)).scalars().all()
        keys, moved_agents = dimensions.follow(connection)
        days = set(_local_days(set(taken), site)) | _days_of_agents(connection, moved_agents)
        changes = _Changes(now, site, keys)
        _follow_facts(connection, days, changes)
        _complete_windows(connection, state.refreshed_at_utc, changes)
        changes.days |= mark_repeats(connection, changes.concerned, now)
        _sum(connection, changes.days, now)
        _note_state(connection, zone, now)
        return len(days)


def recompute_all(database: Database, zone: str, now: datetime | None = None) -> int:
    """Make the star schema from the calls as if nothing had been there; returns how many days it covers.

    Facts that are right as they are keep their `modified_at_utc`; every sum is made anew.
    """
    with database.write() as connection:
        _lock(connection)
        return _recompute(connection, _zone(zone), now or datetime.now(UTC))


def _recompute(connection: sa.Connection, zone: ZoneInfo, now: datetime) -> int:
    connection.execute(sa.delete(touched_day))
    keys, _ = dimensions.follow(connection)
    days = _all_days(connection, zone)
    changes = _Changes(now, zone, keys)
    _follow_facts(connection, days, changes)
    changes.concerned.add_everyone()
    mark_repeats(connection, changes.concerned, now)
    for table in AGGREGATES:
        connection.execute(sa.delete(table))
    _sum(connection, {date_key(day) for day in days}, now)
    _note_state(connection, zone.key, now)
    return len(days)


def _has_work(connection: sa.Connection, zone: str, now: datetime) -> bool:
    state = connection.execute(sa.select(refresh_state)).one_or_none()
    if state is None or state.time_zone != zone:
        return True
    if connection.execute(sa.select(touched_day.c.utc_day).limit(1)).first():
        return True
    crossed = sa.select(fact_call.c.call_key).where(*_crossing(state.refreshed_at_utc, now)).limit(1)
    return connection.execute(crossed).first() is not None


def _lock(connection: sa.Connection) -> None:
    # SQLite's write transaction is alone already.
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingsError(f"site.time_zone: {name!r} is no IANA time zone; write one like Europe/Berlin") from None


def _local_days(utc_days: Iterable[date], zone: ZoneInfo) -> Iterator[date]:
    for utc_day in utc_days:
        starts_at = datetime.combine(utc_day, time(), UTC)
        # Hour by hour: where clocks go back over midnight, a date ends and begins again.
        for hour in range(24):
            yield (starts_at + timedelta(hours=hour)).astimezone(zone).date()
        yield (starts_at + timedelta(days=1) - timedelta(microseconds=1)).astimezone(zone).date()


def _days_of_agents(connection: sa.Connection, agent_keys: set[int]) -> set[date]:
    if not agent_keys:
        return set()
    rows = connection.execute(sa.select(fact_call.c.date_key).where(fact_call.c.agent_key.in_(agent_keys)).distinct())
    return {date_of(key) for key in rows.scalars()}


def _all_days(connection: sa.Connection, zone: ZoneInfo) -> set[date]:
    bounds = connection.execute(sa.select(sa.func.min(call.c.happened_at), sa.func.max(call.c.happened_at))).one()
    found = [moment.astimezone(zone).date() for moment in bounds if moment is not None]
    keys = connection.execute(sa.select(sa.func.min(fact_call.c.date_key), sa.func.max(fact_call.c.date_key))).one()
    found += [date_of(key) for key in keys if key is not None]
    if not found:
        return set()
    first, last = min(found) - timedelta(days=1), max(found) + timedelta(days=1)
    return {first + timedelta(days=n) for n in range((last - first).days + 1)}


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


def _follow_facts(connection: sa.Connection, days: set[date], changes: _Changes) -> None:
    """Make the facts of these days what the calls say."""
    for span in _spans(days):
        stored = _stored(connection, fact_call.c.date_key.between(date_key(span[0]), date_key(span[1])))
        rows = _calls_of(connection, span, days, stored, changes.zone)
        for some in _parts_of([row.id for row in rows if row.id not in stored]):
            stored |= _stored(connection, fact_call.c.call_id.in_(some))
        contact_ids = {row.contact_id for row in rows if row.contact_id is not None}
        dimensions.know_customers(connection, changes.keys, contact_ids)
        facts = {row.id: fact_of(row, changes.zone, changes.keys, changes.now) for row in rows}
        dimensions.know_dates(connection, {date_of(fact["date_key"]) for fact in facts.values()})
        _write_differences(connection, stored, facts, changes)


def _calls_of(
    connection: sa.Connection, span: Span, days: set[date], stored: Collection[Any], zone: ZoneInfo
) -> list[Any]:
    """The calls of these days, and those that had a fact there: a call may have moved to another day."""
    begins_at = datetime.combine(span[0], time(), zone).astimezone(UTC) - _AROUND
    ends_at = datetime.combine(span[1] + timedelta(days=1), time(), zone).astimezone(UTC) + _AROUND
    near = connection.execute(source().where(call.c.happened_at >= begins_at, call.c.happened_at < ends_at))
    rows = [row for row in near if row.id in stored or row.happened_at.astimezone(zone).date() in days]
    read = {row.id for row in rows}
    for some in _parts_of([call_id for call_id in stored if call_id not in read]):
        rows += connection.execute(source().where(call.c.id.in_(some))).all()
    return rows


def _stored(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> dict[Any, Any]:
    rows = connection.execute(sa.select(fact_call).where(condition)).mappings()
    return {row["call_id"]: row for row in rows}


def _write_differences(
    connection: sa.Connection, stored: dict[Any, Any], facts: dict[Any, Fact], changes: _Changes
) -> None:
    gone = [call_id for call_id in stored if call_id not in facts]
    for some in _parts_of([stored[call_id]["call_key"] for call_id in gone]):
        connection.execute(sa.delete(fact_call).where(fact_call.c.call_key.in_(some)))
    new = [fact for call_id, fact in facts.items() if call_id not in stored]
    changed = [fact for call_id, fact in facts.items() if call_id in stored and _differs(stored[call_id], fact)]
    for fact in (
        *(stored[call_id] for call_id in gone),
        *(stored[fact["call_id"]] for fact in changed),
        *new,
        *changed,
    ):
        changes.note(fact)
    if new:
        first = dimensions.next_key(connection, fact_call)
        for number, fact in enumerate(new):
            fact |= {"call_key": first + number, "modified_at_utc": changes.now}
        connection.execute(sa.insert(fact_call), new)
    if changed:
        values = [
            {**fact, "modified_at_utc": changes.now, "key": stored[fact["call_id"]]["call_key"]} for fact in changed
        ]
        connection.execute(sa.update(fact_call).where(fact_call.c.call_key == sa.bindparam("key")), values)


def _differs(stored: Any, fact: Fact) -> bool:
    return any(stored[name] != value for name, value in fact.items() if name not in _NOT_COMPARED)


def _crossing(last: datetime, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """The calls whose repeat window has ended between the moments; with the clock put back, those where it has not."""
    low, high = sorted((last, now))
    return fact_call.c.happened_at_utc > low - REPEAT_WINDOW, fact_call.c.happened_at_utc <= high - REPEAT_WINDOW


def _complete_windows(connection: sa.Connection, last: datetime, changes: _Changes) -> None:
    crossing = _crossing(last, changes.now)
    is_complete = fact_call.c.happened_at_utc <= changes.now - REPEAT_WINDOW
    rows = connection.execute(
        sa.update(fact_call)
        .where(*crossing, fact_call.c.is_window_complete != is_complete)
        .values(is_window_complete=is_complete, modified_at_utc=changes.now)
        .returning(fact_call.c.date_key, fact_call.c.customer_key, fact_call.c.happened_at_utc)
    )
    for row in rows.mappings():
        changes.note(row)


def _sum(connection: sa.Connection, day_keys: set[int], now: datetime) -> None:
    for table in AGGREGATES:
        grain = [column.name for column in table.primary_key]
        sums = [sa.func.sum(fact_call.c[name]).label(name) for name in PART_NAMES]
        for some in _parts_of(sorted(day_keys)):
            connection.execute(sa.delete(table).where(table.c.date_key.in_(some)))
            summed = (
                sa.select(*(fact_call.c[name] for name in grain), *sums, sa.literal(now, UtcDateTime))
                .where(fact_call.c.date_key.in_(some))
                .group_by(*(fact_call.c[name] for name in grain))
            )
            connection.execute(sa.insert(table).from_select([*grain, *PART_NAMES, "modified_at_utc"], summed))


def _note_state(connection: sa.Connection, zone: str, now: datetime) -> None:
    row = insert(connection, refresh_state).values(id=1, time_zone=zone, refreshed_at_utc=now)
    connection.execute(
        row.on_conflict_do_update(index_elements=["id"], set_={"time_zone": zone, "refreshed_at_utc": now})
    )


def _parts_of(many: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(many), _PART_OF_LIST):
        yield many[start : start + _PART_OF_LIST]
