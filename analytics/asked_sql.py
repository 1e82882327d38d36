"""Queries that a question about calls needs: checked word by word, run read-only within a time, and shown.

A query sees the calls in question as `asked_call`, which is cut out of `fact_call` by the filter of the question, and
the dimensions of the schema `bi`; nothing else. The words are one wall. Behind it stands the database: SQLite's
authorizer refuses to read anything else; of PostgreSQL's plan every table is looked at before it is run, read-only.
"""

# ruff: noqa: S608, S105 - statements out of our own words, and tokens of theirs

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from time import monotonic
from typing import Any

import sqlalchemy as sa

from analytics.parts import PARTS
from analytics.star import SCHEMA, dim_agent, dim_date, dim_queue, dim_reason, dim_team, fact_call
from analytics.star import metadata as star_metadata
from calls.errors import CallwiseError
from crm.call_filters import CallFilter
from crm.database import Database
from crm.tables import metadata as crm_metadata

ASKED = "asked_call"
MAX_ROWS = 200
TIMEOUT_S = 5.0
_DIMENSIONS = (dim_date, dim_reason, dim_agent, dim_team, dim_queue)
_OF_FACT = (
    *("call_key", "date_key", "hour_of_day", "reason_key", "queue_key", "agent_key", "team_key", "stage"),
    *("direction", "outcome", "is_resolved", "happened_at_utc", *(part.name for part in PARTS)),
)
_SQL = (
    "select from where group by order having limit as on join left inner outer cross and or not in is null case when"
    " then else end distinct asc desc between like with union all cast integer bigint real numeric float text double"
    " precision true false over partition filter nulls first last exists interval date"
)
_KEYWORDS = frozenset(_SQL.split())
_TYPES = frozenset(("integer", "bigint", "real", "numeric", "float", "text", "double", "date", "interval"))
# Words that mean something to a database and may therefore be no name here (SQL's reserved ones, and what begins a
# statement, a source or a function without brackets), beside the schemas.
_WORDS = (
    "table only lateral values into for public bi main temp insert update delete merge returning set reset show do"
    " copy call execute prepare declare fetch offset window using natural except intersect recursive materialized"
    " tablesample ordinality rows range groups within array row any some all both leading trailing collate cube"
    " rollup grouping sets session_user current_user current_role current_catalog current_schema user analyze"
    " analyse localtime localtimestamp current_date current_time current_timestamp system_user similar ilike isnull"
    " notnull overlaps symmetric asymmetric initially deferrable variadic verbose concurrently freeze binary full"
    " create drop alter grant revoke attach detach pragma vacuum explain replace glob regexp match indexed escape"
)
_RESERVED = frozenset(_WORDS.split())
_CALLABLE = "count sum avg min max round coalesce nullif abs rank row_number dense_rank lower upper"
_FUNCTIONS = frozenset(_CALLABLE.split())
_TOKEN = re.compile(r"\s+|'(?:[^']|'')*'|\d+(?:\.\d+)?|[A-Za-z_][A-Za-z0-9_]*|<=|>=|<>|!=|\|\||[-+*/%=<>(),.]")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_SHADOWS = re.compile(r"(?:pg_|sqlite_|information_schema)")


class RefusedQuery(CallwiseError):
    """A query that is not run: more than a SELECT, over more than it may read, or not finished in time."""

    code = "refused_query"


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
    tables = {ASKED: _OF_FACT} | {table.name: tuple(column.name for column in table.c) for table in _DIMENSIONS}
    lines = [f"{name}({', '.join(columns)})" for name, columns in tables.items()]
    return "\n".join(
        [
            *lines,
            f"{ASKED} has one row a call: exactly the calls that the question is about. Its *_key columns join the",
            "dimensions; -1 is what is not known. Columns *_count are 0 or 1 a call, *_ms are milliseconds.",
        ]
    )


def counts_by(question: str) -> str:
    """A query for a question that a rule can read: how many calls, by what it names. For set-ups without a model."""
    asked = question.lower()
    for words, table, label in (
        (("reason", "why", "about what"), dim_reason, "label"),
        (("queue",), dim_queue, "name"),
        (("team",), dim_team, "name"),
        (("agent",), dim_agent, "name"),
        (("weekday",), dim_date, "weekday_name"),
        (("week",), dim_date, "iso_week_key"),
        (("month",), dim_date, "month_key"),
        (("day", "daily"), dim_date, "date"),
    ):
        if any(re.search(rf"\b{word}s?\b", asked) for word in words):
            key = next(iter(table.primary_key)).name
            return (
                f"SELECT {table.name}.{label} AS {label}, count(*) AS calls FROM {ASKED}"
                f" JOIN {table.name} ON {table.name}.{key} = {ASKED}.{key}"
                f" GROUP BY {table.name}.{label} ORDER BY calls DESC, {label} LIMIT 50"
            )
    if re.search(r"\boutcomes?\b|\bended?\b", asked):
        return f"SELECT outcome, count(*) AS calls FROM {ASKED} GROUP BY outcome ORDER BY calls DESC LIMIT 50"
    return f"SELECT count(*) AS calls, sum(resolved_count) AS resolved FROM {ASKED}"


