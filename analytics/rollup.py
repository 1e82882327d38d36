"""The roll-ups: the star schema follows the calls, in one transaction, and equals a full recompute exactly.

Whatever changes a call marks it in `touched_call` in the same transaction; what concerns many calls marks their days in
`touched_day`. `refresh` takes the marks, compares the facts of those calls with the stored ones and writes the
differences; then it looks at the calls of the customers concerned for repeated ones (which may change a call up to a
week earlier), and adds to the sums what the facts have changed by. So what a call costs does not depend on how many
there are.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa

from analytics import aggregates, dimensions
from analytics.fact_places import forget, keys_of_doubles
from analytics.fact_rows import Changes, delete_facts, follow_calls, follow_days, follow_teams
from analytics.facts import REPEAT_WINDOW
from analytics.many_rows import Prepared
from analytics.repeats import mark_repeats
from analytics.star import date_of, fact_call, refresh_state
from analytics.zoned import site_zone
from calls.errors import SettingsError
from crm.database import Database, insert
from crm.tables import call, touched_day
from crm.touched_tables import touched_call

# As many calls as one transaction follows: on SQLite, others wait for their turn to write meanwhile.
MARKS_AT_ONCE = 2_000
_LIMIT: sa.ColumnElement[int] = sa.literal_column(str(MARKS_AT_ONCE))
_SOME = sa.select(touched_call.c.id).limit(_LIMIT)
# PostgreSQL is told where the marks lie: it counts the table mostly when it is empty, and then looks for each id by
# reading all of it.
_PLACE: sa.ColumnElement[str] = sa.literal_column("ctid")
_PLACES = sa.func.array(sa.select(_PLACE).select_from(touched_call).limit(_LIMIT).scalar_subquery())
_TAKE_MARKS = {
    name: Prepared(sa.delete(touched_call).where(some).returning(touched_call.c.call_id))
    for name, some in (("sqlite", touched_call.c.id.in_(_SOME)), ("postgresql", sa.any_(_PLACES) == _PLACE))
}
_ONE_AT_A_TIME = 0x63616C6C77697365


def refresh(
    database: Database, zone: str | None, now: datetime | None = None, *, fiscal_starts_in: int | None = None
) -> int:
    """Bring the star schema up to date; returns how many marks were followed, of days and of calls.

    `zone` is the site's, an IANA name: its days are counted by, and another one than last time means to recompute all;
    None where nobody names one: as it was, UTC at first.
    `fiscal_starts_in` is the month in which the fiscal year begins, None: as it was. Raises SettingsError for a name
    that is none.
    """
    if zone is None:
        with database.read() as connection:
            zone = site_zone(connection)
    now, site = now or datetime.now(UTC), _zone(zone)
    count = 0
    while True:
        with database.read() as connection:
            if not _has_work(connection, zone, now, fiscal_starts_in):
                return count
        with database.write() as connection:
            _lock(connection)
            state = connection.execute(sa.select(refresh_state)).one_or_none()
            if state is None or state.time_zone != zone:
                return count + _recompute(connection, site, now, state, fiscal_starts_in)
            # The marks first: whoever makes a call's agent marks the call with it, and both are seen then.
            marks = take_marks(connection)
            _follow(connection, marks, state, _changes(connection, site, now, state, fiscal_starts_in))
            count += len(marks.call_ids) + len(marks.utc_days)
            if len(marks.call_ids) < MARKS_AT_ONCE:
                return count


def recompute_all(
    database: Database, zone: str, now: datetime | None = None, *, fiscal_starts_in: int | None = None
) -> int:
    """Make the star schema from the calls as if nothing had been there; returns how many days it covers.

    Facts that are right as they are keep their `modified_at_utc`; every sum is made anew.
    """
    with database.write() as connection:
        _lock(connection)
        state = connection.execute(sa.select(refresh_state)).one_or_none()
        return _recompute(connection, _zone(zone), now or datetime.now(UTC), state, fiscal_starts_in)


@dataclass(frozen=True)
class Marks:
    """What has changed since the last refresh; the ids of calls are as the driver has them."""

    call_ids: Sequence[Any]
    utc_days: Sequence[date]


def take_marks(connection: sa.Connection) -> Marks:
    """Take the marks of days, and of up to MARKS_AT_ONCE calls."""
    days = sa.delete(touched_day).returning(touched_day.c.utc_day)
    calls = _TAKE_MARKS[connection.dialect.name].rows(connection)
    return Marks([row[0] for row in calls], connection.execute(days).scalars().all())


def _changes(
    connection: sa.Connection,
    zone: ZoneInfo,
    now: datetime,
    state: sa.Row[Any] | None,
    fiscal_starts_in: int | None,
) -> Changes:
    keys, moved_agents = dimensions.follow(connection)
    fiscal_starts_in = fiscal_starts_in or (state.fiscal_starts_in if state else 1)
    return Changes(now, zone, fiscal_starts_in, keys, moved_agents)


def _follow(connection: sa.Connection, marks: Marks, state: sa.Row[Any], changes: Changes) -> None:
    now = changes.now
    if connection.dialect.name == "postgresql":
        # What is looked for has just been written: it is in the memory, and its place there is as good as any.
        connection.exec_driver_sql("SET LOCAL random_page_cost = 1.1")
    if state.fiscal_starts_in != changes.fiscal_starts_in:
        dimensions.renew_dates(connection, changes.fiscal_starts_in)
    follow_teams(connection, changes.moved_agents.items(), changes)
    follow_calls(connection, dict.fromkeys(marks.call_ids), changes)
    follow_days(connection, set(_local_days(set(marks.utc_days), changes.zone)), changes)
    _complete_windows(connection, state.refreshed_at_utc, changes)
    mark_repeats(connection, changes.concerned, changes.deltas, now, last=state.refreshed_at_utc)
    aggregates.apply(connection, changes.deltas, but_not=changes.days, now=now)
    aggregates.sum_days(connection, changes.days, now)
    forget(connection, changes.moved_ids)
    _note_state(connection, changes)


def _recompute(
    connection: sa.Connection,
    zone: ZoneInfo,
    now: datetime,
    state: sa.Row[Any] | None,
    fiscal_starts_in: int | None,
) -> int:
    for marks in (touched_day, touched_call):
        connection.execute(sa.delete(marks))
    changes = _changes(connection, zone, now, state, fiscal_starts_in)
    changes.deltas.are_kept = False
    dimensions.renew_dates(connection, changes.fiscal_starts_in)
    delete_facts(connection, keys_of_doubles(connection))
    days = _all_days(connection, changes.zone)
    follow_days(connection, days, changes)
    changes.concerned.add_everyone()
    mark_repeats(connection, changes.concerned, changes.deltas, changes.now)
    aggregates.clear(connection)
    with_calls = connection.execute(sa.select(fact_call.c.date_key).distinct()).scalars().all()
    aggregates.sum_days(connection, with_calls, changes.now)
    forget(connection, changes.moved_ids)
    _note_state(connection, changes)
    return len(days)


def _has_work(connection: sa.Connection, zone: str, now: datetime, fiscal_starts_in: int | None) -> bool:
    state = connection.execute(sa.select(refresh_state)).one_or_none()
    if (
        state is None
        or state.time_zone != zone
        or (fiscal_starts_in or state.fiscal_starts_in) != state.fiscal_starts_in
    ):
        return True
    for marks in (touched_call, touched_day):
        if connection.execute(sa.select(marks.c.id).limit(1)).first():
            return True
    crossed = sa.select(fact_call.c.call_key).where(*_crossing(state.refreshed_at_utc, now)).limit(1)
    return connection.execute(crossed).first() is not None or dimensions.are_behind(connection)


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


def _all_days(connection: sa.Connection, zone: ZoneInfo) -> set[date]:
    bounds = connection.execute(sa.select(sa.func.min(call.c.happened_at), sa.func.max(call.c.happened_at))).one()
    found = [moment.astimezone(zone).date() for moment in bounds if moment is not None]
    keys = connection.execute(sa.select(sa.func.min(fact_call.c.date_key), sa.func.max(fact_call.c.date_key))).one()
    found += [date_of(key) for key in keys if key is not None]
    if not found:
        return set()
    first, last = min(found) - timedelta(days=1), max(found) + timedelta(days=1)
    return {first + timedelta(days=n) for n in range((last - first).days + 1)}


def _crossing(last: datetime, now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """The calls whose repeat window has ended between the moments; with the clock put back, those where it has not."""
    low, high = sorted((last, now))
    return fact_call.c.happened_at_utc > low - REPEAT_WINDOW, fact_call.c.happened_at_utc <= high - REPEAT_WINDOW


def _complete_windows(connection: sa.Connection, last: datetime, changes: Changes) -> None:
    crossing = _crossing(last, changes.now)
    is_complete = fact_call.c.happened_at_utc <= changes.now - REPEAT_WINDOW
    rows = connection.execute(
        sa.update(fact_call)
        .where(*crossing, fact_call.c.is_window_complete != is_complete)
        .values(is_window_complete=is_complete, modified_at_utc=changes.now)
        .returning(fact_call.c.customer_key, fact_call.c.happened_at_utc)
    )
    changes.concerned.add([(row.customer_key, row.happened_at_utc) for row in rows])


def _note_state(connection: sa.Connection, changes: Changes) -> None:
    values = {
        "time_zone": changes.zone.key,
        "fiscal_starts_in": changes.fiscal_starts_in,
        "refreshed_at_utc": changes.now,
    }
    row = insert(connection, refresh_state).values(id=1, **values)
    connection.execute(row.on_conflict_do_update(index_elements=["id"], set_=values))
