"""Queries that a question about calls needs: checked word by word, run read-only within a time, and shown.

A query sees the calls in question as `asked_call`, which is cut out of `fact_call` by the filter of the question, and
the dimensions of the schema `bi`; nothing else. The words are one wall. Behind it stands the database: SQLite's
authorizer refuses to read anything else; of PostgreSQL's plan every table is looked at before it is run, read-only.
"""

# ruff: noqa: S608 - statements out of our own words

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import sqlalchemy as sa

from analytics.asked_words import ASKED, DIMENSIONS, FUNCTIONS, OF_FACT, RefusedQuery, check_query
from analytics.star import SCHEMA, dim_agent, dim_date, dim_queue, dim_reason, dim_team, fact_call
from crm.call_filters import CallFilter
from crm.database import Database

MAX_ROWS = 200
TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Counted:
    """What a query gave: at most MAX_ROWS rows; `sql` and `parameters` are what was run."""

    sql: str
    parameters: Mapping[str, Any]
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    is_cut: bool


def described_tables() -> str:
    """The tables that a query may read, with their columns, as a model is told of them."""
    tables = {ASKED: OF_FACT} | {table.name: tuple(column.name for column in table.c) for table in DIMENSIONS}
    lines = [f"{name}({', '.join(columns)})" for name, columns in tables.items()]
    return "\n".join(
        [
            *lines,
            f"{ASKED} has one row a call: exactly the calls that the question is about. Its *_key columns join the",
            "dimensions; -1 is what is not known. Columns *_count are 0 or 1 a call, *_ms are milliseconds.",
        ]
    )


# What a question that a rule can read is put with, beside what it is counted by. Any other word says which calls are
# meant, or that more than calls is: a count that did not heed it would be untrue.
_WORDS = (
    "a all an and are by call calls common count counted did do does each ended every for frequent had has have how in"
    " is many most much number of often on our per percent percentage resolved share so the there total us was we were"
    " what which with you"
)
_PUT_WITH = frozenset(_WORDS.split())
_COUNTED_BY = (
    (("reason", "reasons", "why", "about"), dim_reason, "label"),
    (("queue", "queues"), dim_queue, "name"),
    (("team", "teams"), dim_team, "name"),
    (("agent", "agents"), dim_agent, "name"),
    (("weekday", "weekdays"), dim_date, "weekday_name"),
    (("week", "weeks", "weekly"), dim_date, "iso_week_key"),
    (("month", "months", "monthly"), dim_date, "month_key"),
    (("day", "days", "daily"), dim_date, "date"),
)
_OUTCOMES = frozenset({"outcome", "outcomes"})


def counts_by(question: str) -> str:
    """A query for a question that a rule can read: how many calls, by what it names; "" for any other. For set-ups
    without a model.
    """
    words = set(re.findall(r"[\w'-]+", question.lower()))
    by = [(table, label) for names, table, label in _COUNTED_BY if words.intersection(names)]
    known = _PUT_WITH.union(_OUTCOMES, *(names for names, _, _ in _COUNTED_BY))
    if words - known or len(by) + bool(words & _OUTCOMES) > 1:
        return ""
    resolved = ", sum(resolved_count) AS resolved" if "resolved" in words or not by else ""
    if by:
        table, label = by[0]
        told = table.name.removeprefix("dim_") if table is not dim_date else label
        key = next(iter(table.primary_key)).name
        return (
            f"SELECT {table.name}.{label} AS {told}, count(*) AS calls{resolved} FROM {ASKED}"
            f" JOIN {table.name} ON {table.name}.{key} = {ASKED}.{key}"
            f" GROUP BY {table.name}.{label} ORDER BY calls DESC, {told} LIMIT 50"
        )
    if words & _OUTCOMES or "ended" in words:
        return f"SELECT outcome, count(*) AS calls FROM {ASKED} GROUP BY outcome ORDER BY calls DESC LIMIT 50"
    return f"SELECT count(*) AS calls{resolved} FROM {ASKED}"


def unheeded(wanted: CallFilter) -> tuple[str, ...]:
    """The filters that the star schema knows nothing of, so that counting cannot heed them."""
    given = {
        "customer": wanted.customer,
        "text": wanted.text,
        "sentiment": wanted.sentiment,
        "needs_review": wanted.needs_review,
        "the part of a chart": wanted.only is not None,
    }
    return tuple(name for name, value in given.items() if value)


