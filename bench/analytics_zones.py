"""Trends by days of another zone than the site's, against the same by a group-by of the facts in one run.

`python -m bench.analytics_zones --json [--calls N] [--rounds N]`: made-up calls of three years in SQLite, 26 weeks of
which are asked for. The processor's time is given: the median of the rounds.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from analytics.parts import PART_NAMES
from analytics.star import fact_call
from analytics.sums import Filters, Over
from analytics.trends import By, heat_map, trend
from analytics.zoned import local_seconds
from analytics.zones import midnight, zone_named
from bench.analytics_calls import ENDS_AT, fill
from bench.analytics_facts import fill_facts
from crm.database import Database
from crm.schema import upgrade

TODAY = ENDS_AT.date()
SINCE = TODAY - timedelta(weeks=26)
# The made-up calls are of UTC.
ZONES = ("UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Auckland")


def main() -> None:
    """Measure, and print one document."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--calls", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--json", action="store_true", help="one JSON document (the default prints the same)")
    given = arguments.parse_args()
    with TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'callwise.db'}")
        upgrade(database)
        fill(database, given.calls)
        fill_facts(database, given.calls, ENDS_AT + timedelta(hours=1))
        with database.read() as connection:
            found = {zone: _of_zone(connection, zone, given.rounds) for zone in ZONES}
        database.dispose()
    print(json.dumps({"calls": given.calls, "cpu_ms": found, "load_average": os.getloadavg()}, indent=2))


def _of_zone(connection: sa.Connection, zone: str, rounds: int) -> dict[str, float]:
    wanted = Filters(since=SINCE, until=TODAY, zone=zone)

    def ask(by: By) -> Callable[[], Any]:
        return lambda: trend(connection, by=by, over=Over.REASON, filters=wanted, today=TODAY)

    questions: dict[str, Callable[[], Any]] = {
        "reasons_by_week": ask(By.WEEK),
        "reasons_by_day": ask(By.DAY),
        "group_by_over_fact": lambda: _grouped(connection, zone),
        "heat_map": lambda: heat_map(connection, filters=wanted),
    }
    return {name: _cpu_ms(question, rounds) for name, question in questions.items()}


def _grouped(connection: sa.Connection, zone: str) -> Any:
    """All parts by reason and day of the zone, from the facts alone."""
    known = zone_named(zone)
    first, last = midnight(SINCE, known), midnight(TODAY, known)
    day = (local_seconds(connection, known, first, last) // 86_400).label("day")
    at = fact_call.c.happened_at_utc
    asked = sa.select(day, fact_call.c.reason_key, *(sa.func.sum(fact_call.c[name]) for name in PART_NAMES))
    return connection.execute(
        asked.where(at >= first, at < last).group_by(sa.literal_column("day"), fact_call.c.reason_key)
    ).all()


def _cpu_ms(work: Callable[[], Any], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return round(statistics.median(taken) * 1000, 1)


if __name__ == "__main__":
    main()
