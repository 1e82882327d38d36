"""The files for BI tools: Parquet against COPY and against rows through the csv module, what a day's calls cost to
export, memory, and Excel against xlsxwriter.

`python -m bench.analytics_exports --json [--facts N | --url URL] [--rounds N]`: facts made up in a PostgreSQL of its
own (bench/analytics_centre.py), or those that are there. `bench.analytics` takes the same figures of its calls. Rates
are of rows of `fact_call`, with all its columns; peers are measured in the same run, turn by turn. Beside each rate
stands what a row takes of the processor's time, of the server's process and of ours: a clock tells little on a busy
machine.
"""

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
import xlsxwriter

from analytics.export_parquet import write_parquet
from analytics.export_tables import ExportTable, export_tables
from analytics.exports import export
from analytics.star import fact_call, refresh_state
from analytics.xlsx_calls import CallsSheet, calls_sheet
from analytics.xlsx_rows import Cells, Filling, fill
from bench.analytics_centre import fill_centre
from crm.database import Database

# Of one row or file: what it took, by name.
Costs = dict[str, float]

_CSV_ROWS = 50_000
_XLSX_ROWS = 10_000


def main() -> None:
    """Measure, and print one document."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--facts", type=int, default=100_000)
    arguments.add_argument("--url", default="", help="a PostgreSQL with a filled star schema, on this machine")
    arguments.add_argument("--rounds", type=int, default=3, help="how often each figure is taken; the median counts")
    arguments.add_argument("--json", action="store_true", help="one JSON document (the default prints the same)")
    arguments.add_argument("--export", nargs=2, metavar=("URL", "FOLDER"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.export:
        _export_alone(*given.export)
        return
    with _centre(given.url, given.facts) as database, TemporaryDirectory() as folder:
        print(json.dumps(measure_exports(database, Path(folder), rounds=given.rounds), indent=2))


@contextmanager
def _centre(url: str, facts: int) -> Iterator[Database]:
    """That database, or one of its own."""
    from tests.servers.postgres import PostgresServer

    server = None if url else PostgresServer()
    try:
        database = Database(url or server.url(server.create_database()))  # type: ignore[union-attr]
        if server:
            fill_centre(database, facts)
        yield database
        database.dispose()
    finally:
        if server:
            server.close()


def measure_exports(database: Database, folder: Path, *, rounds: int = 3) -> dict[str, Any]:
    """All figures of the files, from what the star schema of the database holds."""
    table = next(one for one in export_tables(personal_data=False) if one.name == "fact_call")
    with database.read() as connection:
        rows = connection.execute(sa.select(sa.func.count()).select_from(fact_call)).scalar_one()
    # What is imported at the first batch is no part of a rate.
    parquet_costs(database, table.part(0, _first_day(database)), folder / "first.parquet", rows)
    ours: list[Costs] = []
    copies: list[Costs] = []
    plain = []
    for n in range(rounds):
        copies += [] if database.is_sqlite else [copy_costs(database, rows)]
        ours.append(parquet_costs(database, table, folder / f"{n}.parquet", rows))
        plain.append(csv_rows_per_s(database, folder / f"{n}.csv"))
        (folder / f"{n}.parquet").unlink()
    found: dict[str, Any] = {
        "facts": rows,
        "parquet": _medians(ours),
        "copy": _medians(copies),
        "parquet_over_copy": _over(ours, copies, "rows_per_s"),
        "parquet_over_copy_by_cpu": _over(copies, ours, "server_us", "client_us"),
        "rows_and_csv_per_s": round(statistics.median(plain)),
    }
    return found | incremental(database, folder / "lake", rounds) | excel(database, folder, rounds) | _load()


def _medians(costs: Sequence[Costs]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in costs), 2) for name in costs[0]} if costs else {}


def _over(ones: Sequence[Costs], others: Sequence[Costs], *names: str) -> float | None:
    """The median of how much more the ones have of these together than the others."""
    pairs = zip(ones, others, strict=False)
    found = [sum(one[name] for name in names) / sum(other[name] for name in names) for one, other in pairs]
    return round(statistics.median(found), 2) if found else None


def _load() -> dict[str, Any]:
    return {"load_average": [round(load, 1) for load in os.getloadavg()]}


def _first_day(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(sa.select(sa.func.min(fact_call.c.date_key))).scalar_one() or 0)


def parquet_costs(database: Database, table: ExportTable, path: Path, rows: int) -> Costs:
    """From the database to one Parquet file."""
    return _costs(database, rows, lambda connection: write_parquet(connection, table, path))


def copy_costs(database: Database, rows: int) -> Costs:
    """A binary COPY of the whole table to a reader that drops it."""

    def receive(connection: sa.Connection) -> None:
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy("COPY bi.fact_call TO STDOUT (FORMAT binary)") as messages:
            for _ in messages:
                pass

    return _costs(database, rows, receive)


def _costs(database: Database, rows: int, work: Callable[[sa.Connection], Any]) -> Costs:
    """Rows a second, and microseconds of a processor for each row: of the server's process and of this one."""
    with _alone_in_the_server(database).read() as connection:
        server = partial(_processor_s, 0 if database.is_sqlite else _backend(connection))
        began, server_began, client_began = time.perf_counter(), server(), time.process_time()
        work(connection)
        took = time.perf_counter() - began
        return {
            "rows_per_s": rows / took,
            "server_us": (server() - server_began) / rows * 1e6,
            "client_us": (time.process_time() - client_began) / rows * 1e6,
        }


