"""The trends page over the generated history: what it says has moved, and that every point leads to its calls."""

import json
import re
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from html import unescape
from urllib.parse import parse_qs, parse_qsl, urlsplit

import duckdb
import openpyxl
import pytest
import sqlalchemy as sa

from analytics.changed_reasons import changes, mover_document
from analytics.exports import export
from analytics.measures import BY_SLUG
from analytics.rollup import refresh
from analytics.sums import Filters
from analytics.trends import By, heat_map, trend
from crm.access import Role, Viewer
from crm.calls import count_calls
from samples.history_plan import PLANTED, WEEK_COUNT
from tests.calls_made_up import add_call
from tests.history_fixture import NOW, UNTIL, ZONE, fill
from tests.web_client import Hall, make_hall
from web.filters import read_filter
from web.point_filters import FIELDS, read_point

START = UNTIL - timedelta(weeks=WEEK_COUNT)
SINCE, LAST = START, START + timedelta(weeks=PLANTED.spike_week + 1, days=-1)
NIGHT = date(2026, 3, 29)
SPIKE_WEEKS = f"since={SINCE}&until={LAST}"


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Hall:
    made = make_hall(tmp_path_factory.mktemp("hall"), zone=ZONE)
    fill(made.wiring.database)
    # At 02:00 in Berlin it is 03:00 that night.
    change = datetime.combine(NIGHT, time(1), UTC)
    with made.wiring.database.write() as connection:
        for number, minutes in enumerate((-60, -1, 0, 1, 59)):
            add_call(connection, 100 + number, change + timedelta(minutes=minutes))
    refresh(made.wiring.database, ZONE, NOW)
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
    first = wanted.drifts[0]
    assert f"n = {first.before.n:,} at first and {first.now.n:,} at last</h3>" in moved


WHOLE = f"since={START}&until={UNTIL + timedelta(days=1)}"
LINES = ("handle_time", "sentiment", "conversion", "repeats", "cost")


def listed(hall: Hall, link: str) -> int:
    """How many calls the list has to which a link leads."""
    asked = dict(parse_qsl(urlsplit(link).query))
    point = read_point(**{name: asked.pop(name) for name in FIELDS if name in asked})
    wanted = read_filter(site=hall.app.state.site, point=point, **asked).wanted
    with hall.wiring.database.read() as connection:
        return count_calls(connection, Viewer("maria", Role.ADMIN), wanted, at_most=10_000)


@pytest.mark.parametrize("asked", ["", "&zone=Asia/Kathmandu", "&team=Service North", "&reason=new_order"])
def test_every_point_of_every_chart_leads_to_the_calls_that_it_counts(hall, asked):
    page = hall.client.get(f"/trends?by=month&{WHOLE}{asked}").text
    told = Counter()
    for name in ("reasons", "shares", "hours"):
        for value in values_of(chart_of(page, name)):
            told[value["link"]] += value["calls"]
    for name in LINES:
        for value in values_of(chart_of(page, name)):
            # The calls of a month of one measure are those of no other point.
            assert value["link"] not in told
            told[value["link"]] = value["n"]
    assert told.pop("", 0) == 0
    assert len(told) > (60 if "&reason" in asked else 150)
    some = dict([*told.items()][:: 3 if asked else 1])
    assert {link: listed(hall, link) for link in some} == some


@pytest.mark.parametrize("asked", ["queue=unknown", "team=Unknown", "agent=unknown", "reason=NEW_ORDER"])
def test_a_point_leads_to_its_calls_whatever_is_not_known_of_them_and_in_any_case(hall, asked):
    page = hall.client.get(f"/trends?by=month&{WHOLE}&{asked}").text
    told = {value["link"]: value["calls"] for value in values_of(chart_of(page, "hours"))}
    assert told
    assert {link: listed(hall, link) for link in told} == told


