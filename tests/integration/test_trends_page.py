"""The trends page over the generated history: what it says has moved, and that every point leads to its calls."""

import json
import re
from datetime import date, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from analytics.changed_reasons import changes, mover_document
from analytics.sums import Filters
from analytics.trends import By, heat_map, trend
from samples.history_plan import PLANTED, WEEK_COUNT
from tests.history_fixture import NOW, UNTIL, fill
from tests.web_client import Hall, make_hall

START = UNTIL - timedelta(weeks=WEEK_COUNT)
SINCE, LAST = START, START + timedelta(weeks=PLANTED.spike_week + 1, days=-1)
SPIKE_WEEKS = f"since={SINCE}&until={LAST}"


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Hall:
    made = make_hall(tmp_path_factory.mktemp("hall"))
    fill(made.wiring.database)
    made.sign_in("maria")
    return made


def chart_of(page: str, name: str) -> dict:
    return json.loads(re.search(rf'id="chart-{name}">(.*?)</script>', page, re.DOTALL)[1])


def values_of(chart: dict) -> list[dict]:
    return chart["data"]["values"]


def test_the_movers_are_those_of_the_test(hall):
    told = hall.client.get(f"/api/v1/trends/changes?{SPIKE_WEEKS}").json()
    with hall.wiring.database.read() as connection:
        wanted = changes(
            connection, by=By.WEEK, filters=Filters(since=SINCE, until=LAST + timedelta(days=1)), today=NOW.date()
        )
    assert told["jumps"] == [mover_document(mover, wanted.labels[mover.code]) for mover in wanted.jumps]
    assert [one["reason"] for one in told["jumps"] if one["direction"] == "up"] == [PLANTED.spike_reason]
    page = hall.client.get(f"/trends?{SPIKE_WEEKS}").text
    moved = re.search(r'aria-label="Reasons that have moved".*?</section>', page, re.DOTALL)[0]
    rows = re.findall(r"<tr><td>([^<]*)</td>.*?</tr>", moved.split("Drift from")[0])
    assert rows == [wanted.labels[mover.code] for mover in wanted.jumps]


def test_every_point_leads_to_its_calls(hall):
    page = hall.client.get(f"/trends?{SPIKE_WEEKS}&queue=Delivery").text
    points = [one for one in values_of(chart_of(page, "reasons")) if one["link"]]
    assert len(points) > 2 * PLANTED.spike_week
    for point in points[:: len(points) // 12]:
        listed = hall.client.get("/api/v1/calls?limit=200&" + urlsplit(point["link"]).query).json()
        assert len(listed["calls"]) == point["calls"], point
    overall = values_of(chart_of(page, "handle_time"))
    asked = parse_qs(urlsplit(overall[0]["link"]).query)
    assert asked["queue"] == ["Delivery"]
    assert date.fromisoformat(asked["until"][0]) - date.fromisoformat(asked["since"][0]) == timedelta(days=6)
    assert hall.client.get(overall[0]["link"]).status_code == 200


def test_a_point_of_a_period_that_is_cut_leads_to_the_calls_within(hall):
    begin = START + timedelta(days=2)
    page = hall.client.get(f"/trends?since={begin}&until={begin + timedelta(days=9)}&team=Sales").text
    first = values_of(chart_of(page, "reasons"))[0]["link"]
    asked = parse_qs(urlsplit(first).query)
    assert asked["since"] == [begin.isoformat()]
    assert asked["team"] == ["Sales"]


def test_the_hours_are_those_of_the_sums(hall):
    told = hall.client.get(f"/api/v1/trends/hours?{SPIKE_WEEKS}").json()
    with hall.wiring.database.read() as connection:
        cells = heat_map(connection, filters=Filters(since=SINCE, until=LAST + timedelta(days=1)))
    assert told["time_zone"] == "Europe/Berlin"
    assert [(one["weekday"], one["hour"], one["calls"]) for one in told["cells"]] == [
        (cell.weekday, cell.hour, cell.calls) for cell in cells
    ]
    page = hall.client.get(f"/trends?{SPIKE_WEEKS}").text
    assert sum(one["calls"] for one in values_of(chart_of(page, "hours"))) == sum(cell.calls for cell in cells)


def test_the_lines_have_the_figures_of_the_trend(hall):
    page = hall.client.get(f"/trends?{SPIKE_WEEKS}").text
    with hall.wiring.database.read() as connection:
        rows = trend(
            connection, by=By.WEEK, filters=Filters(since=SINCE, until=LAST + timedelta(days=1)), today=NOW.date()
        ).rows
    for name, slug in (("repeats", "repeat_rate"), ("sentiment", "sentiment"), ("cost", "cost_per_call_usd")):
        figures = [(row.period, row.figures[slug].value) for row in rows if row.is_complete]
        assert [(one["period"], one["value"]) for one in values_of(chart_of(page, name))] == [
            (period, value) for period, value in figures if value is not None
        ]


def test_one_reason_by_itself_has_no_shares_to_move(hall):
    page = hall.client.get(f"/trends?{SPIKE_WEEKS}&reason={PLANTED.spike_reason}").text
    assert "Shares need the other reasons beside them" in page
    links = [one["link"] for one in values_of(chart_of(page, "handle_time"))]
    assert all(parse_qs(urlsplit(link).query)["reason"] == [PLANTED.spike_reason] for link in links)


@pytest.mark.parametrize("path", ["/api/v1/trends/changes?false_share=0", "/api/v1/trends/hours?by=year"])
def test_what_makes_no_sense_is_refused(hall, path):
    assert hall.client.get(path).status_code == 422
