"""What needs a library that few have: a Tableau extract, and the restatement of the lake by Spark."""

import os
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from analytics import restatement
from analytics.aggregates import DIMENSIONS, GRAINS, PERIODS
from analytics.exports import export
from analytics.facts import REPEAT_WINDOW
from analytics.parts import PART_NAMES
from analytics.star import EXPORTED, agg_agent_day, agg_day, agg_hour, fact_call
from calls.reasons import OTHER
from crm.database import Database
from tests.history_fixture import NOW, ZONE, history

__all__ = ["history"]


def test_a_tableau_extract_holds_every_table_with_the_same_sums(history: Database, tmp_path: Path) -> None:
    hyper = pytest.importorskip("tableauhyperapi", reason="the extra `tableau` is not installed")
    (file,) = export(history, ("hyper",), tmp_path, zone=ZONE, now=NOW)
    assert {path.name for path in tmp_path.iterdir()} == {"callwise.hyper", "manifest.json"}
    sums = [sa.func.sum(fact_call.c[name]) for name in PART_NAMES]
    with history.read() as connection:
        wanted = list(connection.execute(sa.select(*sums)).one())
        rows = {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in EXPORTED
        }
    logs = {"log_dir": str(tmp_path)}
    with (
        hyper.HyperProcess(hyper.Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters=logs) as process,
        hyper.Connection(process.endpoint, file.place) as connection,
    ):
        listed = ", ".join(f"SUM({name})" for name in PART_NAMES)
        (found,) = connection.execute_list_query(f"SELECT {listed} FROM bi.fact_call")
        assert [int(str(value)) for value in found] == wanted
        for name, count in rows.items():
            assert connection.execute_scalar_query(f"SELECT COUNT(*) FROM bi.{name}") == count


def test_spark_knows_the_star_as_it_is() -> None:
    grains = {table.name: tuple(table.primary_key.columns.keys()) for table in (agg_day, agg_agent_day, agg_hour)}
    assert {name: set(grain) for name, grain in restatement.GRAINS.items()} == {
        name: set(grain) for name, grain in grains.items()
    }
    assert restatement.parts_of([column.name for column in fact_call.columns]) == list(PART_NAMES)
    assert {period: column.name for period, column in PERIODS.items()} == restatement.PERIODS
    assert {name: member or "" for name, (_, member) in DIMENSIONS.items()} == restatement.DIMENSIONS
    assert {
        (period, dimension) for period in PERIODS for dimension in DIMENSIONS if (period, dimension) not in GRAINS
    } == {restatement.LEFT_OUT}
    assert (REPEAT_WINDOW.total_seconds(), OTHER) == (restatement.REPEAT_WINDOW_S, restatement.OTHER)


@pytest.fixture
def spark(tmp_path: Path) -> Any:
    """Spark on this machine alone."""
    sql = pytest.importorskip("pyspark.sql", reason="the extra `spark` is not installed")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Spark needs Java: apt-get install openjdk-17-jre-headless")
    session = (
        sql.SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.warehouse.dir", str(tmp_path / "warehouse"))
        .getOrCreate()
    )
    yield session
    session.stop()


def test_sums_and_repeats_that_spark_makes_of_the_lake_are_ours(history: Database, tmp_path: Path, spark: Any) -> None:
    export(history, ("parquet",), tmp_path / "lake", zone=ZONE, now=NOW)
    restatement.restate(spark, str(tmp_path / "lake" / "parquet"), str(tmp_path / "restated"))
    database = duckdb.connect()
    for table in ("fact_call", *restatement.GRAINS, "agg_period"):
        ours, theirs = (
            f"SELECT * EXCLUDE ({'modified_at_utc' if table != 'fact_call' else 'month'})"
            f" FROM read_parquet('{folder}/{table}/*/*.parquet', hive_partitioning = true, hive_types_autocast = false)"
            for folder in (tmp_path / "lake" / "parquet", tmp_path / "restated")
        )
        (count,) = database.execute(f"SELECT count(*) FROM ({ours})").fetchone() or (0,)
        assert count
        listed = ", ".join(row[0] for row in database.execute(f"DESCRIBE {ours}").fetchall())
        for one, other in ((ours, theirs), (theirs, ours)):
            differing = f"SELECT {listed} FROM ({one}) EXCEPT ALL SELECT {listed} FROM ({other})"
            assert database.execute(differing).fetchall() == []
