"""The files for BI tools: Parquet against COPY and against rows through the csv module, what a day's calls cost to
export, memory, and Excel against xlsxwriter.

`python -m bench.analytics_exports --json [--facts N] [--rounds N]`: facts made up in a PostgreSQL of its own, without
the calls behind them, so that ten millions are there in minutes. `bench.analytics` takes the same figures of its calls.
Rates are of rows of `fact_call`, with all its columns; peers are measured in the same run, turn by turn.
"""

import argparse
import csv
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
import xlsxwriter

from analytics.dimensions import date_row, follow
from analytics.export_parquet import write_parquet
from analytics.export_tables import ExportTable, export_tables
from analytics.exports import export
from analytics.parts import PARTS
from analytics.star import agg_hour, dim_date, fact_call, refresh_state
from analytics.xlsx_calls import CallsSheet, calls_sheet
from analytics.xlsx_rows import Cells, Filling, fill
from crm.database import Database

ENDS_AT = datetime(2026, 12, 31, tzinfo=UTC)
DAYS = 3 * 365
_CSV_ROWS = 50_000
_XLSX_ROWS = 10_000


def main() -> None:
    """Measure, and print one document."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--facts", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=3, help="how often each figure is taken; the median counts")
    arguments.add_argument("--json", action="store_true", help="one JSON document (the default prints the same)")
    arguments.add_argument("--export", nargs=2, metavar=("URL", "FOLDER"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.export:
        _export_alone(*given.export)
        return
    from crm.schema import upgrade
    from tests.servers.postgres import PostgresServer

    server = PostgresServer()
    try:
        database = Database(server.url(server.create_database()))
        upgrade(database)
        filled_s = _timed(lambda: fill_facts(database, given.facts))
        with TemporaryDirectory() as folder:
            found = measure_exports(database, Path(folder), rounds=given.rounds)
        database.dispose()
        print(json.dumps({"facts": given.facts, **found, "fill_s": round(filled_s, 1)}, indent=2))
    finally:
        server.close()


def measure_exports(database: Database, folder: Path, *, rounds: int = 3) -> dict[str, Any]:
    """All figures of the files, from what the star schema of the database holds."""
    table = next(one for one in export_tables(personal_data=False) if one.name == "fact_call")
    with database.read() as connection:
        rows = connection.execute(sa.select(sa.func.count()).select_from(fact_call)).scalar_one()
    # What is imported at the first batch is no part of a rate.
    parquet_rows_per_s(database, table.part(0, _first_day(database)), folder / "first.parquet", rows)
    copies, ours, plain = [], [], []
    for n in range(rounds):
        copies.append(copy_rows_per_s(database, rows))
        ours.append(parquet_rows_per_s(database, table, folder / f"{n}.parquet", rows))
        plain.append(csv_rows_per_s(database, folder / f"{n}.csv"))
    parquet = statistics.median(ours)
    found: dict[str, Any] = {
        "parquet_rows_per_s": round(parquet),
        "copy_rows_per_s": None,
        "parquet_over_copy": None,
        "rows_and_csv_per_s": round(statistics.median(plain)),
    }
    known = [one for one in copies if one is not None]
    if known:
        found["copy_rows_per_s"] = round(statistics.median(known))
        pairs = [one / other for one, other in zip(ours, known, strict=True)]
        found["parquet_over_copy"] = round(statistics.median(pairs), 2)
    return found | incremental(database, folder / "lake", rounds) | excel(database, folder, rounds)


def _first_day(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.min(fact_call.c.date_key))).scalar_one() or 0)


def parquet_rows_per_s(database: Database, table: ExportTable, path: Path, rows: int) -> float:
    """Facts a second from the database to one Parquet file."""
    with database.read() as connection:
        return rows / _timed(lambda: write_parquet(connection, table, path))


def copy_rows_per_s(database: Database, rows: int) -> float | None:
    """Facts a second that a binary COPY of the whole table sends to a reader that drops them; None on SQLite."""
    if database.is_sqlite:
        return None

    def receive() -> None:
        with database.read() as connection:
            driver: Any = connection.connection.driver_connection
            with driver.cursor() as cursor, cursor.copy("COPY bi.fact_call TO STDOUT (FORMAT binary)") as messages:
                for _ in messages:
                    pass

    return rows / _timed(receive)


def csv_rows_per_s(database: Database, path: Path) -> float:
    """Facts a second as rows of the driver through the csv module: the plain way."""
    count = 0

    def write() -> None:
        nonlocal count
        with database.read() as connection, path.open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            asked = sa.select(fact_call).order_by(fact_call.c.date_key).limit(_CSV_ROWS)
            for part in connection.execute(asked, execution_options={"yield_per": 5_000}).partitions():
                lines.writerows(part)
                count += len(part)

    took = _timed(write)
    return count / took


def incremental(database: Database, folder: Path, rounds: int) -> dict[str, Any]:
    """A full export to Parquet, and the next one after a day's calls; the full one's memory.

    A day of new calls changes two days: itself, and the one whose windows end.
    """
    with database.read() as connection:
        newest = connection.execute(sa.select(sa.func.max(fact_call.c.date_key))).scalar_one()
        now = connection.execute(sa.select(refresh_state.c.refreshed_at_utc)).scalar_one()
        zone = connection.execute(sa.select(refresh_state.c.time_zone)).scalar_one()
    began = time.perf_counter()
    asked = [sys.executable, "-m", "bench.analytics_exports"]
    told = subprocess.run(
        [*asked, "--export", database.url.render_as_string(hide_password=False), str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    full = json.loads(told.stdout.splitlines()[-1])
    later = []
    for n in range(rounds):
        with database.write() as connection:
            days = [newest, newest - 7 if newest % 100 > 7 else newest]
            connection.execute(
                sa.update(fact_call)
                .where(fact_call.c.date_key.in_(days))
                .values(modified_at_utc=now + timedelta(seconds=n + 1))
            )
        later.append(_timed(lambda: export(database, ("parquet",), folder, zone=zone, now=now)))
    return {
        "export_rss_mb": full["rss_mb"],
        "full_export_s": full["seconds"],
        "incremental_export_s": round(statistics.median(later), 3),
        "full_over_incremental": round(full["seconds"] / statistics.median(later), 1),
        "full_export_with_start_s": round(time.perf_counter() - began - sum(later), 1),
    }


def _export_alone(url: str, folder: str) -> None:
    """In a process of its own, whose memory is that of an export and of nothing else."""
    database = Database(url)
    with database.read() as connection:
        now = connection.execute(sa.select(refresh_state.c.refreshed_at_utc)).scalar_one()
        zone = connection.execute(sa.select(refresh_state.c.time_zone)).scalar_one()
    took = _timed(lambda: export(database, ("parquet",), Path(folder), zone=zone, now=now))
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": round(took, 2), "rss_mb": round(kilobytes / 1024)}))


def excel(database: Database, folder: Path, rounds: int) -> dict[str, Any]:
    """The sheet of calls, from rows in memory: our rows against xlsxwriter's cells in its constant-memory mode."""
    with database.read() as connection:
        calls = calls_sheet(connection, personal_data=False)
        rows = [row for row, _ in zip(calls.rows, range(_XLSX_ROWS), strict=False)]
    ours, theirs = [], []
    for n in range(rounds):
        theirs.append(_timed(lambda n=n: _by_cells(folder / f"theirs{n}.xlsx", calls, rows)))  # type: ignore[misc]
        ours.append(_timed(lambda n=n: _by_rows(folder / f"ours{n}.xlsx", calls, rows)))  # type: ignore[misc]
    return {
        "xlsx_rows_per_s": round(len(rows) / statistics.median(ours)),
        "xlsxwriter_rows_per_s": round(len(rows) / statistics.median(theirs)),
        "xlsx_vs_xlsxwriter": round(statistics.median(b / a for a, b in zip(ours, theirs, strict=True)), 2),
    }


