"""An export after an export: only what has changed is written, what was cut off goes on, and nothing is half there."""

import json
import shutil
from collections.abc import Mapping
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import sqlalchemy as sa

from analytics.export_days import MONTH_ROWS, Day, stretches
from analytics.export_pieces import Entry
from analytics.export_tables import export_tables
from analytics.export_targets import BucketTarget, FolderTarget
from analytics.exports import MANIFEST, ExportFailed, export
from analytics.star import date_key
from crm.database import Database
from crm.jobs import touch
from crm.tables import call, call_analysis
from engines.objects_memory import MemoryStore
from tests.calls_made_up import NOON, add_call, id_of, prepare

LATER = NOON + timedelta(days=90)
KINDS = ("csv", "parquet")
TABLES = {table.name: table for table in export_tables(personal_data=False)}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder that is exported to."""
    return tmp_path / "out"


@pytest.fixture
def centre(database: Database) -> Database:
    """Calls on three days of three months, long enough ago that no window ends between two exports."""
    with database.write() as connection:
        prepare(connection)
        for number, days in enumerate((0, 31, 61)):
            add_call(connection, number, NOON + timedelta(days=days - 61), contact_id=id_of("contact", 1))
    return database


def again(centre: Database, out: Any, later: int = 0, **options: Any) -> set[str]:
    """The files that an export writes anew."""
    files = export(centre, KINDS, out, zone="UTC", now=LATER + timedelta(minutes=later), **options)
    return {file.path for file in files if file.is_new}


def test_an_export_of_nothing_new_writes_nothing_but_its_description(centre: Database, out: Path) -> None:
    first = again(centre, out)
    assert {"parquet/dim_date/part-0.parquet", "csv/fact_call.csv"} <= first
    assert again(centre, out, 1) == {"csv/datapackage.json"}
    assert again(centre, out, 2, full=True) == {"csv/datapackage.json"}


def test_only_the_months_that_a_change_touches_are_written_again(centre: Database, out: Path) -> None:
    again(centre, out)
    with centre.write() as connection:
        add_call(connection, 9, NOON - timedelta(days=30), agent_id=id_of("agent", 0))
    month = f"{NOON - timedelta(days=30):%Y-%m}"
    new = {path for path in again(centre, out, 1) if path.startswith("parquet/")}
    assert {path for path in new if "month=" not in path} <= {
        f"parquet/dim_{name}/part-0.parquet" for name in ("agent", "team")
    }
    cut = {path for path in new if "month=" in path}
    assert {path.split("/")[2] for path in cut} == {f"month={month}"}
    assert {path.split("/")[1] for path in cut} == {name for name, table in TABLES.items() if table.day}


def test_a_reason_besides_that_changes_writes_its_month_again(centre: Database, out: Path) -> None:
    again(centre, out)
    with centre.write() as connection:
        one = connection.execute(sa.select(call.c.id, call.c.happened_at).order_by(call.c.happened_at)).first()
        assert one
        connection.execute(
            sa.update(call_analysis).where(call_analysis.c.call_id == one.id).values(secondary_reason_codes=["repair"])
        )
        touch(connection, one.happened_at)
    new = again(centre, out, 1)
    month = f"month={NOON - timedelta(days=61):%Y-%m}"
    assert f"parquet/fact_call_reason/{month}/part-0.parquet" in new
    rows = pyarrow.parquet.read_table(out / "parquet" / "fact_call_reason").to_pylist()
    assert sorted(row["rank"] for row in rows) == [1, 1, 1, 2]


def test_a_call_that_goes_or_moves_changes_the_months_that_it_leaves(centre: Database, out: Path) -> None:
    again(centre, out)
    with centre.write() as connection:
        one = connection.execute(sa.select(call.c.id, call.c.happened_at).order_by(call.c.happened_at)).first()
        assert one
        touch(connection, one.happened_at)
        connection.execute(sa.update(call).where(call.c.id == one.id).values(happened_at=NOON))
        touch(connection, NOON)
    again(centre, out, 1)
    months = sorted(path.name for path in (out / "parquet" / "fact_call").iterdir())
    assert months == [f"month={NOON - timedelta(days=30):%Y-%m}", f"month={NOON:%Y-%m}"]
    rows = pyarrow.parquet.read_table(out / "parquet" / "fact_call")
    assert rows.num_rows == 3


def test_a_file_that_somebody_removed_or_shortened_is_written_again(centre: Database, out: Path) -> None:
    again(centre, out)
    (out / "csv" / "fact_call.csv").write_text("x", encoding="utf-8")
    shutil.rmtree(out / "parquet" / "agg_day")
    new = again(centre, out, 1)
    assert "csv/fact_call.csv" in new
    assert len({path for path in new if path.startswith("parquet/agg_day/")}) == 3
    assert not {path for path in new if path.startswith("parquet/fact_call/")}


class _Cut(Exception):
    """The process ends here."""


class _CutOff(FolderTarget):
    """A folder whose export ends after a number of files."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder)
        self._left = after

    def keep(self, entry: Entry) -> None:
        if self._left == 0:
            raise _Cut
        self._left -= 1
        super().keep(entry)


