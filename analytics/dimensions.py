"""The dimensions follow the CRM tables: a key is given once and keeps its meaning; names and flags follow."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from analytics.facts import Keys, ReasonKey
from analytics.star import (
    UNKNOWN,
    UNKNOWN_CODE,
    date_key,
    date_of,
    dim_agent,
    dim_customer,
    dim_date,
    dim_queue,
    dim_reason,
    dim_team,
)
from calls.reasons import INSUFFICIENT, OTHER
from crm.tables import agent, queue, reason, taxonomy, team
from crm.taxonomies import known_successors

_GENERAL = {
    OTHER: ("Other", "A reason that the taxonomy does not name."),
    INSUFFICIENT: ("Not enough said", "Too little was said to tell the reason."),
}


def follow(connection: sa.Connection) -> tuple[Keys, dict[int, int]]:
    """Bring the dimensions up to date; returns the keys, and the agents that have changed their team, with that."""
    teams = _members(connection, dim_team, "team_id", sa.select(team.c.id, team.c.name))
    queues = _members(connection, dim_queue, "queue_id", sa.select(queue.c.id, queue.c.name))
    before = {row.agent_key: row.team_key for row in connection.execute(sa.select(dim_agent))}
    rows = connection.execute(sa.select(agent.c.id, agent.c.display_name, agent.c.is_active, agent.c.team_id)).all()
    wanted: dict[Any, dict[str, Any]] = {
        row.id: {"name": row.display_name, "team_key": teams.get(row.team_id, UNKNOWN), "is_active": row.is_active}
        for row in rows
    }
    agents = _merge(connection, dim_agent, "agent_id", wanted)
    # The member for the customer who is not known; the others come with their calls.
    if not connection.execute(sa.select(dim_customer).where(dim_customer.c.customer_key == UNKNOWN)).first():
        connection.execute(sa.insert(dim_customer).values(customer_key=UNKNOWN))
    pairs = {id_: (agents[id_], values["team_key"]) for id_, values in wanted.items()}
    moved = {key: team_key for key, team_key in pairs.values() if before.get(key, team_key) != team_key}
    following = known_successors(connection)
    return Keys(reason=_reasons(connection, following), queue=queues, agent=pairs, following=following), moved


def know_customers(connection: sa.Connection, keys: Keys, contact_ids: Iterable[UUID]) -> None:
    """Give every one of these contacts a key."""
    missing = sorted(set(contact_ids) - keys.customer.keys())
    for start in range(0, len(missing), 500):
        some = missing[start : start + 500]
        rows = connection.execute(sa.select(dim_customer).where(dim_customer.c.contact_id.in_(some)))
        keys.customer.update({row.contact_id: row.customer_key for row in rows})
    new = [contact_id for contact_id in missing if contact_id not in keys.customer]
    if new:
        first = next_key(connection, dim_customer)
        added = {contact_id: first + n for n, contact_id in enumerate(new)}
        connection.execute(
            sa.insert(dim_customer), [{"customer_key": key, "contact_id": id_} for id_, key in added.items()]
        )
        keys.customer.update(added)


def know_dates(connection: sa.Connection, days: Iterable[date], fiscal_starts_in: int) -> None:
    """Let the table of dates hold these days and the Mondays of their weeks without a gap, from a first of January to
    a last of December.
    """
    given = set(days)
    wanted = sorted(given | {monday_of(day) for day in given})
    if not wanted:
        return
    known = connection.execute(sa.select(sa.func.min(dim_date.c.date_key), sa.func.max(dim_date.c.date_key))).one()
    low, high = (date_of(key) if key is not None else None for key in known)
    start = min(date(wanted[0].year, 1, 1), low or date.max)
    end = max(date(wanted[-1].year, 12, 31), high or date.min)
    rows = []
    day = start
    while day <= end:
        if low is None or high is None or not low <= day <= high:
            rows.append(date_row(day, fiscal_starts_in))
        day += timedelta(days=1)
    if rows:
        connection.execute(sa.insert(dim_date), rows)


def date_row(day: date, fiscal_starts_in: int) -> dict[str, Any]:
    """The row of one date; the fiscal year begins in that month, 1 to 12."""
    iso = day.isocalendar()
    return {
        "date_key": date_key(day),
        "date": day,
        "year": day.year,
        "quarter": (day.month + 2) // 3,
        "month": day.month,
        "month_key": f"{day.year:04}-{day.month:02}",
        "month_name": _MONTHS[day.month - 1],
        "day_of_month": day.day,
        "weekday": iso.weekday,
        "weekday_name": _WEEKDAYS[iso.weekday - 1],
        "is_weekend": iso.weekday >= 6,
        "iso_year": iso.year,
        "iso_week": iso.week,
        "iso_week_key": f"{iso.year:04}-W{iso.week:02}",
        "week_starts_on": monday_of(day),
        "week_starts_on_key": date_key(monday_of(day)),
        "month_starts_on_key": date_key(day.replace(day=1)),
        **_fiscal(day, fiscal_starts_in),
    }


def monday_of(day: date) -> date:
    """The Monday of the day's ISO week."""
    return day - timedelta(days=day.weekday())


