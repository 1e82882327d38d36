"""Movers: the tests agree with scipy's, and the planted truths of the history are found, and nothing else."""

import random
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from analytics.changed_reasons import Changes, changes, changes_document, changes_of, taxonomy_marks
from analytics.movers import (
    FALSE_SHARE,
    MIN_N,
    Rate,
    benjamini_hochberg,
    cochran_armitage,
    difference_interval,
    drifts,
    jumps,
    two_proportions,
)
from analytics.rollup import refresh
from analytics.sums import Filters, Over
from analytics.trends import By, trend
from crm.database import Database
from crm.taxonomies import store_taxonomy
from samples.history_plan import PLANTED, WEEK_COUNT
from tests.calls_made_up import NOON, TAXONOMY, add_call, prepare
from tests.history_fixture import UNTIL, history

__all__ = ["history"]

START = UNTIL - timedelta(weeks=WEEK_COUNT)


def after_week(database: Database, week: int, **asked: object) -> Changes:
    """The movers as they are once this week of the history, counted from 0, is over."""
    with database.read() as connection:
        return changes(connection, by=By.WEEK, today=START + timedelta(weeks=week + 1), **asked)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (Rate(50, 400), Rate(30, 120)),
        (Rate(500, 9_000), Rate(61, 1_000)),
        (Rate(200, 400), Rate(60, 120)),
        (Rate(100_000, 1_000_000), Rate(10_200, 100_000)),
    ],
)
def test_two_proportions_are_pearsons_test_where_there_are_calls_enough(before, now):
    table = [[before.count, before.n - before.count], [now.count, now.n - now.count]]
    assert two_proportions(before, now) == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (Rate(0, 400), Rate(3, 120)),
        (Rate(1, 40), Rate(4, 40)),
        (Rate(2, 800), Rate(6, 160)),
        (Rate(38, 40), Rate(40, 40)),
        (Rate(3, 1_000_000), Rate(4, 90_000)),
        (Rate(2, 35), Rate(2, 35)),
    ],
)
def test_two_proportions_are_fishers_test_where_there_are_few(before, now):
    table = [[before.count, before.n - before.count], [now.count, now.n - now.count]]
    assert two_proportions(before, now) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-6)


@pytest.mark.parametrize(
    ("before", "now"), [(Rate(0, 50), Rate(0, 50)), (Rate(50, 50), Rate(9, 9)), (Rate(0, 0), Rate(3, 9))]
)
def test_there_is_nothing_to_tell_where_nothing_differs(before, now):
    assert two_proportions(before, now) == 1.0


def test_drift_is_the_correlation_of_single_calls_with_their_period():
    counts, ns = [3, 5, 4, 9, 12, 11], [100, 110, 90, 105, 120, 95]
    z, p_value = cochran_armitage(counts, ns)
    places = np.repeat(np.arange(len(ns)), ns)
    is_of_reason = np.concatenate([np.arange(n) < count for count, n in zip(counts, ns, strict=True)])
    r = stats.pearsonr(places, is_of_reason.astype(float)).statistic
    assert z == pytest.approx(r * sum(ns) ** 0.5)
    assert p_value == pytest.approx(stats.chi2.sf(r * r * sum(ns), 1))
    assert cochran_armitage(counts[::-1], ns[::-1])[0] == pytest.approx(-z)


@pytest.mark.parametrize(("counts", "ns"), [([0, 0], [9, 9]), ([9, 9], [9, 9]), ([], []), ([3], [9]), ([0, 3], [0, 9])])
def test_no_drift_where_there_is_nothing_to_tell(counts, ns):
    assert cochran_armitage(counts, ns) == (0.0, 1.0)


@pytest.mark.parametrize("size", [1, 2, 13, 200])
def test_the_control_for_many_reasons_is_scipys(size):
    chance = random.Random(size)
    p_values = [chance.choice([chance.random(), chance.random() ** 6, 0.04]) for _ in range(size)]
    assert benjamini_hochberg(p_values) == pytest.approx(list(stats.false_discovery_control(p_values, method="bh")))
    assert benjamini_hochberg([]) == []


