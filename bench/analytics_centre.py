"""A PostgreSQL whose star schema holds millions of made-up calls, in minutes: facts and sums without the calls behind.

`python -m bench.analytics_centre [--facts N]` makes one, prints its address and keeps it until it is interrupted. What
makes it fast and is nothing for real data: no fsync, unlogged tables, and keys that are looked at when all rows are in.
"""

import argparse
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from analytics.star import AGGREGATES, fact_call, fact_call_reason
from bench.analytics_calls import ENDS_AT, fill
from bench.analytics_facts import fill_facts
from crm.database import Database
from crm.schema import upgrade

FACTS = (fact_call_reason, fact_call)
_AT_ONCE = 2


def main() -> None:
    """Make one, and keep it."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--facts", type=int, default=100_000)
    given = arguments.parse_args()
    from tests.servers.postgres import PostgresServer

    server = PostgresServer()
    try:
        database = Database(server.url(server.create_database()))
        fill_centre(database, given.facts)
        print(database.url.render_as_string(hide_password=False), flush=True)
        signal.sigwait([signal.SIGINT, signal.SIGTERM])
    finally:
        server.close()


def fill_centre(database: Database, count: int) -> None:
    """Fill an empty PostgreSQL of one's own, whose user may do everything."""
    upgrade(database)
    fill(database, 0)
    run_alone(database, "ALTER ROLE CURRENT_USER SET session_replication_role = replica")
    run_alone(database, "ALTER ROLE CURRENT_USER SET maintenance_work_mem = '512MB'")
    for table in (*FACTS, *AGGREGATES):
        run_alone(database, f"ALTER TABLE {table} SET UNLOGGED")
    database.dispose()
    with _bare(database):
        fill_facts(database, count, ENDS_AT)
    run_alone(database, "ALTER ROLE CURRENT_USER RESET ALL")
    run_alone(database, "VACUUM ANALYZE")
    database.dispose()


@contextmanager
def _bare(database: Database) -> Iterator[None]:
    """The facts without keys and indexes, but for the index by which the days are summed; they come back at the end."""
    kept = {f"ix_{fact_call.name}_date_key"}
    named = [f"'{table}'::regclass" for table in FACTS]
    constraints = run_alone(
        database,
        "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        f" WHERE conrelid IN ({', '.join(named)}) AND contype IN ('p', 'u', 'f') ORDER BY contype = 'f' DESC",
    )
    for table, name, _ in constraints:
        run_alone(database, f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    indexes = run_alone(
        database,
        "SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index"
        f" WHERE indrelid IN ({', '.join(named)})",
    )
    for name, _ in indexes:
        if str(name).rpartition(".")[2] not in kept:
            run_alone(database, f"DROP INDEX {name}")
    yield
    keys = [
        f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {text}'
        for table, name, text in constraints
        if not text.startswith("FOREIGN")
    ]
    others = [text for name, text in indexes if str(name).rpartition(".")[2] not in kept]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda statement: run_alone(database, statement), [*keys, *others]))
    for table, name, text in constraints:
        if text.startswith("FOREIGN"):
            run_alone(database, f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {text} NOT VALID')


def run_alone(database: Database, statement: str) -> list[tuple[str, ...]]:
    """Execute a statement in a transaction of its own; returns its rows as texts."""
    # SQLite begins a transaction all the same, which has to be committed.
    with (
        database.write()
        if database.is_sqlite
        else database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    ) as connection:
        result = connection.exec_driver_sql(statement)
        return [tuple(map(str, row)) for row in result] if result.returns_rows else []


if __name__ == "__main__":
    main()
