"""The words of a query that a question about calls needs: which may stand in it, and what may be read by it.

What is refused here is refused by the database, too, as far as it reads something else (analytics.asked_sql).
"""

# ruff: noqa: S105 - tokens of a query

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from analytics.parts import PARTS
from analytics.star import dim_agent, dim_date, dim_queue, dim_reason, dim_team
from analytics.star import metadata as star_metadata
from calls.errors import CallwiseError
from crm.tables import metadata as crm_metadata

ASKED = "asked_call"
DIMENSIONS = (dim_date, dim_reason, dim_agent, dim_team, dim_queue)
OF_FACT = (
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
FUNCTIONS = frozenset(_CALLABLE.split())
_TOKEN = re.compile(r"\s+|'(?:[^']|'')*'|\d+(?:\.\d+)?|[A-Za-z_][A-Za-z0-9_]*|<=|>=|<>|!=|\|\||[-+*/%=<>(),.]")
_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_SHADOWS = re.compile(r"(?:pg_|sqlite_|information_schema)")


class RefusedQuery(CallwiseError):
    """A query that is not run: more than a SELECT, over more than it may read, or not finished in time."""

    code = "refused_query"


def check_query(sql: str) -> str:
    """The query as it is run. Raises RefusedQuery unless it is one SELECT over the tables that it may read."""
    text = sql.strip().rstrip(";").strip()
    tokens = _tokens(text)
    if not tokens or tokens[0] not in {"select", "with"}:
        raise RefusedQuery("a query begins with SELECT")
    named = _names_given(tokens)
    columns = set(OF_FACT) | {column.name for table in DIMENSIONS for column in table.c}
    known = _tables() | columns | named
    for before, token, following in zip(["", *tokens], tokens, [*tokens[1:], ""], strict=False):
        if before == "." and token not in columns | named | {"*"}:
            raise RefusedQuery(f"a query may not name {token} behind a dot")
        if token == "." and before not in _tables() | named:
            raise RefusedQuery(f"a query may not have a dot behind {before}")
        if not (token[0].isalpha() or token[0] == "_"):
            continue
        if following == "(" and token not in FUNCTIONS | _KEYWORDS:
            raise RefusedQuery(f"a query may not call {token}")
        if token not in _KEYWORDS | FUNCTIONS | known:
            raise RefusedQuery(f"a query may not name {token}")
    readable = _tables() | _common_tables(tokens)
    for name, following in _sources(tokens):
        if name == "(" and following not in {"select", "with"}:
            raise RefusedQuery("a query may read SELECTs in brackets and nothing else in them")
        if name != "(" and (name not in readable or following == "."):
            raise RefusedQuery(f"a query may not read {name}")
    return text


def _tables() -> set[str]:
    return {ASKED, *(table.name for table in DIMENSIONS)}


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
        is_table = table == ASKED or any(table == one.name for one in DIMENSIONS)
        if is_table and alias[0].isalpha() and alias not in _KEYWORDS:
            given.add(alias)
    stored = {table.name for metadata in (crm_metadata, star_metadata) for table in metadata.tables.values()}
    # What is read as a table is called like no stored one; a column may well be called reason or team.
    forbidden = _KEYWORDS | _RESERVED | FUNCTIONS | (_common_tables(tokens) & stored)
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