def test_a_link_of_the_page_opens_the_list_with_as_many_calls(hall):
    page = hall.client.get(f"/trends?{SPIKE_WEEKS}&queue=Delivery&zone=America/New_York").text
    for name in ("reasons", "handle_time", "hours"):
        value = values_of(chart_of(page, name))[3]
        opened = hall.client.get(value["link"]).text
        found = re.search(r'role="status">([\d,]+) calls?', opened)[1]
        assert int(found.replace(",", "")) == value.get("n", value.get("calls"))
        assert "counted in: " in opened
        assert "days of America/New_York" in opened
        assert re.search(r'type="hidden" name="counted"', opened)
    # The tables beside them lead there, too.
    table = re.search(r'aria-label="Calls by weekday and hour".*?</section>', page, re.DOTALL)[0]
    for href, calls in re.findall(r'<a href="([^"]*)">(\d+)</a>', table)[::9]:
        assert listed(hall, unescape(href)) == int(calls)


def test_on_the_night_of_the_clocks_each_hour_has_its_calls(hall):
    night = f"since={NIGHT}&until={NIGHT}"
    for asked, wanted in (("", {1: 2, 3: 3}), ("&zone=UTC", {0: 2, 1: 3}), ("&zone=Asia/Kolkata", {5: 1, 6: 3, 7: 1})):
        page = hall.client.get(f"/trends?{night}&samples=0{asked}").text
        cells = values_of(chart_of(page, "hours"))
        assert {cell["hour"]: cell["calls"] for cell in cells} == wanted
        assert {cell["weekday"] for cell in cells} == {"Sun"}
        assert [listed(hall, cell["link"]) for cell in cells] == list(wanted.values())


def test_what_no_point_can_be_is_refused(hall):
    for asked in (
        "counted=calls2",
        "weekday=8",
        "hour=24",
        "hour=-1",
        "hour=0009999",
        "zone=Mars/Olympus",
        "weekday=x",
    ):
        assert hall.client.get(f"/api/v1/calls?{asked}").status_code == 400, asked
    assert hall.client.get("/api/v1/trends?zone=../../etc").status_code == 400


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


def test_the_handle_time_of_a_period_is_rounded_to_the_second(hall):
    page = hall.client.get(f"/trends?by=week&{WHOLE}").text
    table = re.search(r'aria-label="Handle time by period".*?</tbody>', page, re.DOTALL)[0]
    shown = re.findall(r'<td class="number">(\d+):(\d\d)</td>', table)
    rows = hall.client.get(f"/api/v1/trends?by=week&{WHOLE}").json()["rows"]
    told = [row["handle_time_s"] for row in reversed(rows) if row["handle_time_s"] is not None]
    assert [60 * int(minutes) + int(seconds) for minutes, seconds in shown] == [round(one) for one in told]


def test_one_reason_by_itself_has_no_shares_to_move(hall):
    page = hall.client.get(f"/trends?{SPIKE_WEEKS}&reason={PLANTED.spike_reason}").text
    assert "Shares need the other reasons beside them" in page
    links = [one["link"] for one in values_of(chart_of(page, "handle_time"))]
    assert all(parse_qs(urlsplit(link).query)["reason"] == [PLANTED.spike_reason] for link in links)


@pytest.mark.parametrize("path", ["/api/v1/trends/changes?false_share=0", "/api/v1/trends/hours?by=year"])
def test_what_makes_no_sense_is_refused(hall, path):
    assert hall.client.get(path).status_code == 422


