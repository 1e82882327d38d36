"""The files for BI tools: outside readers find the same figures in them, and nothing that should not leave."""

import csv
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pandas
import pyarrow.dataset
import pyarrow.parquet
import pytest
import sqlalchemy as sa
from frictionless import Package
from hypothesis import given
from hypothesis import strategies as st

from analytics import star
from analytics.export_csv import safe_text, safe_texts
from analytics.exports import MANIFEST, ExportedFile, ExportFailed, export
from analytics.measures import BY_SLUG, MEASURES, Kind
from analytics.parts import PART_NAMES
from analytics.star import agg_agent_day, agg_day, agg_hour, fact_call
from analytics.sums import Over
from analytics.trends import By, trend
from crm.database import Database
from crm.jobs import touch
from crm.tables import call, contact, queue
from tests.calls_made_up import NOON, add_call, id_of, prepare
from tests.history_fixture import NOW, ZONE, history

__all__ = ["history"]

LATER = NOON + timedelta(days=30)
ALL = ("csv", "parquet", "xlsx")


@pytest.fixture(scope="module")
def out(history: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with every kind of file."""
    folder = tmp_path_factory.mktemp("exports") / "with a space"
    export(history, ALL, folder, zone=ZONE, now=NOW)
    return folder


@pytest.fixture(scope="module")
def book(out: Path) -> Any:
    """The workbook, as openpyxl reads it."""
    return openpyxl.load_workbook(out / "callwise.xlsx")


@pytest.fixture(scope="module")
def sums(history: Database) -> dict[str, int]:
    """The sum of every part over all facts, by SQL."""
    with history.read() as connection:
        row = connection.execute(sa.select(*(sa.func.sum(fact_call.c[name]).label(name) for name in PART_NAMES))).one()
    return dict(row._mapping)


@pytest.fixture
def centre(database: Database) -> Database:
    """A small database that a test may change."""
    with database.write() as connection:
        prepare(connection)
        add_call(connection, 1, NOON, contact_id=id_of("contact", 1), queue_id=id_of("queue", 0))
    return database


def csv_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file by name."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def test_the_data_package_is_valid_with_its_types_keys_and_checksums(out: Path) -> None:
    report = Package(str(out / "csv" / "datapackage.json")).validate()
    assert report.valid, report.flatten(["title", "rowNumber", "fieldName", "message"])
    assert len(report.tasks) == len(star.EXPORTED) + 1


def test_a_foreign_key_that_points_nowhere_is_found_by_the_validator(out: Path, tmp_path: Path) -> None:
    for path in (out / "csv").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    kept = (tmp_path / "dim_agent.csv").read_text(encoding="utf-8").splitlines()[:3]
    (tmp_path / "dim_agent.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    report = Package(str(tmp_path / "datapackage.json")).validate()
    assert "foreign-key" in {kind for (kind,) in report.flatten(["type"])}


@pytest.mark.parametrize("table", [fact_call, agg_day, agg_agent_day, agg_hour], ids=lambda table: table.name)
def test_the_sums_in_csv_are_those_of_the_database(out: Path, sums: dict[str, int], table: sa.Table) -> None:
    rows = list(csv_rows(out / "csv" / f"{table.name}.csv"))
    assert {name: sum(int(row[name]) for row in rows) for name in PART_NAMES} == sums


@pytest.mark.parametrize("table", [fact_call, agg_day, agg_agent_day, agg_hour], ids=lambda table: table.name)
def test_the_sums_in_parquet_are_those_of_the_database(out: Path, sums: dict[str, int], table: sa.Table) -> None:
    folder = out / "parquet" / table.name
    listed = ", ".join(f"sum({name})" for name in PART_NAMES)
    source = f"read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"
    found = duckdb.connect().execute(f"SELECT {listed} FROM {source}").fetchone()
    assert dict(zip(PART_NAMES, map(int, found or ()), strict=True)) == sums
    frame = pandas.read_parquet(folder)
    assert {name: int(frame[name].sum()) for name in PART_NAMES} == sums
    rows = pyarrow.dataset.dataset(folder, partitioning="hive").to_table()
    assert {name: pyarrow.compute.sum(rows[name]).as_py() for name in PART_NAMES} == sums


def test_the_trend_by_sql_over_parquet_is_the_trend_of_the_page(history: Database, out: Path) -> None:
    with history.read() as connection:
        rows = trend(connection, by=By.MONTH, over=Over.REASON, today=NOW.date()).rows
    wanted = {(row.period, row.code): row for row in rows}
    folder = out / "parquet"
    for slug, measure in BY_SLUG.items():
        query = f"""
            SELECT period, code, {measure.sql()}
            FROM (SELECT f.*, f.month AS period, r.code
                  FROM read_parquet('{folder}/fact_call/*/*.parquet', hive_partitioning = true) AS f
                  JOIN read_parquet('{folder}/dim_reason/*.parquet') AS r USING (reason_key))
            GROUP BY period, code
        """
        found = {(period, code): value for period, code, value in duckdb.connect().execute(query).fetchall()}
        assert found == {key: row.figures[slug].value for key, row in wanted.items()}, slug


def test_every_month_has_the_same_schema_and_only_its_own_calls(out: Path) -> None:
    files = sorted((out / "parquet" / "fact_call").glob("month=*/part-0.parquet"))
    assert len({pyarrow.parquet.read_schema(path) for path in files}) == 1
    assert len(files) == 7
    for path in files:
        months = {day // 100 for day in pyarrow.parquet.read_table(path, partitioning=None)["date_key"].to_pylist()}
        assert months == {int(path.parent.name.removeprefix("month=").replace("-", ""))}
        compression = pyarrow.parquet.read_metadata(path).row_group(0).column(0).compression
        assert compression == "ZSTD"


def sheet_rows(book: Any, name: str) -> list[dict[str, Any]]:
    """The rows of a sheet's table by header."""
    page = book[name]
    (table,) = page.tables.values()
    head, *rows = page[table.ref]
    return [dict(zip((cell.value for cell in head), (cell.value for cell in row), strict=True)) for row in rows]


def test_the_figures_in_the_workbook_are_those_of_the_page(history: Database, book: Any) -> None:
    sheets = {
        "Weeks": (By.WEEK, None),
        "Reasons by week": (By.WEEK, Over.REASON),
        "Queues by month": (By.MONTH, Over.QUEUE),
        "Agents by month": (By.MONTH, Over.AGENT),
        "Teams by month": (By.MONTH, Over.TEAM),
    }
    with history.read() as connection:
        for name, (by, over) in sheets.items():
            wanted = trend(connection, by=by, over=over, today=NOW.date()).rows
            found = sheet_rows(book, name)
            for row, cells in zip(wanted, found, strict=True):
                assert cells["Period"] == row.period
                assert cells["Complete"] == ("yes" if row.is_complete else "no")
                assert {slug: cells[BY_SLUG[slug].heading] for slug in row.figures} == {
                    slug: _as_in_a_workbook(figure.value) for slug, figure in row.figures.items()
                }


def _as_in_a_workbook(value: float | None) -> Any:
    # It keeps 16 digits of a number.
    return value if value is None or isinstance(value, int) else pytest.approx(value, rel=1e-14)


def test_the_calls_in_the_workbook_add_up_to_the_sums(book: Any, sums: dict[str, int]) -> None:
    rows = sheet_rows(book, "Calls")
    assert len(rows) == sums["call_count"]
    for name in ("handle_time_ms", "sentiment_tenths", "repeated_count", "cost_microusd", "sale_count"):
        assert sum(row[name] for row in rows) == sums[name]
    assert sum(row["Generated"] == "yes" for row in rows) == sums["sample_count"]
    assert sum(row["Demo engine"] == "yes" for row in rows) == sums["demo_count"] == 1


def test_measures_of_the_calls_in_the_workbook_are_those_of_its_other_sheets(book: Any, sums: dict[str, int]) -> None:
    rows = sheet_rows(book, "Calls")
    parts = {name: sum(row[name] for row in rows) for name in rows[0] if name in sums}
    parts |= {"call_count": len(rows), "talk_time_ms": parts["talk_time_agent_ms"] + parts["talk_time_customer_ms"]}
    told = [one for one in MEASURES if one.kind is not Kind.SHARE and one.numerator in parts]
    assert len(told) > 14
    for measure in told:
        assert measure.value(parts) == measure.value(sums)


def test_the_charts_of_the_workbook_show_complete_weeks(book: Any) -> None:
    is_complete = [row["Complete"] for row in sheet_rows(book, "Weeks")]
    assert [row["Complete"] for row in sheet_rows(book, "Reason counts")] == is_complete
    first, last = (
        4 + place for place in (is_complete.index("yes"), len(is_complete) - 1 - is_complete[::-1].index("yes"))
    )
    assert last < 3 + len(is_complete)
    for chart in book["Charts"]._charts:
        for series in chart.series:
            assert series.cat.strRef.f.endswith(f"$A${first}:$A${last}")
            assert series.val.numRef.f.endswith(f"${last}")


def test_the_workbook_has_a_readme_charts_and_no_formula(book: Any) -> None:
    text = {str(cell.value) for row in book["README"].iter_rows() for cell in row}
    assert {"Generated at", "2026-05-12 15:00:00 UTC", ZONE, "left out"} <= text
    assert any("5000 (made up" in line for line in text)
    assert {measure.definition for measure in BY_SLUG.values()} <= text
    assert len(book["Charts"]._charts) == 2
    assert {"Handle time (s)", "Cost (microusd)", "Cost per call (USD)"} <= sheet_rows(book, "Weeks")[0].keys()
    assert not [cell for page in book for row in page.iter_rows() for cell in row if cell.data_type == "f"]


def test_libreoffice_opens_the_workbook_and_reads_the_same_calls(
    out: Path, sums: dict[str, int], tmp_path: Path
) -> None:
    office = shutil.which("soffice") or shutil.which("libreoffice")
    if office is None:
        pytest.skip("LibreOffice is not installed: apt-get install libreoffice-calc-nogui")
    # The last sheet but the charts, as LibreOffice counts them from 1.
    names = openpyxl.load_workbook(out / "callwise.xlsx", read_only=True).sheetnames
    form = f"csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,{names.index('Calls') + 1}"
    asked = [office, f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", "--convert-to", form]
    subprocess.run([*asked, "--outdir", str(tmp_path), str(out / "callwise.xlsx")], check=True, capture_output=True)
    (path,) = tmp_path.glob("*.csv")
    _, _, head, *rows = csv.reader(path.open(encoding="utf-8", newline=""))
    for name in ("handle_time_ms", "sentiment_tenths", "repeated_count", "cost_microusd", "sale_count"):
        assert sum(int(row[head.index(name)]) for row in rows) == sums[name]
    assert len({row[head.index("Call")] for row in rows}) == sums["call_count"]


def test_the_manifest_says_what_every_file_holds(out: Path) -> None:
    manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    assert manifest["time_zone"] == ZONE
    assert ZONE in json.loads((out / "csv" / "datapackage.json").read_text(encoding="utf-8"))["description"]
    files = manifest["files"]
    there = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {file["path"] for file in files} == there - {MANIFEST}
    for file in files:
        content = (out / file["path"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file["bytes"], file["sha256"])
    rows = {file["path"]: file["rows"] for file in files}
    assert rows["csv/fact_call.csv"] == sum(n for path, n in rows.items() if path.startswith("parquet/fact_call/"))


def test_customers_names_and_numbers_leave_only_when_told_so(centre: Database, tmp_path: Path) -> None:
    export(centre, ALL, tmp_path / "without", zone="UTC", now=LATER)
    export(centre, ALL, tmp_path / "with", zone="UTC", now=LATER, personal_data=True)
    for folder, are_there in (("without", False), ("with", True)):
        (_, known) = csv_rows(tmp_path / folder / "csv" / "dim_customer.csv")
        assert (known["customer_name"], known["phone_e164"]) == (
            ("Ann Example 1", "'+12065550101") if are_there else ("", "")
        )
        parquet = pyarrow.parquet.read_table(tmp_path / folder / "parquet" / "dim_customer").to_pylist()
        assert parquet[1]["phone_e164"] == ("+12065550101" if are_there else None)
        (row,) = sheet_rows(openpyxl.load_workbook(tmp_path / folder / "callwise.xlsx"), "Calls")
        assert row.get("Number") == ("+12065550101" if are_there else None)
    for path in (tmp_path / "without").rglob("*.csv"):
        assert "2065550101" not in path.read_text(encoding="utf-8")


EVIL = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1+1", "＝1", '=HYPERLINK("http://example.com")')


@pytest.mark.parametrize("text", EVIL)
def test_no_text_is_a_formula_in_any_file(centre: Database, tmp_path: Path, text: str) -> None:
    with centre.write() as connection:
        connection.execute(sa.update(queue).where(queue.c.id == id_of("queue", 0)).values(name=text))
        connection.execute(
            sa.update(contact).where(contact.c.id == id_of("contact", 1)).values(last_name=text, first_name=None)
        )
    export(centre, ALL, tmp_path, zone="UTC", now=LATER, personal_data=True)
    names = [row["name"] for row in csv_rows(tmp_path / "csv" / "dim_queue.csv")]
    assert f"'{text}" in names
    book = openpyxl.load_workbook(tmp_path / "callwise.xlsx")
    cells = [cell for page in book for row in page.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f" or cell.hyperlink]
    assert pyarrow.parquet.read_table(tmp_path / "parquet" / "dim_queue")["name"].to_pylist()[1] == text


@given(st.lists(st.text(st.sampled_from("=+-@＝＋－＠'a \t\r\n\x0b\x1c\x85\u00a0\u2003\u3000")) | st.none()))
def test_a_column_of_texts_is_made_safe_as_one_by_one(texts: list[str | None]) -> None:
    assert safe_texts(pyarrow.array(texts, pyarrow.string())).to_pylist() == [safe_text(text) for text in texts]


def test_an_ordinary_text_stays_as_it_is() -> None:
    assert [safe_text(text) for text in ("Sales", "", "O'Neil", "a=b", None)] == ["Sales", "", "O'Neil", "a=b", None]


def test_another_export_replaces_files_removes_stale_months_and_keeps_other_kinds(
    centre: Database, tmp_path: Path
) -> None:
    export(centre, ALL, tmp_path, zone="UTC", now=LATER)
    workbook = (tmp_path / "callwise.xlsx").read_bytes()
    (tmp_path / "parquet" / "notes.txt").write_text("the analyst's own", encoding="utf-8")
    with centre.write() as connection:
        connection.execute(sa.update(call).values(happened_at=NOON - timedelta(days=40)))
        touch(connection, NOON - timedelta(days=40))
        add_call(connection, 2, NOON + timedelta(days=40))
    export(centre, ("parquet",), tmp_path, zone="UTC", now=LATER + timedelta(days=30))
    months = sorted(path.name for path in (tmp_path / "parquet" / "fact_call").iterdir())
    assert months == ["month=2026-01", "month=2026-04"]
    assert (tmp_path / "callwise.xlsx").read_bytes() == workbook
    assert (tmp_path / "parquet" / "notes.txt").exists()
    listed = {file["path"] for file in json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))["files"]}
    assert {"callwise.xlsx", "csv/fact_call.csv", "parquet/fact_call/month=2026-01/part-0.parquet"} <= listed


def test_a_manifest_that_names_foreign_files_removes_none_of_them(centre: Database, tmp_path: Path) -> None:
    out, precious = tmp_path / "out", tmp_path / "precious.txt"
    precious.write_text("mine", encoding="utf-8")
    out.mkdir()
    (out / MANIFEST).write_text(json.dumps({"files": [{"path": "../precious.txt", "kind": "csv"}]}), encoding="utf-8")
    export(centre, ("csv",), out, zone="UTC", now=LATER)
    assert precious.exists()


def test_a_folder_that_cannot_be_written_is_one_error_with_its_name(centre: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ExportFailed, match="file"):
        export(centre, ("csv",), tmp_path / "file", zone="UTC", now=LATER)


def test_an_export_leaves_nothing_beside_its_files(out: Path) -> None:
    assert not list(out.rglob(".*"))


def test_an_empty_centre_exports_files_that_can_be_read(database: Database, tmp_path: Path) -> None:
    files = export(database, ALL, tmp_path, zone="UTC", now=LATER)
    assert all(isinstance(file, ExportedFile) and Path(file.place).is_file() for file in files)
    assert Package(str(tmp_path / "csv" / "datapackage.json")).validate().valid
    assert openpyxl.load_workbook(tmp_path / "callwise.xlsx").sheetnames[0] == "README"


def test_times_leave_as_utc(out: Path, history: Database) -> None:
    with history.read() as connection:
        moments = set(connection.execute(sa.select(fact_call.c.happened_at_utc)).scalars())
    rows = pyarrow.parquet.read_table(out / "parquet" / "fact_call")["happened_at_utc"].to_pylist()
    assert {moment.astimezone(UTC) for moment in rows} == moments
    assert all(row["happened_at_utc"].endswith("Z") for row in csv_rows(out / "csv" / "fact_call.csv"))
