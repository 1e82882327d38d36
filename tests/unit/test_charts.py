"""The charts' specifications: what a reader could misread in them."""

from datetime import date, timedelta
from math import floor, log10

import pytest

from analytics.measures import BY_SLUG
from analytics.parts import PART_NAMES
from analytics.trends import By, Figure, TrendRow
from web.charts import line_chart, reasons_chart


def row(week: int, label: str, *, calls: int = 3, handle_time_s: float = 350.0) -> TrendRow:
    """One week of one reason."""
    starts_on = date(2026, 3, 2) + timedelta(weeks=week)
    parts = dict.fromkeys(PART_NAMES, 0) | {"call_count": calls, "classified_count": calls}
    figures = {slug: Figure(None, 0) for slug in BY_SLUG} | {
        "handle_time_s": Figure(handle_time_s, calls),
        "conversion_rate": Figure(0.5, calls, 0.2, 0.8),
    }
    return TrendRow(f"W{week}", starts_on, starts_on + timedelta(weeks=1), True, label, label, parts, figures)


ROWS = [row(week, "Delivery status", handle_time_s=350.0 + week) for week in range(3)]
# In units of the axis: what the last digit of the format stands for.
LAST_DIGIT = {"d": 1, ".2f": 0.01, ".0%": 0.01}


def least_step(span: float, wished: float) -> float:
    """The step between ticks that Vega draws over an axis of this span (vega-scale's tickCount, d3-array's ticks)."""
    step = span / (floor(span / wished) + 1)
    power = 10 ** floor(log10(step))
    return power * next(factor for least, factor in ((50, 10), (10, 5), (2, 2), (0, 1)) if (step / power) ** 2 >= least)


@pytest.mark.parametrize(
    "chart",
    [
        reasons_chart(ROWS, By.WEEK, ["Delivery status"], as_share=False),
        reasons_chart(ROWS, By.WEEK, ["Delivery status"], as_share=True),
        line_chart(ROWS, By.WEEK, "handle_time_s", "Minutes per call", scale=1 / 60),
        line_chart(ROWS, By.WEEK, "conversion_rate", "Sales calls that end in a sale", number_format=".0%"),
    ],
    ids=["reasons", "shares", "handle time", "conversion"],
)
def test_no_two_ticks_of_an_axis_read_alike(chart):
    for layer in chart.get("layer", [chart]):
        axis = layer["encoding"]["y"]["axis"]
        digit = LAST_DIGIT[axis["format"]]
        for span in range(2, 400):
            assert least_step(span * digit, axis["tickMinStep"]) >= digit * 0.999, span


def test_reasons_beyond_the_most_frequent_are_all_others():
    chart = reasons_chart([*ROWS, row(0, "Rare"), row(0, "Rarer")], By.WEEK, ["Delivery status"], as_share=False)
    found = [value["reason"] for value in chart["data"]["values"]]
    assert found == ["Delivery status"] * 3 + ["All others"] * 2


def test_a_period_that_is_not_complete_is_no_point_of_a_line():
    cut = TrendRow(**(ROWS[2].__dict__ | {"is_complete": False}))
    chart = line_chart([*ROWS[:2], cut], By.WEEK, "handle_time_s", "Minutes per call", scale=1 / 60)
    assert [value["n"] for value in chart["data"]["values"]] == [3, 3]
    assert chart["data"]["values"][0]["value"] == pytest.approx(350 / 60)
