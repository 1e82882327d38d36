"""The measures: one definition, the same figure from Python and from SQL."""

import sqlite3
from math import isclose

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.measures import BY_SLUG, MEASURES, Kind, wilson
from analytics.parts import PART_NAMES

ROWS = [dict(zip(PART_NAMES, range(n, n + len(PART_NAMES)), strict=True)) for n in (1, 40, 700)]


def test_every_measure_is_made_of_parts_that_exist() -> None:
    for measure in MEASURES:
        assert measure.numerator in PART_NAMES
        assert measure.denominator is None or measure.denominator in PART_NAMES


def test_no_two_measures_share_a_slug() -> None:
    assert len(BY_SLUG) == len(MEASURES)


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_the_sql_of_a_measure_gives_the_same_figure_as_python(engine: str) -> None:
    connection = sqlite3.connect(":memory:") if engine == "sqlite" else duckdb.connect()
    connection.execute(f"CREATE TABLE fact ({', '.join(f'{name} BIGINT' for name in PART_NAMES)}, period TEXT)")
    for row in ROWS:
        connection.execute(f"INSERT INTO fact VALUES ({', '.join(map(str, row.values()))}, 'all')")
    sums = {name: sum(row[name] for row in ROWS) for name in PART_NAMES}
    for measure in MEASURES:
        (found,) = connection.execute(f"SELECT {measure.sql()} FROM fact GROUP BY period").fetchone()
        assert found == measure.value(sums), measure.slug


def test_a_measure_without_anything_to_divide_by_is_none() -> None:
    nothing = dict.fromkeys(PART_NAMES, 0)
    for measure in MEASURES:
        assert measure.value(nothing) == (0 if measure.kind is Kind.SUM else None)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_wilson_interval_holds_the_rate_and_stays_within_0_and_1(counts: tuple[int, int]) -> None:
    successes, n = counts
    low, high = wilson(successes, n) or (1.0, 0.0)
    assert 0 <= low <= successes / n <= high <= 1


def test_the_wilson_interval_is_the_published_one() -> None:
    # Newcombe 1998, table I: 81 of 263.
    low, high = wilson(81, 263) or (0.0, 0.0)
    assert isclose(low, 0.2553, abs_tol=5e-5)
    assert isclose(high, 0.3662, abs_tol=5e-5)
