"""The dimensions follow the CRM tables: a key is given once and keeps its meaning; names and flags follow."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from analytics.fact_parts import ReasonKey
from analytics.facts import Keys
from analytics.many_rows import Filling, Prepared, as_stored
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
_OF_REASON = ("code", "label", "definition", "parent_code", "position", "is_sales")


def follow(connection: sa.Connection) -> tuple[Keys, dict[int, int]]:
    """Bring the dimensions up to date; returns the keys of the reasons, and the agents that have changed their team,
    with that; both are keys.
    """
    _know_the_unknown(connection)
    for dimension in (_TEAMS, _QUEUES):
        dimension.follow(connection)
    moved = {row.held_key: row.team_key for row in _AGENTS.follow(connection) if row.team_key != row.held_team_key}
    following = known_successors(connection)
    return Keys(reason=_reasons(connection, following), following=following), moved


def are_behind(connection: sa.Connection) -> bool:
    """Whether `follow` would find anything: nobody marks a call for an agent's team or for other reasons."""
    if connection.execute(_NEWS_OF_REASONS).first() is not None:
        return True
    return any(dimension.differs(connection) for dimension in (_TEAMS, _QUEUES, _AGENTS))


def _know_the_unknown(connection: sa.Connection) -> None:
    """Let every dimension have its member for what is not known; they have come together."""
    if _UNKNOWN_IS_KNOWN.rows(connection):
        return
    for table in (dim_team, dim_queue, dim_agent, dim_customer, dim_reason):
        key = next(iter(table.primary_key))
        if connection.execute(sa.select(key).where(key == UNKNOWN)).first() is None:
            connection.execute(sa.insert(table).values(_unknown(table, key.name)))


def know_customers(connection: sa.Connection, contact_ids: Collection[Any]) -> dict[Any, int]:
    """Give every one of these contacts, who have none, a key; ids are as the driver has them."""
    if not contact_ids:
        return {}
    added = {id_: number for number, id_ in enumerate(sorted(contact_ids), next_key(connection, dim_customer))}
    _NEW_CUSTOMERS.many(connection, [(key, contact_id) for contact_id, key in added.items()])
    return added


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
    if start == low and end == high:
        return
    days = (start + timedelta(days=n) for n in range((end - start).days + 1))
    rows = [date_row(day, fiscal_starts_in) for day in days if low is None or high is None or not low <= day <= high]
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
    held = connection.execute(sa.select(dim_date)).mappings()
    pairs = [(row, date_row(row["date"], fiscal_starts_in)) for row in held]
    rows = [new | {"key": new["date_key"]} for row, new in pairs if dict(row) != new]
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


class _Dimension:
    """A dimension whose members are the rows of a CRM table, with the columns of its own that follow them."""

    def __init__(
        self, table: sa.Table, rows: sa.FromClause, id_: sa.Column[Any], **values: sa.ColumnElement[Any]
    ) -> None:
        self._table, self._key = table, next(iter(table.primary_key))
        self._id = table.c[id_.table.name + "_id"]
        held = [table.c[name].label(f"held_{name}") for name in values]
        differs = [table.c[name] != value for name, value in values.items()]
        self._names = list(values)
        self._differing = Prepared(
            sa.select(id_.label("id"), *(value.label(name) for name, value in values.items()), *held)
            .add_columns(self._key.label("held_key"))
            .select_from(rows.outerjoin(table, self._id == id_))
            .where(sa.or_(self._key.is_(None), *differs))
            .order_by(id_)
        )
        self._insert = Prepared(sa.insert(table), [self._key.name, self._id.name, *values])
        self._update = Prepared(
            sa.update(table)
            .where(self._key == sa.bindparam("of_key"))
            .values({name: sa.bindparam(f"new_{name}") for name in values}),
            [*(f"new_{name}" for name in values), "of_key"],
        )

    def differs(self, connection: sa.Connection) -> bool:
        """Whether any member is new, or another than it is in the CRM table."""
        return bool(self._differing.rows(connection))

    def follow(self, connection: sa.Connection) -> list[Any]:
        """Insert what is new, update what differs, keep what is gone, as facts may still point to it; returns the rows
        of what differed, with what was held.
        """
        rows = self._differing.rows(connection)
        if not rows:
            return []
        values = itemgetter(slice(1, len(self._names) + 1))
        new = [row for row in rows if row.held_key is None]
        known = [row for row in rows if row.held_key is not None]
        first = next_key(connection, self._table)
        self._insert.many(
            connection, [(first + n, as_stored(connection, row.id), *values(row)) for n, row in enumerate(new)]
        )
        self._update.many(connection, [(*values(row), row.held_key) for row in known])
        return known


def _unknown(table: sa.Table, key_name: str) -> dict[str, Any]:
    if table is dim_reason:
        return _UNKNOWN_REASON
    filled: dict[str, Any] = {key_name: UNKNOWN}
    if "name" in table.c:
        filled["name"] = UNKNOWN_CODE
    if table is dim_agent:
        filled |= {"team_key": UNKNOWN, "is_active": False}
    return filled


def _reasons(connection: sa.Connection, following: Mapping[str, str]) -> dict[tuple[str, str], ReasonKey]:
    wanted: dict[tuple[str, str], dict[str, Any]] = {}
    every = (
        sa.select(taxonomy.c.version, taxonomy.c.is_current, *(reason.c[name] for name in _OF_REASON))
        .outerjoin(reason, reason.c.taxonomy_version == taxonomy.c.version)
        .order_by(taxonomy.c.version, reason.c.position)
    )
    for version, found in groupby(connection.execute(every).mappings(), itemgetter("version", "is_current")):
        rows = [row for row in found if row["code"] is not None]
        of_version = [{name: row[name] for name in _OF_REASON} for row in rows]
        for number, (code, (label, definition)) in enumerate(_GENERAL.items(), len(rows)):
            texts = {"code": code, "label": label, "definition": definition}
            of_version.append(texts | {"parent_code": None, "position": number, "is_sales": False})
        for values in of_version:
            code = values.pop("code")
            wanted[version[0], code] = values | {"is_current": version[1]}
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
    number = max([0, *(row["reason_key"] for row in known.values())]) + 1
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

_TEAMS = _Dimension(dim_team, team, team.c.id, name=team.c.name)
_QUEUES = _Dimension(dim_queue, queue, queue.c.id, name=queue.c.name)
_AGENTS = _Dimension(
    dim_agent,
    agent.outerjoin(dim_team, dim_team.c.team_id == agent.c.team_id),
    agent.c.id,
    name=agent.c.display_name,
    team_key=sa.func.coalesce(dim_team.c.team_key, UNKNOWN),
    is_active=agent.c.is_active,
)
_NEW_CUSTOMERS = Filling(dim_customer)
# The current version, where its reasons are not those that stand as current here.
_NEWS_OF_REASONS = sa.select(taxonomy.c.version).where(
    taxonomy.c.is_current,
    ~sa.exists().where(dim_reason.c.taxonomy_version == taxonomy.c.version, dim_reason.c.is_current),
)
_UNKNOWN_IS_KNOWN = Prepared(sa.select(dim_reason.c.reason_key).where(dim_reason.c.reason_key == UNKNOWN))
