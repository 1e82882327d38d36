"""Trends: every figure is the one that counting plainly gives, and the planted truths are found."""

from collections import defaultdict
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from analytics.measures import BY_SLUG
from analytics.star import agg_day, dim_date, dim_reason, fact_call
from analytics.sums import Filters, Over
from analytics.trends import By, Figure, TrendRow, heat_map, local_today, members, row_document, totals, trend
from crm.database import Database
from samples.history_plan import CALL_COUNT, PLANTED, WEEK_COUNT, WEEKDAY_WEIGHTS
from tests.history_fixture import NOW, UNTIL, ZONE, history
from tests.naive_figures import figures, grouped, local_day, read_calls

__all__ = ["history"]

START = UNTIL - timedelta(weeks=WEEK_COUNT)
TODAY = NOW.date()


@pytest.fixture(scope="module")
def calls(history: Database) -> list[dict[str, Any]]:
    """Every ended call, read plainly."""
    return read_calls(history)


def rows_of(database: Database, **wanted: Any) -> tuple[TrendRow, ...]:
    """The rows of a trend table."""
    with database.read() as connection:
        return trend(connection, today=TODAY, **wanted).rows


def values(found: dict[str, Figure] | Any) -> dict[str, Any]:
    """The values of figures, but for the share, which needs the other members."""
    return {slug: figure.value for slug, figure in found.items() if slug != "reason_share"}


def period_of(by: By, day: date) -> str:
    """The period that a day belongs to."""
    if by is By.WEEK:
        return "{}-W{:02}".format(*day.isocalendar()[:2])
    return f"{day:%Y-%m-%d}" if by is By.DAY else f"{day:%Y-%m}"


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize("over", [None, *Over])
def test_every_figure_is_the_one_that_counting_plainly_gives(
    history: Database, calls: list[dict[str, Any]], by: By, over: Over | None
) -> None:
    of_customer = grouped(calls, lambda c: c["contact_id"])
    name = {Over.REASON: lambda c: c["code"] or "unknown", None: lambda _: ""}.get(over, lambda c: c[str(over)])
    wanted = {
        key: figures(some, of_customer, NOW)
        for key, some in grouped(calls, lambda c: (period_of(by, local_day(c, ZONE)), name(c))).items()
    }
    found = {(row.period, row.code): values(row.figures) for row in rows_of(history, by=by, over=over)}
    assert found == wanted


@pytest.mark.parametrize("zone", ["", "America/St_Johns"])
def test_the_measures_that_are_asked_for_are_the_same_as_among_all(history: Database, zone: str) -> None:
    some, filters = ("repeat_rate", "reason_share"), Filters(since=date(2026, 1, 8), until=date(2026, 3, 4), zone=zone)
    with history.read() as connection:
        for over in (Over.REASON, Over.AGENT):
            every, found = (
                trend(connection, by=By.WEEK, over=over, filters=filters, today=NOW.date(), measures=slugs).rows
                for slugs in (BY_SLUG, some)
            )
            told = [slug for slug in some if slug in every[0].figures]
            assert [dict(row.figures) for row in found] == [{slug: row.figures[slug] for slug in told} for row in every]
            of_time = members(connection, over=over, filters=filters, measures=some)
            calls: dict[str, int] = defaultdict(int)
            for row in every:
                calls[row.code] += row.calls
            assert {member.code: member.calls for member in of_time} == calls


def test_sums_over_any_dimension_are_the_same(history: Database) -> None:
    with history.read() as connection:
        everything = totals(connection).parts
        for over in Over:
            found = members(connection, over=over)
            for part, total in everything.items():
                assert sum(member.parts[part] for member in found) == total, (over, part)


def test_the_sql_of_a_measure_over_facts_and_over_sums_gives_the_figures_of_the_page(history: Database) -> None:
    found = {(row.period, row.code): row for row in rows_of(history, by=By.WEEK, over=Over.REASON)}
    with history.read() as connection:
        for table in (fact_call, agg_day):
            for slug, measure in BY_SLUG.items():
                query = f"""
                    SELECT period, code, {measure.sql()}
                    FROM (SELECT *, iso_week_key AS period FROM {table.name}
                          JOIN {dim_date.name} USING (date_key) JOIN {dim_reason.name} USING (reason_key)) AS named
                    GROUP BY period, code
                """
                for period, code, value in connection.execute(sa.text(query)):
                    assert found[period, code].figures[slug].value == value, (slug, period, code)


def test_shares_of_the_reasons_add_up_to_one(history: Database) -> None:
    for rows in grouped(rows_of(history, by=By.WEEK, over=Over.REASON), lambda row: row.period).values():
        assert sum(row.figures["reason_share"].value for row in rows) == pytest.approx(1)


@pytest.mark.parametrize(
    ("filters", "keep"),
    [
        (Filters(reason="new_order"), lambda c: c["code"] == "new_order"),
        (Filters(queue="sales"), lambda c: c["queue"] == "Sales"),
        (Filters(agent="Nina Brooks"), lambda c: c["agent"] == "Nina Brooks"),
        (Filters(team="Sales", reason="new_order"), lambda c: (c["team"], c["code"]) == ("Sales", "new_order")),
        (Filters(with_samples=False), lambda c: not c["is_sample"]),
        (
            Filters(since=date(2026, 2, 2), until=date(2026, 2, 9)),
            lambda c: period_of(By.WEEK, local_day(c, ZONE)) == "2026-W06",
        ),
    ],
)
def test_filters_count_the_calls_that_they_name(
    history: Database, calls: list[dict[str, Any]], filters: Filters, keep: Any
) -> None:
    of_customer = grouped(calls, lambda c: c["contact_id"])
    kept = [c for c in calls if keep(c)]
    with history.read() as connection:
        assert values(totals(connection, filters=filters).figures) == figures(kept, of_customer, NOW)
        by_agent = {member.code: member.calls for member in members(connection, over=Over.AGENT, filters=filters)}
        heat = heat_map(connection, filters=filters)
    assert by_agent == {name: len(some) for name, some in grouped(kept, lambda c: c["agent"]).items()}
    assert sum(cell.calls for cell in heat) == len(kept)


