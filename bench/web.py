"""Lists, search and pages over a large contact centre: what a CRM user waits for, and whether it grows with depth.

`python -m bench.web --json [--calls N] [--database sqlite|postgres] [--folder DIR]`: a database of made-up calls
(bench.web_calls); with `--folder` an SQLite database stays there, and with `--url` one that is filled is used. Each
page's statements are taken as the product sends them, and timed on the driver alone; OFFSET and a rank over all hits
are timed in the same run. The load of the machine is printed with the figures.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from bench.web_calls import COMMON_WORDS, FIRST_AT, LAST_AT, fill, names_of, phone_of, rare_words
from bench.web_server import call_pages, requests_per_s
from crm.access import OPERATOR, Role, Viewer
from crm.call_lines import select_lines
from crm.calls import CallFilter, key_of, list_calls
from crm.database import BY_VALUES, Database
from crm.schema import upgrade
from crm.search import search
from crm.tables import agent, call
from runtime.program import spare_the_program
from tests.servers.postgres import PostgresServer

_PAGE = 50
_DEEP = 0.9
_UNTIMED = 10
_ANALYST = Viewer("analyst", Role.ANALYST)
_ASKED, _STRETCHES = 40_000, 1000


@dataclass(frozen=True)
class Took:
    """Seconds of each round, by the clock and of the processor (see _clock_of_cpu)."""

    wall: list[float]
    cpu: list[float]


def main() -> None:
    """Measure, and print one document."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--calls", type=int, default=5000)
    arguments.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    arguments.add_argument("--folder", type=Path, help="an SQLite database that stays")
    arguments.add_argument("--url", default="", help="a database of `--calls` calls that is there already")
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--seconds", type=float, default=5.0, help="how long the API is asked")
    arguments.add_argument("--json", action="store_true", help="one JSON document (the default prints the same)")
    given = arguments.parse_args()
    with ExitStack() as stack:
        url = given.url or _url(stack, given)
        database = Database(url)
        stack.callback(database.dispose)
        upgrade(database)
        with database.read() as connection:
            is_empty = connection.execute(sa.select(sa.exists().where(call.c.id.is_not(None)))).scalar_one() == 0
        if is_empty:
            fill(database, given.calls)
        # As the web's processes do.
        spare_the_program()
        print(json.dumps(measure(database, given.rounds, given.seconds), indent=2))


def measure(database: Database, rounds: int, seconds: float) -> dict[str, Any]:
    """All figures, taken in one run."""
    with database.read() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(call)).scalar_one()
        # They are short: of twenty rounds the slowest would be the p95.
        lists = _lists(connection, count, 5 * rounds)
        found = _searches(connection, rounds)
        ids = _some(connection, count)
    pages = call_pages(database, ids, rounds=max(200, rounds))
    return {
        "calls": count,
        "database": database.engine.dialect.name,
        "list_p95_ms": max(one["p95_ms"] for one in lists.values()),
        "list_deep_p95_ms": max(one["deep_p95_ms"] for one in lists.values()),
        "offset_deep_ms": lists["none"]["offset_deep_ms"],
        **found,
        **pages,
        **(requests_per_s(database, ids, seconds=seconds) if seconds else {}),
        "lists": lists,
        "load_average": round(os.getloadavg()[0], 1),
        "cpus": os.cpu_count(),
    }