@cache
def _alone_in_the_server(database: Database) -> Database:
    """The same without parallel workers, whose time is not the time of the connection's process."""
    if database.is_sqlite:
        return database
    url = database.url.update_query_dict({"options": "-c max_parallel_workers_per_gather=0"})
    return Database(url.render_as_string(hide_password=False))


def _backend(connection: sa.Connection) -> int:
    return int(connection.execute(sa.select(sa.func.pg_backend_pid())).scalar_one())


def _processor_s(process: int) -> float:
    """What the process has had of a processor; 0 where nobody tells, as of a server on another machine."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9
    except OSError:
        return 0.0


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
    full = _alone(database, folder)
    told_of = []
    for n in range(rounds):
        with database.write() as connection:
            days = [newest, newest - 7 if newest % 100 > 7 else newest]
            connection.execute(
                sa.update(fact_call)
                .where(fact_call.c.date_key.in_(days))
                .values(modified_at_utc=now + timedelta(seconds=n + 1))
            )
        told_of.append(_alone(database, folder))
    later = {name: statistics.median(one[name] for one in told_of) for name in full}
    return {
        "full_export": full,
        "export_after_a_day": later,
        "full_over_a_day": round(full["seconds"] / later["seconds"], 1),
        "full_over_a_day_by_cpu": round(full["cpu_s"] / later["cpu_s"], 1),
    }


def _alone(database: Database, folder: Path) -> Costs:
    """An export in a process of its own, whose memory is that of an export and of nothing else."""
    asked = [sys.executable, "-m", "bench.analytics_exports", "--export"]
    told = subprocess.run(
        [*asked, database.url.render_as_string(hide_password=False), str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(told.stdout.splitlines()[-1]))


def _export_alone(url: str, folder: str) -> None:
    database = _alone_in_the_server(Database(url))
    with database.read() as connection:
        now = connection.execute(sa.select(refresh_state.c.refreshed_at_utc)).scalar_one()
        zone = connection.execute(sa.select(refresh_state.c.time_zone)).scalar_one()
        process = 0 if database.is_sqlite else _backend(connection)
    server_began, client_began = _processor_s(process), time.process_time()
    # One connection is all that an export needs: the server's process stays the same.
    took = _timed(lambda: export(database, ("parquet",), Path(folder), zone=zone, now=now))
    found = {
        "seconds": round(took, 2),
        "cpu_s": round(_processor_s(process) - server_began + time.process_time() - client_began, 2),
        "rss_mb": round(_most_memory_kb() / 1024),
    }
    print(json.dumps(found))


def _most_memory_kb() -> int:
    """The most that this process has held. Linux's `ru_maxrss` would be that of the process that started it, too."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


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


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
