"""What the rows of intake cost when they are ready: the floor under `bench.intake`, which no code above it can pass.

The same rows, in the same tables with the same indexes, as many to a transaction, by the driver alone: intake's own
statements on SQLite, `COPY` on PostgreSQL, which can refuse no single row.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from crm.bulk_sqlite import Piece, in_hundreds
from crm.database import Database
from crm.schema import upgrade
from crm.tables import call, job, recording

_TABLES = (call, recording, job)

Batch = list[tuple[str, list[str], list[tuple[Any, ...]]]]


def floor_rates(taken: str, fresh: str, batch: int) -> tuple[float, float]:
    """Events per second, and per second of this process's processor: the rows of the database `taken` into `fresh`,
    which is made.
    """
    batches: list[Any] = list(_batches(Database(taken), batch))
    row_count = sum(len(rows[-1][2]) for rows in batches)
    database = Database(fresh)
    upgrade(database)
    put: Callable[[Any, Any], None] = _by_copy
    if database.is_sqlite:
        put, batches = _by_statements, [_pieces(rows) for rows in batches]
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
    if made != row_count:
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


def _pieces(batch: Batch) -> list[Piece]:
    pieces = []
    for table, (_, names, rows) in zip(_TABLES, batch, strict=True):
        # One object for each value: what all rows share is known by that.
        same: dict[Any, Any] = {}
        columns = [[same.setdefault(value, value) for value in column] for column in zip(*rows, strict=True)]
        pieces += in_hundreds(table, dict(zip(names, columns, strict=True)))
    return pieces


def _by_statements(raw: Any, pieces: Sequence[Piece]) -> None:
    raw.execute("BEGIN IMMEDIATE")
    for statement, given in pieces:
        run = raw.executemany if isinstance(given, list) else raw.execute
        run(statement, given)
    raw.execute("COMMIT")


def _by_copy(raw: Any, batch: Batch) -> None:
    with raw.transaction(), raw.cursor() as cursor:
        for name, names, rows in batch:
            with cursor.copy(f"COPY {name} ({', '.join(names)}) FROM STDIN") as copy:
                _write(copy, rows)


def _write(copy: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    for row in rows:
        copy.write_row(row)