def test_the_interval_of_a_difference_is_newcombes():
    # Newcombe 1998, Statistics in Medicine 17: 873-890, method 10: 56/70 against 48/80; 10/10 against 0/10.
    assert difference_interval(Rate(48, 80), Rate(56, 70)) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert difference_interval(Rate(0, 10), Rate(10, 10)) == pytest.approx((0.6075, 1.0), abs=1e-4)


def test_a_drift_has_a_direction_where_its_ends_say_the_same():
    counts = [*[10] * 4, *range(0, 48, 4), *[9] * 4]
    (hill, _) = drifts([{"hill": count, "rest": 200 - count} for count in counts])
    assert cochran_armitage(counts, [200] * len(counts))[0] > 5
    assert (hill.difference < 0, hill.direction) == (True, "")
    (grown, _) = drifts([{"grown": count, "rest": 200 - count} for count in range(5, 45, 2)])
    assert grown.direction == "up"


def test_nothing_is_said_of_few_calls():
    few = {"a": MIN_N - 1}
    assert jumps(few, {"a": 1, "b": 500}) == []
    assert jumps({"a": 1, "b": 500}, few) == []
    assert drifts([few] * 5) == []
    assert jumps({"a": MIN_N}, {"b": MIN_N}) != []


def test_no_reason_moves_by_chance_more_often_than_is_said():
    chance = np.random.default_rng(7)
    shares = chance.dirichlet(np.full(40, 2.0))
    said = 0
    for _ in range(400):
        before, now = chance.multinomial(800, shares), chance.multinomial(200, shares)
        found = jumps(*({str(place): int(count) for place, count in enumerate(side)} for side in (before, now)))
        said += any(mover.direction for mover in found)
    # With 40 reasons and no control, nearly every period would have one.
    assert said / 400 <= 0.06


def test_the_spike_is_found_in_its_week(history):
    found = after_week(history, PLANTED.spike_week)
    assert [mover.code for mover in found.risen] == [PLANTED.spike_reason]
    spike = found.risen[0]
    assert found.starts_on == START + timedelta(weeks=PLANTED.spike_week)
    assert len(found.against) == 4
    assert spike.low > 0
    assert spike.now.share > 2 * spike.before.share


@pytest.mark.parametrize(("false_share", "chance_weeks"), [(0.01, 1), (FALSE_SHARE, 3)])
def test_nothing_has_risen_where_nothing_is_planted(history, false_share, chance_weeks):
    planted = {PLANTED.rising_reason, PLANTED.repeat_reason}
    risen = {}
    for week in range(4, WEEK_COUNT):
        found = after_week(history, week, false_share=false_share).risen
        risen[week] = [mover.code for mover in found if mover.code not in planted]
    assert risen.pop(PLANTED.spike_week) == [PLANTED.spike_reason]
    # Of 21 weeks, so many may by what is said: more come with a chance of 2 %.
    assert sum(map(bool, risen.values())) <= chance_weeks


def test_the_slow_riser_is_found_over_the_time(history):
    found = after_week(history, WEEK_COUNT - 1)
    first = found.drifts[0]
    assert (first.code, first.direction) == (PLANTED.rising_reason, "up")
    assert first.adjusted_p < 0.01
    # What has a fixed share is held down by what grows; nothing else rises.
    assert [mover.code for mover in found.drifts if mover.direction == "up"] == [PLANTED.rising_reason]


def test_only_complete_periods_are_looked_at(history):
    day = START + timedelta(weeks=PLANTED.spike_week, days=5)
    with history.read() as connection:
        found = changes(connection, by=By.WEEK, today=day)
    assert found.starts_on == START + timedelta(weeks=PLANTED.spike_week - 1)
    assert PLANTED.spike_reason not in [mover.code for mover in found.risen]


def test_a_filter_narrows_what_is_compared(history):
    found = after_week(history, PLANTED.spike_week, filters=Filters(queue="Sales"))
    assert PLANTED.spike_reason not in found.labels
    assert found.risen == ()