def test_every_figure_is_the_same_on_the_page_in_the_workbook_in_csv_in_sql_and_in_parquet(hall, tmp_path):
    database = hall.wiring.database
    export(database, ("csv", "parquet", "xlsx"), tmp_path, zone=ZONE, now=NOW)
    by_sql = {"database": partial(rows_of_database, database)}
    for kind, read in (("csv", "read_csv('{}/csv/{}.csv')"), ("parquet", "read_parquet('{}/parquet/{}/**/*.parquet')")):
        by_sql[kind] = partial(rows_of_files, partial(read.format, tmp_path))
    book = openpyxl.load_workbook(tmp_path / "callwise.xlsx", read_only=True)
    for over, sheet in (("", "Weeks"), ("reason", "Reasons by week")):
        told = hall.client.get(f"/api/v1/trends?{WHOLE}&over={over}".removesuffix("&over=")).json()["rows"]
        page = {(row["period"], row["dimension"]): {slug: row[slug] for slug in BY_SLUG if slug in row} for row in told}
        assert len(page) > (200 if over else 26)
        slugs = next(iter(page.values())).keys()
        for name, rows in by_sql.items():
            assert figures_by_sql(rows, over, slugs) == page, name
        head, *lines = list(book[sheet].iter_rows(min_row=3, values_only=True))
        for line in lines:
            cells = dict(zip(head, line, strict=True))
            of_page = page.pop((cells["Period"], cells.get("Code", "")))
            # A workbook keeps 16 digits of a number.
            rounded = {slug: value and pytest.approx(value, rel=1e-14) for slug, value in of_page.items()}
            assert {slug: cells[BY_SLUG[slug].heading] for slug in slugs} == rounded
        assert page == {}


def rows_of_database(database, query, tables):
    with database.read() as connection:
        return connection.execute(sa.text(query.format(**{name: name for name in tables}))).all()


def rows_of_files(place, query, tables):
    return duckdb.connect().execute(query.format(**{name: place(name) for name in tables})).fetchall()


def figures_by_sql(rows, over, slugs):
    """Every measure by week and member, as an analyst's SQL gives it."""
    query = f"""
        SELECT period, code, {", ".join(BY_SLUG[slug].sql() for slug in slugs)}
        FROM (SELECT f.*, d.iso_week_key AS period, {"code" if over else "''"} AS code FROM {{fact_call}} AS f
              JOIN {{dim_date}} AS d ON d.date_key = f.date_key
              JOIN {{dim_reason}} AS r ON r.reason_key = f.reason_key) AS named
        GROUP BY period, code
    """
    found = rows(query, ("fact_call", "dim_date", "dim_reason"))
    return {(period, code): dict(zip(slugs, values, strict=True)) for period, code, *values in found}


def test_what_the_charts_and_tables_show_is_what_the_api_says(hall):
    page = hall.client.get(f"/trends?{WHOLE}").text
    rows = hall.client.get(f"/api/v1/trends?{WHOLE}").json()
    over = hall.client.get(f"/api/v1/trends?{WHOLE}&over=reason").json()["rows"]
    for name, slug, scale in (
        ("handle_time", "handle_time_s", 60),
        ("sentiment", "sentiment", 1),
        ("conversion", "conversion_rate", 1),
        ("repeats", "repeat_rate", 1),
        ("cost", "cost_per_call_usd", 1),
    ):
        drawn = {one["period"]: one["value"] for one in values_of(chart_of(page, name))}
        assert drawn == {
            row["period"]: row[slug] * (1 / scale)
            for row in rows["rows"]
            if row["is_complete"] and row[slug] is not None
        }
    for name, slug in (("reasons", "calls"), ("shares", "classified")):
        drawn, told = Counter(), Counter()
        for one in values_of(chart_of(page, name)):
            drawn[one["period"], one["reason"]] += one["calls"]
        for row in over:
            top = row["label"] if any(reason == row["label"] for _, reason in drawn) else "All others"
            told[row["period"], top] += row[slug]
        assert drawn == told
    # The change of the taxonomy stands in each chart over time, and the last reasons are those of the odd calls.
    marks = rows["taxonomy_marks"]
    assert marks[0]["starts_on"] == (START + timedelta(weeks=PLANTED.taxonomy_week)).isoformat()
    for name in ("reasons", "shares", *LINES):
        rule = chart_of(page, name)["layer"][-1]
        assert rule["mark"]["type"] == "rule"
        assert {"starts_on", "versions"} == rule["data"]["values"][0].keys()
        assert rule["data"]["values"][0] == marks[0]
    tiles = dict(re.findall(r'<div class="tile"><strong>([^<]*)</strong><span>(Calls|Handled, no reason)', page)[::-1])
    assert f"{sum(row['calls'] for row in rows['rows']):,}" in tiles