def _fiscal(day: date, starts_in: int) -> dict[str, int]:
    months = (day.month - starts_in) % 12
    # A fiscal year that begins in January is the calendar's.
    return {
        "fiscal_year": day.year + int(starts_in > 1 and day.month >= starts_in),
        "fiscal_quarter": months // 3 + 1,
    }


def renew_dates(connection: sa.Connection, fiscal_starts_in: int) -> None:
    """Write the rows of the dates that are there anew: another fiscal year, or columns that have come since."""
    keys = connection.execute(sa.select(dim_date.c.date_key)).scalars().all()
    rows = [date_row(date_of(key), fiscal_starts_in) | {"key": key} for key in keys]
    if rows:
        connection.execute(sa.update(dim_date).where(dim_date.c.date_key == sa.bindparam("key")), rows)


# Not by the locale of whoever runs it.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def next_key(connection: sa.Connection, table: sa.Table) -> int:
    """The lowest key that no row has had; roll-ups run one at a time, so that nobody else takes it."""
    key = next(iter(table.primary_key))
    highest = connection.execute(sa.select(sa.func.max(key))).scalar_one()
    return max(highest or 0, 0) + 1


def _members(connection: sa.Connection, table: sa.Table, id_name: str, rows: sa.Select[Any]) -> dict[UUID, int]:
    wanted = {row.id: {"name": row.name} for row in connection.execute(rows)}
    return _merge(connection, table, id_name, wanted)


def _merge(
    connection: sa.Connection, table: sa.Table, id_name: str, wanted: Mapping[Any, dict[str, Any]]
) -> dict[UUID, int]:
    """Insert what is new, update what differs, keep what is gone (facts may still point to it); returns key by id."""
    key = next(iter(table.primary_key))
    known = {row[id_name]: row for row in connection.execute(sa.select(table)).mappings()}
    if None not in known:
        connection.execute(sa.insert(table).values(**_unknown(table, key.name)))
    result = {id_: row[key.name] for id_, row in known.items() if id_ is not None}
    number = next_key(connection, table)
    for id_, values in wanted.items():
        if id_ not in known:
            result[id_] = number
            connection.execute(sa.insert(table).values({key.name: number, id_name: id_, **values}))
            number += 1
        elif any(known[id_][name] != value for name, value in values.items()):
            connection.execute(sa.update(table).where(key == result[id_]).values(**values))
    return result


def _unknown(table: sa.Table, key_name: str) -> dict[str, Any]:
    filled: dict[str, Any] = {key_name: UNKNOWN}
    if "name" in table.c:
        filled["name"] = UNKNOWN_CODE
    if table is dim_agent:
        filled |= {"team_key": UNKNOWN, "is_active": False}
    return filled


def _reasons(connection: sa.Connection, following: Mapping[str, str]) -> dict[tuple[str, str], ReasonKey]:
    wanted: dict[tuple[str, str], dict[str, Any]] = {}
    for version in connection.execute(sa.select(taxonomy.c.version, taxonomy.c.is_current)):
        rows = connection.execute(
            sa.select(reason).where(reason.c.taxonomy_version == version.version).order_by(reason.c.position)
        ).all()
        for row in rows:
            wanted[version.version, row.code] = {
                "label": row.label,
                "definition": row.definition,
                "parent_code": row.parent_code,
                "position": row.position,
                "is_sales": row.is_sales,
                "is_current": version.is_current,
            }
        for number, (code, (label, definition)) in enumerate(_GENERAL.items()):
            wanted[version.version, code] = {
                "label": label,
                "definition": definition,
                "parent_code": None,
                "position": len(rows) + number,
                "is_sales": False,
                "is_current": version.is_current,
            }
    keys = _merge_reasons(connection, wanted)
    current = next((version for (version, _), values in wanted.items() if values["is_current"]), "")
    # A reason that was replaced counts as the one that goes on in its place: a trend over both is one line.
    return {(version, code): keys.get((current, following.get(code, "")), key) for (version, code), key in keys.items()}


def _merge_reasons(
    connection: sa.Connection, wanted: Mapping[tuple[str, str], dict[str, Any]]
) -> dict[tuple[str, str], ReasonKey]:
    known = {
        (row["taxonomy_version"], row["code"]): row for row in connection.execute(sa.select(dim_reason)).mappings()
    }
    if ("", UNKNOWN_CODE) not in known:
        connection.execute(sa.insert(dim_reason).values(_UNKNOWN_REASON))
    number = next_key(connection, dim_reason)
    result = {}
    for (version, code), values in wanted.items():
        row = known.get((version, code))
        key = number if row is None else row["reason_key"]
        if row is None:
            number += 1
            connection.execute(
                sa.insert(dim_reason).values(reason_key=key, taxonomy_version=version, code=code, **values)
            )
        elif any(row[name] != value for name, value in values.items()):
            connection.execute(sa.update(dim_reason).where(dim_reason.c.reason_key == key).values(**values))
        result[version, code] = ReasonKey(key, values["is_sales"])
    return result


_UNKNOWN_REASON: dict[str, Any] = {
    "reason_key": UNKNOWN,
    "taxonomy_version": "",
    "code": UNKNOWN_CODE,
    "label": "No reason",
    "definition": "The call was skipped, failed, or understood without a reason.",
    "parent_code": None,
    "position": -1,
    "is_sales": False,
    "is_current": False,
}