def test_an_export_that_was_cut_off_leaves_the_last_one_whole_and_goes_on_where_it_stood(
    centre: Database, out: Path
) -> None:
    again(centre, out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with centre.write() as connection:
        for number in range(3):
            add_call(connection, 20 + number, NOON - timedelta(days=30 * number + 1))
    with pytest.raises(_Cut):
        again(centre, _CutOff(out, 7), 1)
    assert {path: path.read_bytes() for path in before} == before
    # What is noted and has a state that has not changed since is not written again.
    lines = (out / ".writing" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    noted = {entry["path"] for entry in map(json.loads, lines) if entry["state"]}
    assert len(lines) == 7
    assert noted
    last = _Watched(out)
    export(centre, KINDS, last, zone="UTC", now=LATER + timedelta(minutes=2))
    assert not noted & last.asked
    assert not (out / ".writing").exists()
    assert pyarrow.parquet.read_table(out / "parquet" / "fact_call").num_rows == 6


@pytest.mark.parametrize("after", [1, 12, 30])
def test_after_a_first_export_that_was_cut_off_the_next_one_has_every_file_that_it_lists(
    centre: Database, out: Path, after: int
) -> None:
    with pytest.raises(_Cut):
        again(centre, _CutOff(out, after))
    assert not (out / MANIFEST).exists()
    again(centre, out, 1)
    files = json.loads((out / MANIFEST).read_text(encoding="utf-8"))["files"]
    there = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    assert {file["path"] for file in files} == there.keys() - {MANIFEST}
    for file in files:
        assert sha256(there[file["path"]].read_bytes()).hexdigest() == file["sha256"]


class _Watched(FolderTarget):
    """A folder that notes for which files a place was asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.asked: set[str] = set()

    def beside(self, path: str) -> Path:
        self.asked.add(path)
        return super().beside(path)


def test_two_exports_to_one_folder_are_one_and_an_error(centre: Database, out: Path) -> None:
    with FolderTarget(out).opened(), pytest.raises(ExportFailed, match="another export"):
        again(centre, out)


class _Log(MemoryStore):
    """A store that notes what is done in which order."""

    def __init__(self) -> None:
        super().__init__(bucket="bi")
        self.log: list[str] = []

    def put(self, key: str, source: Path | bytes, *, metadata: Mapping[str, str] | None = None) -> Any:
        self.log.append(key)
        return super().put(key, source, metadata=metadata)


def objects(store: MemoryStore) -> dict[str, bytes]:
    """What lies in the store."""
    return {ref.key: store.read_range(ref.key, 0, 1 << 30) for ref in store.list()}


def test_a_bucket_gets_the_files_that_a_folder_gets_and_the_manifest_last(centre: Database, out: Path) -> None:
    store = _Log()
    again(centre, BucketTarget(store, "calls/bi", place="s3://bi/calls/bi"))
    assert store.log[-1] == f"calls/bi/{MANIFEST}"
    again(centre, out)
    there = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert objects(store) == {f"calls/bi/{path}": content for path, content in there.items()}
    store.log.clear()
    with centre.write() as connection:
        add_call(connection, 9, NOON)
    again(centre, BucketTarget(store, "calls/bi", place="s3://bi/calls/bi"), 1)
    months = {key.split("month=")[1][:7] for key in store.log if "month=" in key}
    assert months == {f"{NOON:%Y-%m}"}


def test_stale_files_leave_the_bucket_and_foreign_ones_stay(centre: Database) -> None:
    store = MemoryStore(bucket="bi")
    store.put("bi/notes.txt", b"the analyst's own")
    target = BucketTarget(store, "bi", place="s3://bi/bi")
    again(centre, target)
    with centre.write() as connection:
        for row in connection.execute(sa.select(call.c.id, call.c.happened_at)).all():
            touch(connection, row.happened_at)
            connection.execute(sa.update(call).where(call.c.id == row.id).values(happened_at=NOON))
        touch(connection, NOON)
    again(centre, BucketTarget(store, "bi", place="s3://bi/bi"), 1)
    keys = objects(store)
    assert {key for key in keys if "fact_call/" in key} == {f"bi/parquet/fact_call/month={NOON:%Y-%m}/part-0.parquet"}
    listed = {file["path"] for file in json.loads(keys[f"bi/{MANIFEST}"])["files"]}
    assert {f"bi/{path}" for path in listed} == keys.keys() - {f"bi/{MANIFEST}", "bi/notes.txt"}


def test_a_large_month_has_a_file_a_day_and_a_small_one_is_one_file() -> None:
    many = MONTH_ROWS // 2
    found = {20260301: Day(many, "a"), 20260302: Day(many, "b"), 20260303: Day(1, "c"), 20260401: Day(5, "d")}
    files = list(stretches(found, TABLES["fact_call"]))
    assert [(file.path, file.low, file.high) for file in files] == [
        ("month=2026-03/day-01.parquet", 20260301, 20260301),
        ("month=2026-03/day-02.parquet", 20260302, 20260302),
        ("month=2026-03/day-03.parquet", 20260303, 20260303),
        ("month=2026-04/part-0.parquet", 20260400, 20260499),
    ]
    changed = found | {20260302: Day(many, "changed")}
    assert [a.path for a, b in zip(files, stretches(changed, TABLES["fact_call"]), strict=True) if a != b] == [
        "month=2026-03/day-02.parquet"
    ]


def test_a_week_that_began_in_the_month_before_changes_that_month_of_the_sums_by_period() -> None:
    # The 1st of April 2026 is a Wednesday.
    before = {20260315: Day(1, "a"), 20260401: Day(1, "b")}
    after = before | {20260401: Day(2, "c")}
    files = [list(stretches(found, TABLES["agg_period"])) for found in (before, after)]
    assert [a.path for a, b in zip(*files, strict=True) if a != b] == [
        "month=2026-03/part-0.parquet",
        "month=2026-04/part-0.parquet",
    ]
    assert date_key(date(2026, 3, 30)) in range(files[0][0].low, files[0][0].high)