def run_query(database: Database, sql: str, wanted: CallFilter) -> Counted:
    """What the checked query gives over the calls of the filter. Raises RefusedQuery."""
    checked = check_query(sql)
    condition, parameters = _condition(wanted)
    fact = "fact_call" if database.is_sqlite else "bi.fact_call"
    asked = f"{ASKED} AS (SELECT {fact}.* FROM {fact} WHERE {condition})"
    with database.read() as connection, _confined(connection):
        try:
            # What stands behind a colon in a literal is no parameter.
            whole = _whole(asked, checked.replace(":", "\\:"))
            statement = f"SELECT * FROM ({whole}) AS counted LIMIT {MAX_ROWS + 1}"
            _look_through(connection, statement, parameters)
            result = connection.execute(sa.text(statement).bindparams(**parameters))
            columns, rows = tuple(result.keys()), [tuple(row) for row in result]
        except sa.exc.StatementError as error:
            reason = str(error.orig or error).splitlines()[0][:200]
            raise RefusedQuery(f"the query cannot be run: {reason}") from None
    return Counted(_whole(asked, checked), parameters, columns, tuple(rows[:MAX_ROWS]), len(rows) > MAX_ROWS)


def _whole(asked: str, checked: str) -> str:
    rest = checked[4:].lstrip() if checked[:4].lower() == "with" else ""
    return f"WITH {asked}, {rest}" if rest else f"WITH {asked} {checked}"


def _condition(wanted: CallFilter) -> tuple[str, dict[str, Any]]:
    """The filter in SQL over the fact table, with its parameters."""
    conditions = ["true"] if wanted.with_samples else ["NOT is_sample"]
    parameters: dict[str, Any] = {}
    for name, value, condition in (
        ("since", wanted.since, "happened_at_utc >= :since"),
        ("until", wanted.until, "happened_at_utc < :until"),
        ("reason", wanted.reason, "reason_key IN (SELECT reason_key FROM {0}dim_reason WHERE code = :reason)"),
        ("agent", wanted.agent.lower(), "agent_key IN (SELECT agent_key FROM {0}dim_agent WHERE lower(name) = :agent)"),
        ("team", wanted.team.lower(), "team_key IN (SELECT team_key FROM {0}dim_team WHERE lower(name) = :team)"),
        ("queue", wanted.queue.lower(), "queue_key IN (SELECT queue_key FROM {0}dim_queue WHERE lower(name) = :queue)"),
        ("direction", wanted.direction, "direction = :direction"),
        ("outcome", wanted.outcome, "outcome = :outcome"),
        ("stage", wanted.stage, "stage = :stage"),
    ):
        if value:
            conditions.append(condition.format(""))
            parameters[name] = value
    return " AND ".join(conditions), parameters


def _look_through(connection: sa.Connection, statement: str, parameters: Mapping[str, Any]) -> None:
    """Raises RefusedQuery where PostgreSQL would read a table beside the star schema, or a function as one."""
    if connection.dialect.name == "sqlite":
        return
    explained = sa.text(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement}").bindparams(**parameters)
    readable = {(SCHEMA, fact_call.name), *((SCHEMA, table.name) for table in DIMENSIONS)}
    nodes = [one["Plan"] for one in connection.execute(explained).scalar_one()]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Relation Name" in node and (node.get("Schema"), node["Relation Name"]) not in readable:
            raise RefusedQuery(f"a query may not read {node['Relation Name']}")
        if "Function Name" in node or "Table Function Name" in node:
            raise RefusedQuery("a query may read no function")


@contextmanager
def _confined(connection: sa.Connection) -> Iterator[None]:
    """Nothing can be written, nothing beside the star schema be read, and what takes long is ended."""
    if connection.dialect.name != "sqlite":
        connection.execute(sa.text("SET TRANSACTION READ ONLY"))
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {int(TIMEOUT_S * 1000)}"))
        connection.execute(sa.text("SET LOCAL search_path = bi"))
        yield
        return
    raw: Any = connection.connection.dbapi_connection
    readable = {fact_call.name, *(table.name for table in DIMENSIONS), ASKED, "counted", ""}
    ends_at = monotonic() + TIMEOUT_S

    def allow(action: int, first: str | None, second: str | None, *_: object) -> int:
        if action in {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            return sqlite3.SQLITE_OK if second in FUNCTIONS | {"like"} else sqlite3.SQLITE_DENY
        # What is not a table of the database's own is a part of the query itself.
        if action == sqlite3.SQLITE_READ and (first in readable or first not in own):
            return sqlite3.SQLITE_OK
        return sqlite3.SQLITE_DENY

    own = {row[0] for row in raw.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
    own.add("sqlite_master")
    raw.set_authorizer(allow)
    raw.set_progress_handler(lambda: monotonic() > ends_at, 10_000)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)
        raw.set_authorizer(None)
