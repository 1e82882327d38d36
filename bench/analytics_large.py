"""The roll-ups and the pages' queries beside ten million calls, which are put in bare.

`python -m bench.analytics_large --json [--calls N] [--url URL]`: the calls and their facts are written without indexes
and triggers; what the roll-ups and the pages read or write comes back before anything is measured. The other indexes,
of the lists of calls, stay away. With `--url` the database is one's own: it is filled when it is empty, and kept.
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from analytics.star import AGGREGATES
from bench.analytics import bench_database, measure_filled, timed
from bench.analytics_calls import ENDS_AT, fill
from bench.analytics_centre import FACTS, run_alone
from bench.analytics_facts import fill_facts
from crm.database import Database
from crm.schema import upgrade
from crm.tables import call, call_analysis, contact, transcript

# The roll-ups read calls by these alone, but for the last, which a trigger of analyses does.
READ = ("pk_call", "uq_transcript_current", "uq_call_analysis_current", "pk_call_analysis")
_BARE = (*FACTS, call, transcript, call_analysis, contact)
# The sums are made by it.
_KEPT = "ix_fact_call_date_key"


def main() -> None:
    """Fill where nothing is, measure, and print one document."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--calls", type=int, default=10_000_000)
    arguments.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    arguments.add_argument("--step", type=int, default=1, help="only every so many-th fact has its call behind it")
    arguments.add_argument("--url", help="a database of one's own, in the place of one that goes at the end")
    arguments.add_argument("--rounds", type=int, default=5, help="how often each figure is taken; the median counts")
    arguments.add_argument("--recompute", action="store_true", help="recompute all at the end, and compare")
    arguments.add_argument("--fill-only", action="store_true", help="measure nothing yet")
    arguments.add_argument("--json", action="store_true", help="one JSON document (the default prints the same)")
    given = arguments.parse_args()
    with bench_database(given.database, given.url) as database:
        upgrade(database)
        found: dict[str, Any] = {"fill_s": round(timed(lambda: fill_bare(database, given.calls, given.step)), 1)}
        if not given.fill_only:
            found |= measure_filled(
                database, given.calls, given.rounds, with_recompute=given.recompute, step=given.step
            )
            found |= {"rows_of_sums": _rows_of_sums(database)}
    print(json.dumps(found, indent=2))


def fill_bare(database: Database, call_count: int, step: int) -> None:
    """Put the calls and their star schema into an empty database whose user may do everything."""
    with database.read() as connection:
        if connection.execute(sa.select(call.c.id).limit(1)).first():
            return
    with _bare(database):
        fill(database, call_count, step)
        fill_facts(database, call_count, ENDS_AT + timedelta(hours=1))
    # What a server does by itself in the first minutes.
    run_alone(database, "ANALYZE" if database.is_sqlite else "VACUUM ANALYZE")


@contextmanager
def _bare(database: Database) -> Iterator[None]:
    with _sqlite_bare(database) if database.is_sqlite else _postgresql_bare(database):
        yield


@contextmanager
def _sqlite_bare(database: Database) -> Iterator[None]:
    tables = ", ".join(f"'{table.name}'" for table in _BARE)
    held = run_alone(database, f"SELECT type, name, sql FROM sqlite_master WHERE sql <> '' AND tbl_name IN ({tables})")
    for kind, name, _ in held:
        if kind in ("index", "trigger") and name != _KEPT:
            run_alone(database, f"DROP {kind} {name}")
    database.dispose()
    sa.event.listen(database.engine, "connect", _hold_in_memory)
    yield
    ours = {index.name for table in FACTS for index in table.indexes} | set(READ)
    for kind, name, text in held:
        if kind == "index" and name in ours - {_KEPT}:
            run_alone(database, text)
    # The next engine has a user's settings.
    database.dispose()


def _hold_in_memory(raw: Any, _record: Any) -> None:
    for pragma in ("cache_size=-4000000", "synchronous=OFF", "foreign_keys=OFF", "secure_delete=OFF"):
        raw.execute(f"PRAGMA {pragma}")


@contextmanager
def _postgresql_bare(database: Database) -> Iterator[None]:
    for setting in ("session_replication_role = replica", "maintenance_work_mem = '1GB'", "work_mem = '256MB'"):
        run_alone(database, f"ALTER ROLE CURRENT_USER SET {setting}")
    database.dispose()
    named = ", ".join(f"'{table}'::regclass" for table in _BARE)
    constraints = run_alone(
        database,
        f"SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        f" WHERE conrelid IN ({named}) AND contype IN ('p', 'u')",
    )
    for table, name, _ in constraints:
        # With the foreign keys that point there.
        run_alone(database, f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE")
    indexes = run_alone(
        database,
        "SELECT relname, indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index"
        f" JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid IN ({named})",
    )
    for name, qualified, _ in indexes:
        if name != _KEPT:
            run_alone(database, f"DROP INDEX {qualified}")
    yield
    of_facts = {str(table) for table in FACTS}
    for table, name, text in constraints:
        if table in of_facts or name in READ:
            run_alone(database, f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}")
    ours = {index.name for table in FACTS for index in table.indexes} | set(READ)
    for name, _, text in indexes:
        if name in ours - {_KEPT}:
            run_alone(database, text)
    run_alone(database, "ALTER ROLE CURRENT_USER RESET ALL")
    database.dispose()


def _rows_of_sums(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {
            table.name: int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
            for table in AGGREGATES
        }


if __name__ == "__main__":
    main()