def _by_rows(path: Path, calls: CallsSheet, rows: Sequence[Sequence[Any]]) -> None:
    made = path.with_suffix(".made")
    with xlsxwriter.Workbook(str(made)) as book:
        page = book.add_worksheet()
        page.add_table(0, 0, 1, len(calls.cells) - 1, {"columns": _headers(calls), "name": "calls"})
    fill(made, path, Filling("xl/worksheets/sheet1.xml", "calls", 2, calls.cells, rows, len(rows)))


def _by_cells(path: Path, calls: CallsSheet, rows: Sequence[Sequence[Any]]) -> None:
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        page = book.add_worksheet()
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        page.write_row(0, 0, [header["header"] for header in _headers(calls)])
        for number, row in enumerate(rows, 1):
            for column, (kind, value) in enumerate(zip(calls.cells, row, strict=True)):
                if value is None:
                    continue
                if kind is Cells.COUNT:
                    page.write_number(number, column, value)
                elif kind is Cells.MOMENT:
                    page.write_datetime(number, column, value.replace(tzinfo=None), moment)
                elif kind is Cells.FLAG:
                    page.write_string(number, column, "yes" if value else "no")
                else:
                    page.write_string(number, column, str(value))


def _headers(calls: CallsSheet) -> list[dict[str, str]]:
    return [{"header": f"{header} {n}"} for n, (header, _) in enumerate(calls.sheet.columns)]


