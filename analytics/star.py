"""The star schema that analysts query: plain, typed, indexed tables in the schema `bi` (SQLite: no schema).

Keys are whole numbers that never change their meaning; -1 is the member for what is not known. Nothing in here is
personal data but the agents' names: numbers and names of customers stay in the CRM tables. Facts carry the parts of
the measures (analytics/parts.py) and no ratio. Each column's description stands in its `info`, for the exports and
docs/measures.md.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa

from analytics.parts import PARTS
from calls.reasons import NO_REASON
from crm.tables import UtcDateTime
from crm.tables import metadata as crm_metadata

SCHEMA = "bi"
UNKNOWN = -1
UNKNOWN_CODE = NO_REASON

metadata = sa.MetaData(schema=SCHEMA, naming_convention=crm_metadata.naming_convention)


def _key(name: str, description: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=False, info={"description": description})


def _to(dimension: sa.Table, *, primary_key: bool = False) -> sa.Column[Any]:
    key = next(iter(dimension.primary_key))
    description = f"{dimension.name}; -1 where not known." if key.name != "date_key" else "The day, in the site's zone."
    return sa.Column(
        key.name,
        sa.Integer,
        sa.ForeignKey(key),
        nullable=False,
        primary_key=primary_key,
        autoincrement=False,
        info={"description": description},
    )


def _text(name: str, description: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable, info={"description": description})


def _integer(name: str, description: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer, nullable=False, info={"description": description})


def _flag(name: str, description: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=nullable, info={"description": description})


def _parts() -> list[sa.Column[Any]]:
    return [
        sa.Column(part.name, sa.BigInteger, nullable=False, info={"description": f"{part.definition} [{part.unit}]"})
        for part in PARTS
    ]


dim_date = sa.Table(
    "dim_date",
    metadata,
    _key("date_key", "yyyymmdd."),
    sa.Column("date", sa.Date, nullable=False, unique=True, info={"description": "The day; the table has no gaps."}),
    _integer("year", "Calendar year."),
    _integer("quarter", "1 to 4."),
    _integer("month", "1 to 12."),
    _text("month_key", "2026-03."),
    _text("month_name", "March."),
    _integer("day_of_month", "1 to 31."),
    _integer("weekday", "ISO: 1 is Monday."),
    _text("weekday_name", "Monday."),
    _flag("is_weekend", "Saturday or Sunday."),
    _integer("iso_year", "The year that the ISO week belongs to."),
    _integer("iso_week", "1 to 53."),
    _text("iso_week_key", "2026-W11."),
    sa.Column("week_starts_on", sa.Date, nullable=False, info={"description": "The Monday of the week."}),
    _integer("week_starts_on_key", "The date_key of that Monday."),
    _integer("month_starts_on_key", "The date_key of the month's first day."),
    _integer("fiscal_year", "The fiscal year by the calendar year in which it ends; site.fiscal_year_starts_in."),
    _integer("fiscal_quarter", "1 to 4 of the fiscal year."),
)

dim_reason = sa.Table(
    "dim_reason",
    metadata,
    _key("reason_key", "-1: no reason."),
    _text("taxonomy_version", "The version of the taxonomy that the reason belongs to."),
    _text("code", "Stable over versions as long as the owner keeps it."),
    _text("label", "What people read."),
    _text("definition", "When the reason applies."),
    _text("parent_code", "The reason above it.", nullable=True),
    _integer("position", "Its place in the taxonomy."),
    _flag("is_sales", "Whether a call about it can end in a sale."),
    _flag("is_current", "Whether its version is the one by which calls are classified now."),
    sa.UniqueConstraint("taxonomy_version", "code"),
)

dim_team = sa.Table(
    "dim_team",
    metadata,
    _key("team_key", "-1: no team known."),
    sa.Column("team_id", sa.Uuid, unique=True, info={"description": "The team's id in the CRM tables."}),
    _text("name", "The team's name."),
)

dim_agent = sa.Table(
    "dim_agent",
    metadata,
    _key("agent_key", "-1: no agent known."),
    sa.Column("agent_id", sa.Uuid, unique=True, info={"description": "The agent's id in the CRM tables."}),
    _text("name", "The agent's name."),
    _to(dim_team),
    _flag("is_active", "Whether the agent still takes calls."),
)

dim_queue = sa.Table(
    "dim_queue",
    metadata,
    _key("queue_key", "-1: no queue known."),
    sa.Column("queue_id", sa.Uuid, unique=True, info={"description": "The queue's id in the CRM tables."}),
    _text("name", "The queue's name."),
)

dim_customer = sa.Table(
    "dim_customer",
    metadata,
    _key("customer_key", "-1: no customer known."),
    sa.Column("contact_id", sa.Uuid, info={"description": "The contact's id in the CRM tables."}),
    # With the key in it, PostgreSQL reads no page of the table; SQLite's index has it anyway.
    sa.UniqueConstraint("contact_id", postgresql_include=["customer_key"]),
)

# A customer within ten days of a month, as one number: `customer_places` says which.
CUSTOMER_PLACE: sa.ColumnElement[int] = sa.literal_column("(date_key / 10 * 4294967296 + customer_key)", sa.BigInteger)

fact_call = sa.Table(
    "fact_call",
    metadata,
    sa.Column(
        "call_key", sa.BigInteger, primary_key=True, autoincrement=False, info={"description": "One row a call."}
    ),
    sa.Column(
        "call_id",
        sa.Uuid,
        nullable=False,
        info={"description": "The call's id in the CRM tables and its page; indexed behind happened_at_utc."},
    ),
    _to(dim_date),
    _integer("hour_of_day", "The hour in which the call began, 0 to 23, in the site's zone."),
    _to(dim_reason),
    _to(dim_queue),
    _to(dim_agent),
    _to(dim_team),
    _to(dim_customer),
    sa.Column(
        "happened_at_utc",
        UtcDateTime,
        nullable=False,
        info={"description": "When the call began, else when it was received."},
    ),
    _text("stage", "done, skipped or failed."),
    _text("skip_reason", "Why it was skipped.", nullable=True),
    _text("failed_step", "The step that failed.", nullable=True),
    _text("failed_code", "The code with which it failed.", nullable=True),
    _text("direction", "inbound, outbound or internal.", nullable=True),
    _text("disposition", "What the agent or the telephony noted at the end.", nullable=True),
    _text("outcome", "How the call ended for the customer.", nullable=True),
    _flag("is_resolved", "A model's judgement.", nullable=True),
    _flag("is_sample", "Generated history, not a real call."),
    _flag("is_demo", "An offline demonstration engine heard or understood the call."),
    _text("speech_engine", "What heard the call.", nullable=True),
    _text("language_model", "What understood the call.", nullable=True),
    _text("taxonomy_version", "The version of the taxonomy by which it was classified.", nullable=True),
    _flag("is_window_complete", "Whether 7 days have passed since the call."),
    *_parts(),
    sa.Column("modified_at_utc", UtcDateTime, nullable=False, info={"description": "When this row last changed."}),
    # With the second column, what a day last changed by is read off the index (export_days.py).
    sa.Index("ix_fact_call_date_key", "date_key", "modified_at_utc"),
    # New calls lie side by side in these two, where ids and customers alone would be anywhere (docs/decisions/0042).
    sa.Index("ix_fact_call_happened_at_utc", "happened_at_utc", "call_id", unique=True),
    sa.Index("ix_fact_call_customer", CUSTOMER_PLACE),
    sa.Index("ix_fact_call_reason_key", "reason_key", "date_key"),
    sa.Index("ix_fact_call_agent_key", "agent_key", "date_key"),
)

fact_call_reason = sa.Table(
    "fact_call_reason",
    metadata,
    sa.Column(
        "call_key",
        sa.BigInteger,
        sa.ForeignKey(fact_call.c.call_key),
        primary_key=True,
        autoincrement=False,
        info={"description": "fact_call."},
    ),
    _to(dim_reason, primary_key=True),
    _to(dim_date),
    _integer("rank", "1: the reason of the call, as in fact_call; from 2 on what it was about besides."),
    _flag("is_sample", "Generated history, not a real call."),
    sa.Column("modified_at_utc", UtcDateTime, nullable=False, info={"description": "When this row last changed."}),
    sa.Index("ix_fact_call_reason_reason_key", "reason_key", "date_key"),
)


def _aggregate(name: str, *grain: sa.Column[Any]) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        _to(dim_date, primary_key=True),
        *grain,
        sa.Column(
            "is_sample", sa.Boolean, primary_key=True, info={"description": "Generated history, not real calls."}
        ),
        *_parts(),
        sa.Column("modified_at_utc", UtcDateTime, nullable=False, info={"description": "When the sums last changed."}),
    )


agg_day = _aggregate(
    "agg_day",
    _to(dim_reason, primary_key=True),
    _to(dim_queue, primary_key=True),
    _to(dim_team, primary_key=True),
)

agg_agent_day = _aggregate(
    "agg_agent_day",
    _to(dim_agent, primary_key=True),
    _to(dim_team, primary_key=True),
)

agg_hour = _aggregate(
    "agg_hour",
    sa.Column(
        "hour_of_day",
        sa.Integer,
        primary_key=True,
        autoincrement=False,
        info={"description": "0 to 23, in the site's zone."},
    ),
    _to(dim_queue, primary_key=True),
)

# What the pages ask for, one row for each point that they show.
agg_period = sa.Table(
    "agg_period",
    metadata,
    sa.Column("period", sa.Text, primary_key=True, info={"description": "day, week (ISO) or month."}),
    sa.Column("dimension", sa.Text, primary_key=True, info={"description": "all, reason, queue, team or agent."}),
    sa.Column(
        "starts_on_key",
        sa.Integer,
        sa.ForeignKey(dim_date.c.date_key),
        primary_key=True,
        autoincrement=False,
        info={"description": "dim_date: the first day of the period."},
    ),
    sa.Column(
        "member_key",
        sa.Integer,
        primary_key=True,
        autoincrement=False,
        info={"description": "The key in the dimension's table; 0 for all, -1 where not known."},
    ),
    sa.Column("is_sample", sa.Boolean, primary_key=True, info={"description": "Generated history, not real calls."}),
    *_parts(),
    sa.Column("modified_at_utc", UtcDateTime, nullable=False, info={"description": "When the sums last changed."}),
)

AGGREGATES = (agg_day, agg_agent_day, agg_hour, agg_period)
# PostgreSQL is not told of their foreign keys, which say here what a column means: it would look each of them up again
# for every row, and the roll-ups write no other key than one that they have just read (docs/decisions/0037).
UNCHECKED = (fact_call, fact_call_reason)

refresh_state = sa.Table(
    "refresh_state",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False, info={"description": "1: there is one row."}),
    _text("time_zone", "The zone in which the days were cut."),
    _integer("fiscal_starts_in", "The month, 1 to 12, in which the fiscal year begins."),
    sa.Column(
        "refreshed_at_utc",
        UtcDateTime,
        nullable=False,
        info={"description": "Up to when windows were judged complete."},
    ),
)

# In the order in which they can be filled.
EXPORTED = (
    dim_date,
    dim_reason,
    dim_team,
    dim_agent,
    dim_queue,
    dim_customer,
    fact_call,
    fact_call_reason,
    agg_day,
    agg_agent_day,
    agg_hour,
    agg_period,
)


def date_key(day: date) -> int:
    """The key of a date: yyyymmdd."""
    return day.year * 10_000 + day.month * 100 + day.day


def date_of(key: int) -> date:
    """The date of a key."""
    return date(key // 10_000, key // 100 % 100, key % 100)


def customer_places(customers: Iterable[int], first: date, last: date) -> list[int]:
    """The values of CUSTOMER_PLACE of the calls that these customers made on these days, and on some around them."""
    days = (last - first).days + 1
    tens = {date_key(first + timedelta(days=n)) // 10 for n in range(days)}
    return [ten * 2**32 + customer for ten in sorted(tens) for customer in customers]