def unheeded(wanted: CallFilter) -> tuple[str, ...]:
    """The filters that the star schema knows nothing of, so that counting cannot heed them."""
    given = {
        "customer": wanted.customer,
        "text": wanted.text,
        "sentiment": wanted.sentiment,
        "needs_review": wanted.needs_review,
    }
    return tuple(name for name, value in given.items() if value)


def check_query(sql: str) -> str:
    """The query as it is run. Raises RefusedQuery unless it is one SELECT over the tables that it may read."""
    text = sql.strip().rstrip(";").strip()
    tokens = _tokens(text)
    if not tokens or tokens[0] not in {"select", "with"}:
        raise RefusedQuery("a query begins with SELECT")
    named = _names_given(tokens)
    columns = set(_OF_FACT) | {column.name for table in _DIMENSIONS for column in table.c}
    known = _tables() | columns | named
    for before, token, following in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if before == "." and token not in columns | named | {"*"}:
            raise RefusedQuery(f"a query may not name {token} behind a dot")
        if token == "." and before not in _tables() | named:
            raise RefusedQuery(f"a query may not have a dot behind {before}")
        if not (token[0].isalpha() or token[0] == "_"):
            continue
        if following == "(" and token not in _FUNCTIONS | _KEYWORDS:
            raise RefusedQuery(f"a query may not call {token}")
        if token not in _KEYWORDS | _FUNCTIONS | known:
            raise RefusedQuery(f"a query may not name {token}")
    readable = _tables() | _common_tables(tokens)
    for name, following in _sources(tokens):
        if name == "(" and following not in {"select", "with"}:
            raise RefusedQuery("a query may read SELECTs in brackets and nothing else in them")
        if name != "(" and (name not in readable or following == "."):
            raise RefusedQuery(f"a query may not read {name}")
    return text


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


def _tables() -> set[str]:
    return {ASKED, *(table.name for table in _DIMENSIONS)}


def _tokens(text: str) -> list[str]:
    """The words and signs, lower case but for literals; read as either database reads them."""
    if "--" in text or "/*" in text:
        raise RefusedQuery("a query may have no comments")
    if "\\" in text:
        raise RefusedQuery("a query may have no backslashes")
    tokens: list[str] = []
    at = depth = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise RefusedQuery(f"a query may not have {text[at]!r} in it")
        # A letter before the quotation mark would have the literal read by other rules (E'', B'', U&'').
        if found[0][0] == "'" and at and (text[at - 1].isalnum() or text[at - 1] == "_"):
            raise RefusedQuery("a query has a space before each literal")
        at = found.end()
        if found[0].isspace():
            continue
        tokens.append(found[0].lower() if found[0][0] != "'" else found[0])
        depth += (tokens[-1] == "(") - (tokens[-1] == ")")
        if depth < 0:
            raise RefusedQuery("a query closes no bracket that it has not opened")
    return tokens


def _names_given(tokens: Sequence[str]) -> set[str]:
    """Names that the query gives to columns, tables and subqueries; none may hide what it may not read.

    No name is a word of SQL's: a word that stood for a name here and for itself there would be read in two ways.
    """
    given = {name for before, name in pairwise(tokens) if before == "as" and name != "("} - _TYPES
    given |= _common_tables(tokens)
    for table, alias in pairwise(tokens):
        is_table = table == ASKED or any(table == one.name for one in _DIMENSIONS)
        if is_table and alias[0].isalpha() and alias not in _KEYWORDS:
            given.add(alias)
    stored = {table.name for metadata in (crm_metadata, star_metadata) for table in metadata.tables.values()}
    # What is read as a table is called like no stored one; a column may well be called reason or team.
    forbidden = _KEYWORDS | _RESERVED | _FUNCTIONS | (_common_tables(tokens) & stored)
    for name in given:
        if _SHADOWS.match(name) or name in forbidden or not _NAME.fullmatch(name):
            raise RefusedQuery(f"a query may not call something {name}")
    return given


def _common_tables(tokens: Sequence[str]) -> set[str]:
    if tokens[0] != "with":
        return set()
    found, depth = set(), 0
    for place, token in enumerate(tokens):
        if depth == 0 and tokens[place + 1 : place + 3] == ["as", "("]:
            found.add(token)
        if depth == 0 and token == "select":
            break
        depth += (token == "(") - (token == ")")
    return found


def _sources(tokens: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What stands behind FROM, JOIN and the commas of a FROM, at any depth, with what follows it."""
    lists: list[bool] = [False]
    is_next = False
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if is_next:
            yield token, following
        is_next = False
        if token == "(":
            lists.append(False)
        elif token == ")":
            lists = lists[:-1] or [False]
        elif token in {"from", "join"}:
            lists[-1] = is_next = True
        elif token == "," and lists[-1]:
            is_next = True
        elif token in {"where", "group", "order", "having", "limit", "union", "select"}:
            lists[-1] = False


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
    readable = {(SCHEMA, fact_call.name), *((SCHEMA, table.name) for table in _DIMENSIONS)}
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
    readable = {fact_call.name, *(table.name for table in _DIMENSIONS), ASKED, "counted", ""}
    ends_at = monotonic() + TIMEOUT_S

    def allow(action: int, first: str | None, second: str | None, *_: object) -> int:
        if action in {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            return sqlite3.SQLITE_OK if second in _FUNCTIONS | {"like"} else sqlite3.SQLITE_DENY
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
