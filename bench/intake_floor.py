"""What the rows of intake cost when they are ready: the floor under `bench.intake`, which no code above it can pass.

The same rows, in the same tables with the same indexes, as many to a transaction, by the driver alone: `executemany` on
SQLite, `COPY` on PostgreSQL, which can refuse no single row.
"""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from crm.database import Database
from crm.schema import upgrade
from crm.tables import call, job, recording

_TABLES = (call, recording, job)

Batch = list[tuple[str, list[str], list[tuple[Any, ...]]]]


def floor_rates(taken: str, fresh: str, batch: int) -> tuple[float, float]:
    """Events per second, and per second of this process's processor: the rows of the database `taken` into `fresh`,
    which is made.
    """
    batches = list(_batches(Database(taken), batch))
    database = Database(fresh)
    upgrade(database)
    put = _by_executemany if database.is_sqlite else _by_copy
    took_s = cpu_s = 0.0
    with database.engine.connect() as connection:
        raw: Any = connection.connection.dbapi_connection
        for rows in batches:
            started, cpu_started = time.perf_counter(), time.process_time()
            put(raw, rows)
            took_s, cpu_s = took_s + time.perf_counter() - started, cpu_s + time.process_time() - cpu_started
    with database.read() as connection:
        made = connection.execute(sa.select(sa.func.count()).select_from(job)).scalar_one()
    database.dispose()
    if made != sum(len(rows[-1][2]) for rows in batches):
        raise RuntimeError("not every row was written")
    return made / took_s, made / cpu_s


def _batches(database: Database, batch: int) -> Iterator[Batch]:
    """The rows as the driver takes them, without the columns that are empty in all of them."""
    tables = []
    with database.read() as connection:
        for table in _TABLES:
            # By call, as intake writes them.
            order = "id" if table is call else "call_id"
            result = connection.exec_driver_sql(f"SELECT * FROM {table.name} ORDER BY {order}")
            names, rows = list(result.keys()), result.fetchall()
            kept = [place for place in range(len(names)) if any(row[place] is not None for row in rows)]
            ready = [tuple(_ready(row[place]) for place in kept) for row in rows]
            tables.append((table.name, [names[place] for place in kept], ready))
    database.dispose()
    for start in range(0, len(tables[0][2]), batch):
        yield [(name, names, rows[start : start + batch]) for name, names, rows in tables]


def _ready(value: object) -> object:
    return json.dumps(value) if isinstance(value, dict) else value


def _by_executemany(raw: Any, batch: Batch) -> None:
    raw.execute("BEGIN IMMEDIATE")
    for name, names, rows in batch:
        values = ", ".join("?" * len(names))
        raw.executemany(f"INSERT INTO {name} ({', '.join(names)}) VALUES ({values}) ON CONFLICT DO NOTHING", rows)
    raw.execute("COMMIT")


def _by_copy(raw: Any, batch: Batch) -> None:
    with raw.transaction(), raw.cursor() as cursor:
        for name, names, rows in batch:
            with cursor.copy(f"COPY {name} ({', '.join(names)}) FROM STDIN") as copy:
                _write(copy, rows)


def _write(copy: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    for row in rows:
        copy.write_row(row)