def _some(connection: sa.Connection, count: int) -> list[UUID]:
    """Calls from everywhere in a large centre, each once: more than are asked for in any run."""
    every = sa.select(call.c.id).where(call.c.stage == "done")
    if count <= _ASKED:
        found = list(connection.execute(every).scalars())
    else:
        times = [FIRST_AT + (LAST_AT - FIRST_AT) * (place / _STRETCHES) for place in range(_STRETCHES)]
        stretch = every.where(call.c.happened_at >= sa.bindparam("at")).order_by(call.c.happened_at)
        each = stretch.limit(_ASKED // _STRETCHES)
        found = [one for at in times for one in connection.execute(each, {"at": at}).scalars()]
        found = list(dict.fromkeys(found))
    random.Random(7).shuffle(found)
    return found


def _lists(connection: sa.Connection, count: int, rounds: int) -> dict[str, Any]:
    """By filter: p50 and p95 of a page's SQL at the start and at nine tenths of its depth."""
    found = {}
    for name, (viewer, wanted) in _filters(connection, count).items():
        first = _timed_sql(connection, lambda: list_calls(connection, viewer, wanted, limit=_PAGE), rounds)  # noqa: B023
        key, depth = _deep_key(connection, viewer, wanted, count)
        deep = _timed_sql(
            connection,
            lambda: list_calls(connection, viewer, wanted, limit=_PAGE, after=key),  # noqa: B023
            rounds,
        )
        found[name] = {
            "p50_ms": _ms(median(first.wall)),
            "p95_ms": _p95(first.wall),
            "deep_p50_ms": _ms(median(deep.wall)),
            "deep_p95_ms": _p95(deep.wall),
            # What it costs whatever else the machine does.
            "cpu_p95_ms": _p95(first.cpu),
            "deep_cpu_p95_ms": _p95(deep.cpu),
            "depth": depth,
        }
        if name == "none":
            found[name]["offset_deep_ms"] = _ms(min(_timed(connection, _offset(connection, depth), 1).wall))
    return found


def _filters(connection: sa.Connection, count: int) -> dict[str, tuple[Viewer, CallFilter]]:
    one = connection.execute(sa.select(agent.c.id, agent.c.display_name, agent.c.team_id).offset(7).limit(1)).one()
    every = CallFilter()
    middle = FIRST_AT + (LAST_AT - FIRST_AT) / 2
    by_operator = {
        "none": every,
        "period": CallFilter(until=middle),
        "reason": CallFilter(reason="complaint"),
        "agent": CallFilter(agent=one.display_name),
        "team": CallFilter(team="Team 8"),
        "queue": CallFilter(queue="Queue 9"),
        "customer_number": CallFilter(customer=phone_of(count // 9)),
        "customer_name": CallFilter(customer=" ".join(names_of(count // 9))),
        "direction": CallFilter(direction="internal"),
        "outcome": CallFilter(outcome="escalated"),
        "sentiment": CallFilter(sentiment="low"),
        "needs_review": CallFilter(needs_review=True),
        "stage": CallFilter(stage="failed"),
        "text_rare": CallFilter(text=rare_words(1)[0]),
        "text_common": CallFilter(text="the"),
        "reason_and_outcome": CallFilter(reason="complaint", outcome="escalated"),
        "agent_and_reason": CallFilter(agent=one.display_name, reason="complaint"),
    }
    found = {name: (OPERATOR, wanted) for name, wanted in by_operator.items()}
    an_agent = Viewer("agent", Role.AGENT, agent_id=one.id)
    a_lead = Viewer("lead", Role.LEAD, team_ids=frozenset({one.team_id}))
    return found | {
        "as_agent": (an_agent, every),
        "as_lead": (a_lead, every),
        "as_lead_reason": (a_lead, replace(every, reason="complaint")),
    }


def _deep_key(connection: sa.Connection, viewer: Viewer, wanted: CallFilter, count: int) -> tuple[str, int]:
    """The key of the page at nine tenths of what the filter leaves, found by going there once."""
    page = list_calls(connection, viewer, wanted, limit=_PAGE)
    if page.next_key is None:
        return "", 0
    if wanted.text:
        # Keys of a search are numbers in the order of time: the list's own place is near enough.
        for _ in range(5):
            page = list_calls(connection, viewer, wanted, limit=500, after=page.next_key or "")
            if page.next_key is None:
                break
        return page.next_key or "", 2500
    low, high = FIRST_AT, LAST_AT
    deep = list_calls(connection, viewer, replace(wanted, until=low + (high - low) * (1 - _DEEP)), limit=1)
    if wanted.until or not deep.calls or page.next_key is None:
        return page.next_key or "", _PAGE
    return key_of(deep.calls[0]), round(count * _DEEP)


def _offset(connection: sa.Connection, depth: int) -> Callable[[], object]:
    statement = (
        select_lines()
        .where(call.c.is_sample.is_(False))
        .order_by(call.c.happened_at.desc(), call.c.id.desc())
        .limit(_PAGE)
        .offset(depth)
    )
    return lambda: connection.execute(statement).all()


def _searches(connection: sa.Connection, rounds: int) -> dict[str, Any]:
    one = connection.execute(sa.select(agent.c.display_name).offset(7).limit(1)).scalar_one()
    filters = {
        "": CallFilter(),
        "_with_reason": CallFilter(reason="complaint"),
        "_with_agent": CallFilter(agent=one),
        # For somebody who reads marks.
        "_with_marks": CallFilter(),
        "_with_period": CallFilter(
            since=FIRST_AT + (LAST_AT - FIRST_AT) / 3, until=FIRST_AT + (LAST_AT - FIRST_AT) / 2
        ),
    }
    words = {"rare": rare_words(rounds), "common": list(COMMON_WORDS[:4]) * (rounds // 4)}
    found: dict[str, Any] = {}
    detail: dict[str, Any] = {}
    for kind, looked_for in words.items():
        for name, wanted in filters.items():
            texts = iter(looked_for)
            viewer = _ANALYST if name == "_with_marks" else OPERATOR
            took = _timed(
                connection,
                lambda: search(connection, viewer, next(texts), wanted),  # noqa: B023
                len(looked_for),
            )
            detail[f"{kind}{name}"] = {
                "p50_ms": _ms(median(took.wall)),
                "p95_ms": _p95(took.wall),
                "cpu_p95_ms": _p95(took.cpu),
            }
        found[f"search_{kind}_p95_ms"] = max(value["p95_ms"] for key, value in detail.items() if key.startswith(kind))
        found[f"plain_rank_{kind}_ms"] = _ms(min(_timed(connection, _plain_rank(connection, looked_for[0]), 2).wall))
    return found | {"searches": detail}


def _plain_rank(connection: sa.Connection, word: str) -> Callable[[], object]:
    """The best 20 of all hits by the database's own rank. SQLite's table keeps no lengths of rows, which bm25() would
    have to count anew: reading all hits once is the least that any rank over them costs.
    """
    if connection.dialect.name == "sqlite":
        statement = sa.text("SELECT count(*), max(rowid) FROM call_words WHERE call_words MATCH :word")
    else:
        statement = sa.text(
            "SELECT call_id FROM call_text, to_tsquery('simple', :word) AS query WHERE words @@ query"
            " ORDER BY ts_rank(words, query) DESC LIMIT 20"
        )
    return lambda: connection.execute(statement, {"word": word}).all()


def _timed_sql(connection: sa.Connection, act: Callable[[], object], rounds: int) -> Took:
    """What the statements of `act` take on the driver, together, each round."""
    statements: list[tuple[str, Any, dict[str, bool]]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool) -> None:
        is_by_values = connection.dialect.name == "postgresql" and BY_VALUES.keys() <= context.execution_options.keys()
        statements.append((statement, parameters, {"prepare": False} if is_by_values else {}))

    # What a connection asks once a minute is no page's.
    act()
    sa.event.listen(connection, "before_cursor_execute", note)
    act()
    sa.event.remove(connection, "before_cursor_execute", note)
    raw: Any = connection.connection.dbapi_connection

    def send() -> None:
        for statement, parameters, options in statements:
            cursor = raw.cursor()
            cursor.execute(statement, parameters, **options)
            if cursor.description:
                cursor.fetchall()
            cursor.close()

    # Statements that are sent again and again are prepared, and those of a list are: their plans are made by then.
    for _ in range(_UNTIMED):
        send()
    return _timed(connection, send, rounds, is_sql=True)


def _timed(connection: sa.Connection, act: Callable[[], object], rounds: int, *, is_sql: bool = False) -> Took:
    took = Took([], [])
    cpu_s = _clock_of_cpu(connection, is_sql)
    for _ in range(rounds):
        started, started_cpu = time.perf_counter(), cpu_s()
        act()
        took.wall.append(time.perf_counter() - started)
        took.cpu.append(cpu_s() - started_cpu)
    return took


def _clock_of_cpu(connection: sa.Connection, is_sql: bool) -> Callable[[], float]:
    """Seconds of the processor so far: of the thread that answers SQL, which on PostgreSQL is a process of the server
    (on this machine); and of our own, where not SQL alone is timed.
    """
    raw: Any = connection.connection.dbapi_connection
    if connection.dialect.name == "sqlite":
        return time.thread_time
    # Nanoseconds on the processor (proc(5)); only Linux tells.
    told = Path(f"/proc/{raw.info.backend_pid}/schedstat")
    if not told.exists():
        return time.thread_time
    own: Callable[[], float] = float if is_sql else time.thread_time
    return lambda: own() + int(told.read_text().split()[0]) / 1e9


def _p95(seconds: Sequence[float]) -> float:
    return _ms(sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.95))])


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)


def _url(stack: ExitStack, given: argparse.Namespace) -> str:
    if given.database == "postgres":
        server = PostgresServer()
        stack.callback(server.close)
        return server.url(server.create_database())
    folder = given.folder or Path(stack.enter_context(TemporaryDirectory()))
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'callwise.db'}"


if __name__ == "__main__":
    main()