def test_only_whole_periods_are_complete(history: Database) -> None:
    weeks = rows_of(history, by=By.WEEK)
    assert [row.is_complete for row in weeks] == [True] * WEEK_COUNT + [False]
    months = rows_of(history, by=By.MONTH)
    assert [row.is_complete for row in months] == [False] + [True] * 5 + [False]
    cut = rows_of(history, by=By.WEEK, filters=Filters(since=date(2026, 2, 3), until=date(2026, 2, 19)))
    assert [row.is_complete for row in cut] == [False, True, False]


@pytest.mark.parametrize("zone", ["", "Asia/Kathmandu"])
def test_the_week_in_which_real_calls_begin_is_cut_where_generated_ones_are_left_out(
    history: Database, zone: str
) -> None:
    # A Sunday is all that the real ones have of it.
    week = {row.period: row for row in rows_of(history, by=By.WEEK, filters=Filters(zone=zone))}["2026-W19"]
    real = {row.period: row for row in rows_of(history, by=By.WEEK, filters=Filters(zone=zone, with_samples=False))}
    assert (week.is_complete, real["2026-W19"].is_complete) == (True, False)


def test_a_rate_comes_with_its_interval_and_what_it_rests_on(history: Database) -> None:
    for row in rows_of(history, by=By.WEEK, over=Over.REASON):
        rate = row.figures["resolved_rate"]
        assert rate.n == row.parts["resolution_known_count"]
        if rate.value is not None:
            assert rate.low <= rate.value <= rate.high
        assert row.figures["handle_time_s"].low is None


def test_a_document_of_a_row_has_every_measure_and_says_what_is_generated(history: Database) -> None:
    first = row_document(rows_of(history, by=By.WEEK, over=Over.REASON)[0])
    assert {"period", "dimension", "calls", *BY_SLUG} <= first.keys()
    assert first["sample_calls"] == first["calls"]


def test_today_is_the_date_at_the_site(history: Database) -> None:
    late = NOW.replace(hour=22, minute=30)
    with history.read() as connection:
        assert local_today(connection, late) == late.date() + timedelta(days=1)


def test_the_planted_spike_is_the_highest_week_of_its_reason(history: Database) -> None:
    rows = [row for row in rows_of(history, by=By.WEEK, over=Over.REASON) if row.code == PLANTED.spike_reason]
    highest = max(rows, key=lambda row: row.figures["reason_share"].value)
    assert highest.starts_on == START + timedelta(weeks=PLANTED.spike_week)
    others = [row.figures["reason_share"].high for row in rows if row is not highest and row.is_complete]
    assert highest.figures["reason_share"].low > sorted(others)[len(others) // 2]


def test_the_slow_riser_has_risen(history: Database) -> None:
    early = _share(history, PLANTED.rising_reason, Filters(until=START + timedelta(weeks=8)))
    late = _share(history, PLANTED.rising_reason, Filters(since=UNTIL - timedelta(weeks=8)))
    assert early.high < late.low


def test_mondays_are_busier_than_sundays_and_nights_are_silent(history: Database) -> None:
    with history.read() as connection:
        cells = heat_map(connection, filters=Filters(until=UNTIL))
    days = {day: sum(cell.calls for cell in cells if cell.weekday == day) for day in range(1, 8)}
    assert max(days, key=days.get) == 1
    assert min(days, key=days.get) == 7
    assert days[1] / days[7] == pytest.approx(WEEKDAY_WEIGHTS[0] / WEEKDAY_WEIGHTS[6], rel=0.4)
    assert {cell.hour for cell in cells} <= {*range(8, 20)}


def test_missed_visits_are_called_about_again_in_the_planted_weeks(history: Database) -> None:
    first, last = (START + timedelta(weeks=week) for week in PLANTED.repeat_weeks)
    with history.read() as connection:
        of_reason = Filters(reason=PLANTED.repeat_reason, since=first, until=last)
        during = totals(connection, filters=of_reason).figures["repeat_rate"]
        before = totals(connection, filters=Filters(reason=PLANTED.repeat_reason, until=first)).figures["repeat_rate"]
    assert during.low > before.high


def test_the_new_agent_gets_faster(history: Database) -> None:
    start = START + timedelta(weeks=PLANTED.new_agent_week)
    with history.read() as connection:
        early, late = (
            totals(connection, filters=Filters(agent=PLANTED.new_agent, since=since, until=since + timedelta(weeks=3)))
            for since in (start, start + timedelta(weeks=PLANTED.learning_weeks))
        )
    assert early.figures["handle_time_s"].value > 1.4 * late.figures["handle_time_s"].value


def test_the_campaign_has_sold_more(history: Database) -> None:
    turn = START + timedelta(weeks=PLANTED.campaign_week)
    with history.read() as connection:
        before = totals(connection, filters=Filters(until=turn)).figures["conversion_rate"]
        after = totals(connection, filters=Filters(since=turn)).figures["conversion_rate"]
    assert before.high < after.low


def test_the_history_has_all_its_calls(calls: list[dict[str, Any]]) -> None:
    assert sum(c["is_sample"] for c in calls) == CALL_COUNT


def _share(database: Database, code: str, filters: Filters) -> Figure:
    with database.read() as connection:
        return next(m for m in members(connection, over=Over.REASON, filters=filters) if m.code == code).figures[
            "reason_share"
        ]
