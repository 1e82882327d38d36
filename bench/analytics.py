"""The roll-ups and what reads them: one call's effect, a full recompute, the pages' queries, the files.

`python -m bench.analytics --json [--calls N] [--database sqlite|postgres]`: made-up calls of three years in a database
of its own. Every ratio is taken within the run: the full recompute and the group-by over the facts are measured on the
same rows as ours.
"""

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from analytics.changed_reasons import OVER_REASONS
from analytics.measures import BY_SLUG
from analytics.rollup import recompute_all, refresh
from analytics.star import agg_day, agg_period, date_key, dim_reason, fact_call
from analytics.sums import Filters, Over
from analytics.trends import By, heat_map, members, totals, trend
from bench.analytics_calls import ENDS_AT, add_calls, fill, id_of
from bench.analytics_facts import fill_facts
from crm.database import Database
from crm.jobs import touch_call
from crm.schema import upgrade
from crm.tables import call_analysis
from runtime.program import spare_the_program
from web.trend_figures import OF_REASONS

ZONE = "UTC"
TODAY = ENDS_AT.date()
AT_ONCE = 1_000
ONE_BY_ONE = 30


def main() -> None:
    """Measure, and print one document."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--calls", type=int, default=20_000)
    arguments.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    arguments.add_argument("--rounds", type=int, default=5, help="how often each figure is taken; the median counts")
    arguments.add_argument(
        "--facts-by-sql", action="store_true", help="begin with facts that one statement makes: no full recompute"
    )
    arguments.add_argument("--no-exports", action="store_true", help="leave the files out")
    arguments.add_argument("--json", action="store_true", help="one JSON document (the default prints the same)")
    given = arguments.parse_args()
    with bench_database(given.database) as database:
        print(
            json.dumps(
                measure(
                    database,
                    given.calls,
                    given.rounds,
                    with_exports=not given.no_exports,
                    facts_by_sql=given.facts_by_sql,
                ),
                indent=2,
            )
        )


def measure(
    database: Database, call_count: int, rounds: int, *, with_exports: bool, facts_by_sql: bool
) -> dict[str, Any]:
    """All figures, taken in one run."""
    upgrade(database)
    filled_s = timed(lambda: fill(database, call_count))
    now = ENDS_AT + timedelta(hours=1)
    if facts_by_sql:
        facts_s, recompute_s = timed(lambda: fill_facts(database, call_count, now)), None
    else:
        facts_s, recompute_s = None, timed(lambda: refresh(database, ZONE, now))
    found = measure_filled(database, call_count, rounds, with_recompute=not facts_by_sql) | {
        "recompute_s": recompute_s and round(recompute_s, 2),
        "facts_by_sql_s": facts_s and round(facts_s, 1),
        "fill_s": round(filled_s, 1),
    }
    if recompute_s:
        found["recompute_over_incremental"] = round(recompute_s * 1e6 / found["rollup_us_per_call"])
    if with_exports:
        from bench.analytics_exports import measure_exports

        with TemporaryDirectory() as folder:
            found |= measure_exports(database, Path(folder))
    return found


def measure_filled(
    database: Database, call_count: int, rounds: int, *, with_recompute: bool, step: int = 1
) -> dict[str, Any]:
    """The figures of a database that holds these calls and their star schema, and maybe what this has added before."""
    now = ENDS_AT + timedelta(hours=1)
    # As workers do.
    spare_the_program()
    stored = range(0, call_count, step)
    differing = _differing(database, stored, now)
    effects = _effects(database, stored, rounds, now, with_recompute=with_recompute)
    return {
        "calls": call_count,
        "database": database.url.get_backend_name(),
        "rollup_us_per_call": effects["newest_day"],
        "rollup_cpu_us_per_call": effects["newest_day_cpu"],
        "rollup_us_per_call_rounds": effects["newest_day_rounds"],
        "rollup_us_per_call_spread": effects["spread"],
        "rollup_us_lone_call": effects["lone"],
        "facts_that_the_roll_ups_would_change": differing,
        "recompute_anew_s": effects["recompute_s"] and round(effects["recompute_s"], 1),
        "sums_alone_over_incremental": round(effects["sums_s"] * 1e6 / effects["newest_day"]),
        "equal_to_recompute": effects["is_equal"],
        **_dashboards(database, rounds),
        "load_average": [round(load, 1) for load in os.getloadavg()],
    }


def _differing(database: Database, stored: range, now: datetime) -> int:
    """How many of some thousand calls have another fact than the roll-ups make of them now."""
    some = random.Random(7).sample(stored, min(2_000, len(stored)))
    with database.write() as connection:
        for number in some:
            touch_call(connection, id_of("call", number))
    later = now + timedelta(seconds=1)
    refresh(database, ZONE, later)
    with database.read() as connection:
        asked = sa.select(sa.func.count()).where(fact_call.c.modified_at_utc == later)
        return int(connection.execute(asked).scalar_one())


def _effects(database: Database, stored: range, rounds: int, now: datetime, *, with_recompute: bool) -> dict[str, Any]:
    """Microseconds of a refresh for each call that it follows; and whether the sums are those of a recompute."""
    now += timedelta(seconds=2)
    with database.read() as connection:
        begins = connection.execute(sa.select(sa.func.max(fact_call.c.call_key))).scalar_one()
    # Another run on the same database changes other calls.
    chance = random.Random(begins)
    last_day_s = int((ENDS_AT - timedelta(hours=12)).timestamp())
    newest, newest_cpu, spread, lone = [], [], [], []
    for n in range(rounds):
        first = begins + n * AT_ONCE
        with database.write() as connection:
            add_calls(connection, first, first + AT_ONCE, stored.stop, at=f"({last_day_s} + i % 7200)")
            for number in range(first, first + AT_ONCE):
                touch_call(connection, id_of("call", number))
        if database.is_sqlite:
            # What the calls have written: a long log would go into the database beside the refresh.
            database.empty_log()
        cpu_s = _cpu_s(database)
        newest.append(timed(lambda: refresh(database, ZONE, now)) / AT_ONCE)
        newest_cpu.append((_cpu_s(database) - cpu_s) / AT_ONCE)
        some = chance.sample(stored, min(AT_ONCE, len(stored)))
        _reclassify(database, some, n)
        spread.append(timed(lambda: refresh(database, ZONE, now)) / len(some))
    for n in range(ONE_BY_ONE):
        _reclassify(database, [begins + n], rounds + n)
        lone.append(timed(lambda: refresh(database, ZONE, now)))
    before = _sums(database)
    sums_s = timed(lambda: _group_by(database))
    recompute_s = is_equal = None
    if with_recompute:
        recompute_s = timed(lambda: recompute_all(database, ZONE, now))
        is_equal = before == _sums(database)
    us = {
        name: round(statistics.median(many) * 1e6, 1)
        for name, many in (("newest_day", newest), ("newest_day_cpu", newest_cpu), ("spread", spread), ("lone", lone))
    }
    us_of_rounds = [round(one * 1e6, 1) for one in newest]
    return us | {"newest_day_rounds": us_of_rounds, "sums_s": sums_s, "recompute_s": recompute_s, "is_equal": is_equal}


def _reclassify(database: Database, numbers: list[int], shift: int) -> None:
    with database.write() as connection:
        for number in numbers:
            call_id = id_of("call", number)
            connection.execute(
                sa.update(call_analysis)
                .where(call_analysis.c.call_id == call_id, call_analysis.c.is_current)
                .values(reason_code=f"reason_{(number + shift) % 20}")
            )
            touch_call(connection, call_id)


def _sums(database: Database) -> list[Any]:
    """Every sum by day, by the names that keep their meaning."""
    with database.read() as connection:
        columns = [column for column in agg_day.columns if column.name != "modified_at_utc"]
        rows = list(connection.execute(sa.select(*columns).order_by(*agg_day.primary_key)))
        columns = [column for column in agg_period.columns if column.name != "modified_at_utc"]
        return [*rows, *connection.execute(sa.select(*columns).order_by(*agg_period.primary_key))]


def _group_by(database: Database) -> None:
    """The sums of all days as one statement over the facts: what a recompute could not do without."""
    grain = [fact_call.c[column.name] for column in agg_day.primary_key]
    parts = [sa.func.sum(column) for column in fact_call.columns if column.name in agg_day.c and column not in grain]
    parts = [part for part in parts if "modified" not in str(part)]
    with database.read() as connection:
        connection.execute(sa.select(*grain, *parts).group_by(*grain)).all()


def _dashboards(database: Database, rounds: int) -> dict[str, Any]:
    """What pages ask, with the measures that they show: the time of each question through the sums, of one of them with
    every measure, and of the same over the facts.
    """
    half, quarter = TODAY - timedelta(weeks=26), TODAY - timedelta(weeks=13)
    month = Filters(since=TODAY - timedelta(days=30), until=TODAY)
    weeks, queue = Filters(since=half, until=TODAY), Filters(since=half, until=TODAY, queue="Queue 3")
    questions: dict[str, Callable[[sa.Connection], Any]] = {
        "totals_30_days": lambda c: totals(c, filters=month),
        "days_13_weeks": lambda c: _trend(c, By.DAY, None, Filters(since=quarter, until=TODAY)),
        "reasons_by_week_26_weeks": lambda c: _trend(c, By.WEEK, Over.REASON, weeks, OVER_REASONS),
        "reasons_by_month_all": lambda c: _trend(c, By.MONTH, Over.REASON, Filters(), OVER_REASONS),
        "queues_by_week_26_weeks": lambda c: _trend(c, By.WEEK, Over.QUEUE, weeks),
        "one_queue_by_week_26_weeks": lambda c: _trend(c, By.WEEK, None, queue),
        "reasons_30_days": lambda c: members(c, over=Over.REASON, filters=month, measures=OF_REASONS),
        "teams_30_days": lambda c: members(c, over=Over.TEAM, filters=month),
        "heat_map_13_weeks": lambda c: heat_map(c, filters=Filters(since=quarter, until=TODAY)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in questions}
    cpu: list[float] = []
    with database.read() as connection:
        asked = partial(_asked, connection)
        for _ in range(max(rounds, 3)):
            for name, ask in questions.items():
                took_s, cpu_s = asked(ask)
                seconds[name].append(took_s)
                cpu.append(cpu_s)
        whole = [asked(lambda c: _trend(c, By.MONTH, Over.REASON, Filters()))[0] for _ in range(max(rounds, 3))]
        plain, _ = asked(lambda c: _plain(c, None))
        plain_weeks, _ = asked(lambda c: _plain(c, half))
    return {
        "dashboard_p95_ms": _p95_ms([one for many in seconds.values() for one in many]),
        "dashboard_cpu_p95_ms": _p95_ms(cpu),
        "dashboard_ms": {name: round(statistics.median(many) * 1000, 2) for name, many in seconds.items()},
        "reasons_by_month_all_measures_ms": round(statistics.median(whole) * 1000, 2),
        "group_by_over_fact_ms": {
            "reasons_by_month_all": round(plain * 1000, 2),
            "reasons_by_week_26_weeks": round(plain_weeks * 1000, 2),
        },
    }


def _asked(connection: sa.Connection, ask: Callable[[sa.Connection], Any]) -> tuple[float, float]:
    """Seconds by the clock and of the processor; on PostgreSQL the latter are this process's alone."""
    cpu_s = time.process_time()
    return timed(lambda: ask(connection)), time.process_time() - cpu_s