def fill_facts(database: Database, count: int) -> None:
    """Facts of three years without the calls behind them, their sums by the hour, and the state of a finished roll-up.

    Only PostgreSQL makes them.
    """
    shown = {
        "call_key": "n",
        "call_id": "md5(n::text)::uuid",
        "date_key": "to_char(at, 'YYYYMMDD')::int",
        "hour_of_day": "extract(hour from at)::int",
        **dict.fromkeys(("reason_key", "queue_key", "agent_key", "team_key", "customer_key"), "-1"),
        "happened_at_utc": "at",
        "stage": "'done'",
        "direction": "case when n % 3 = 0 then 'outbound' else 'inbound' end",
        "disposition": "(array['completed', 'voicemail', 'no answer', 'transferred'])[n % 4 + 1]",
        "outcome": "(array['resolved', 'escalated', 'follow_up', 'sale'])[n % 4 + 1]",
        "is_resolved": "n % 3 = 0",
        "is_sample": "false",
        "is_demo": "false",
        "speech_engine": "'faster-whisper/small'",
        "language_model": "'a-model'",
        "taxonomy_version": "'bench'",
        "is_window_complete": "true",
        "modified_at_utc": f"timestamptz '{ENDS_AT:%Y-%m-%d}'",
    }
    sizes = {"calls": "2", "ms": "600000", "microusd": "5000", "tenths": "50", "events": "4"}
    shown |= {part.name: f"((n * 7919 + {k}) % {sizes[part.unit]})" for k, part in enumerate(PARTS)}
    shown |= {"call_count": "1", "sample_count": "0"}
    # The driver takes a single % for a placeholder.
    values = ", ".join(shown.get(column.name, "null") for column in fact_call.columns).replace("%", "%%")
    names = ", ".join(column.name for column in fact_call.columns)
    begins = ENDS_AT - timedelta(days=DAYS)
    with database.write() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        connection.exec_driver_sql("SET LOCAL timezone = 'UTC'")
        connection.execute(
            sa.insert(dim_date),
            [date_row((begins + timedelta(days=n)).date(), 1) for n in range(-10, DAYS + 10)],
        )
        for first in range(0, count, 1_000_000):
            connection.exec_driver_sql(
                f"INSERT INTO bi.fact_call ({names}) SELECT {values} FROM (SELECT n, timestamptz '{begins:%Y-%m-%d}'"
                f" + (n::float8 / {count}) * interval '{DAYS} days' AS at FROM"
                f" generate_series({first}::bigint, {min(first + 1_000_000, count)} - 1) AS n) AS made"
            )
        grain = [column.name for column in agg_hour.primary_key]
        listed = ", ".join([*grain, *(part.name for part in PARTS)])
        sums = ", ".join([*grain, *(f"sum({part.name})" for part in PARTS)])
        connection.exec_driver_sql(
            f"INSERT INTO bi.agg_hour ({listed}, modified_at_utc) SELECT {sums}, max(modified_at_utc)"
            f" FROM bi.fact_call GROUP BY {', '.join(grain)}"
        )
        follow(connection)
        connection.execute(
            sa.insert(refresh_state).values(id=1, time_zone="UTC", fiscal_starts_in=1, refreshed_at_utc=ENDS_AT)
        )
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM ANALYZE bi.fact_call")


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