def test_there_is_nothing_to_find_in_no_calls(history):
    found = after_week(history, 5, filters=Filters(queue="nobody's"))
    assert changes_document(found)["jumps"] == []
    assert found.period == ""


@pytest.fixture
def made_up(migrated_sqlite_file, tmp_path):
    """Eight weeks of calls; from the sixth on they are classified by another version of the taxonomy."""
    database = Database(f"sqlite:///{shutil.copy(migrated_sqlite_file, tmp_path / 'callwise.db')}")
    first = datetime(2026, 1, 5, 12, tzinfo=UTC)
    with database.write() as connection:
        prepare(connection)
        store_taxonomy(connection, replace(TAXONOMY, version="v2"), NOON)
        for number in range(8 * 40):
            week = number // 40
            # More are of `repair` in the newer version, by what it says and not by what customers say.
            code = "repair" if number % 40 < (30 if week >= 5 else 10) else "delivery"
            analysis = {"reason_code": code, "taxonomy_version": "v2" if week >= 5 else "v1"}
            add_call(connection, number, first + timedelta(weeks=week), analysis=analysis)
    refresh(database, "UTC", NOON)
    yield database
    database.dispose()


def test_nothing_is_compared_across_a_change_of_the_taxonomy(made_up):
    change = date(2026, 2, 9)
    with made_up.read() as connection:
        assert taxonomy_marks(connection, By.WEEK) == ((change, "v2"),)
        before = changes(connection, by=By.WEEK, today=change)
        first = changes(connection, by=By.WEEK, today=change + timedelta(weeks=1))
        later = changes(connection, by=By.WEEK, today=change + timedelta(weeks=3))
    assert (before.since_taxonomy, len(before.against), before.risen) == (None, 4, ())
    assert (first.since_taxonomy, first.against, first.jumps) == (change, (), ())
    assert (later.since_taxonomy, len(later.against), later.risen, later.drifts) == (change, 2, (), ())
    assert {mover.direction for mover in later.jumps} == {""}


CHANGE = START + timedelta(weeks=PLANTED.taxonomy_week)


def test_a_few_calls_of_another_taxonomy_are_no_change_of_it(history):
    with history.read() as connection:
        # Corrected calls and those of the day after the history are of other versions.
        assert [on for on, _ in taxonomy_marks(connection, By.WEEK) if on < UNTIL] == [CHANGE]
        assert next(on for on, _ in taxonomy_marks(connection, By.WEEK, Filters(zone="Asia/Tokyo"))) == CHANGE


def test_a_reason_of_another_name_is_one_line_over_the_change(history):
    with history.read() as connection:
        rows = trend(connection, by=By.WEEK, over=Over.REASON, filters=Filters(until=UNTIL), today=UNTIL).rows
    renamed = [row for row in rows if row.code == PLANTED.renamed_reason]
    assert PLANTED.renamed_from not in {row.code for row in rows}
    assert len(renamed) == WEEK_COUNT
    assert {row.label for row in renamed} == {"Account or contact details"}


def test_a_reason_that_was_split_has_not_moved(history):
    split = {PLANTED.split_reason, PLANTED.split_from}
    with history.read() as connection:
        rows = trend(connection, by=By.WEEK, over=Over.REASON, filters=Filters(until=UNTIL), today=UNTIL).rows
        marks = [mark for mark in taxonomy_marks(connection, By.WEEK) if mark[0] < UNTIL]
    for weeks in range(1, 7):
        of_then = [row for row in rows if row.starts_on < CHANGE + timedelta(weeks=weeks)]
        found = changes_of(of_then, marks)
        assert found.since_taxonomy == CHANGE
        assert not split & moved(found)
        if weeks == 1:
            # Whoever did not know of the change would tell of it.
            assert PLANTED.split_reason in moved(changes_of(of_then, []))


def moved(found: Changes) -> set[str]:
    """The reasons that are said to go up or down."""
    return {mover.code for mover in (*found.jumps, *found.drifts) if mover.direction}