def _p95_ms(seconds: list[float]) -> float:
    return round(sorted(seconds)[int(len(seconds) * 0.95)] * 1000, 2)


def _trend(
    connection: sa.Connection, by: By, over: Over | None, filters: Filters, measures: Collection[str] = BY_SLUG
) -> Any:
    return trend(connection, by=by, over=over, filters=filters, today=TODAY, measures=measures)


def _plain(connection: sa.Connection, since: date | None) -> Any:
    """Calls by reason and day, grouped from the facts: five sums, where ours have all parts."""
    names = ("call_count", "handled_count", "classified_count", "handle_time_ms", "sentiment_tenths")
    asked = (
        sa.select(fact_call.c.date_key, dim_reason.c.code, *(sa.func.sum(fact_call.c[name]) for name in names))
        .join_from(fact_call, dim_reason)
        .group_by(fact_call.c.date_key, dim_reason.c.code)
    )
    if since:
        asked = asked.where(fact_call.c.date_key >= date_key(since))
    return connection.execute(asked).all()


def _cpu_s(database: Database) -> float:
    """Seconds of processor that this process has used, and PostgreSQL's for its connection, where it can be seen."""
    used = time.process_time()
    if database.is_sqlite:
        return used
    with database.read() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return used
    user, system = stat.read_text().rsplit(")", 1)[1].split()[11:13]
    return used + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def timed(work: Callable[[], Any]) -> float:
    """Seconds by the clock."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def bench_database(kind: str, url: str | None = None) -> Iterator[Database]:
    """A database of one's own for the run, which goes at its end; one with an address stays."""
    if url:
        database = Database(url)
        yield database
        database.dispose()
        return
    if kind == "sqlite":
        with TemporaryDirectory() as folder:
            database = Database(f"sqlite:///{Path(folder) / 'callwise.db'}")
            yield database
            database.dispose()
        return
    from tests.servers.postgres import PostgresServer

    server = PostgresServer()
    try:
        database = Database(server.url(server.create_database()))
        yield database
        database.dispose()
    finally:
        server.close()


if __name__ == "__main__":
    main()
