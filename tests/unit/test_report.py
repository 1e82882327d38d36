"""The weekly report: the same figures as the trends page, in one file that loads and runs nothing."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sqlalchemy as sa

from analytics.report import WEEKS, WrongWeek, monday_of_week, render_report, week_report, write_report
from analytics.report_charts import HEIGHT, WIDTH
from analytics.star import dim_reason
from analytics.sums import Filters, Over
from analytics.trends import By, trend
from crm.database import Database
from runtime.reporting import report_as_set
from runtime.settings import Settings
from samples.history_plan import PLANTED, WEEK_COUNT
from tests.history_fixture import NOW, UNTIL, history
from tests.xss import XSS

__all__ = ["history"]

TODAY = NOW.date()
WEEK = "2026-W19"
MONDAY = date(2026, 5, 4)


class Tags(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def report(database: Database, **wanted):
    with database.read() as connection:
        return week_report(connection, today=TODAY, **wanted)


def test_the_last_week_that_has_ended_is_reported_unless_another_is_named(history):
    assert report(history).week == WEEK
    assert (report(history, week="2026-W12").starts_on, report(history).starts_on) == (date(2026, 3, 16), MONDAY)
    # A Monday: the week before has just ended.
    assert monday_of_week("", date(2026, 5, 11)) == monday_of_week("", date(2026, 5, 17)) == MONDAY


@pytest.mark.parametrize("week", ["2026-W20", "2026-W54", "2026-19", "last", "2026-W00", "0000-W01"])
def test_a_week_that_is_none_or_has_not_ended_is_refused(history, week):
    with pytest.raises(WrongWeek):
        report(history, week=week)


def test_the_figures_are_those_of_the_trends(history):
    found = report(history)
    with history.read() as connection:
        rows = trend(connection, by=By.WEEK, filters=Filters(), today=TODAY).rows
        over = trend(connection, by=By.WEEK, over=Over.REASON, filters=Filters(), today=TODAY).rows
    [row] = [row for row in rows if row.period == WEEK]
    assert row.is_complete
    assert {one.slug: one.figure for one in found.measures} == {
        one.slug: row.figures[one.slug] for one in found.measures
    }
    assert [(one.code, one.calls) for one in found.reasons] == [
        (one.code, one.calls) for one in over if one.period == WEEK
    ]
    # A share of the calls with a reason is nothing that a call without one can have.
    assert {one.code for one in found.reasons if one.share == "-"} == {"unknown", "insufficient_content"}
    page = render_report(found, title="Ours")
    rate = row.figures["resolved_rate"]
    assert f"{rate.value:.1%} ({rate.low:.1%} to {rate.high:.1%}, n {rate.n:,})" in page
    heights = sum(box.height for box in found.stack.boxes if box.title.startswith(WEEK))
    tallest = max(float(label.text.replace(",", "")) for label in found.stack.y_labels)
    assert heights == pytest.approx(row.calls / tallest * (HEIGHT - 32), abs=0.1)


def test_charts_show_so_many_weeks_and_stay_in_their_frame(history):
    found = report(history)
    assert len(found.stack.x_labels) == WEEKS
    for _, chart in found.lines:
        points = [tuple(map(float, point.split(","))) for point in f"{chart.line} {chart.band}".split()]
        assert len(chart.line.split()) == WEEKS
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
    assert all(box.x >= 0 and box.x + box.width <= WIDTH and box.y >= 0 for box in found.stack.boxes)


def test_a_planted_spike_is_told_in_its_week_alone(history):
    monday = UNTIL - timedelta(weeks=WEEK_COUNT - PLANTED.spike_week)
    weeks = ["{}-W{:02}".format(*(monday + timedelta(weeks=more)).isocalendar()[:2]) for more in (-1, 0)]
    jumped = [
        {one.code for one in report(history, week=week).moved if (one.test, one.direction) == ("jump", "up")}
        for week in weeks
    ]
    assert PLANTED.spike_reason not in jumped[0]
    assert PLANTED.spike_reason in jumped[1]


def test_the_file_loads_nothing_runs_nothing_and_is_there_whole(history, tmp_path: Path):
    path = write_report(report(history), tmp_path / "reports", title="Ours")
    assert [one.name for one in path.parent.iterdir()] == [f"callwise-{WEEK}.html"]
    page = path.read_text(encoding="utf-8")
    assert len(page) < 100_000
    for tag, attributes in Tags(page).found:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed"}
        assert not [name for name in attributes if name.startswith("on") or name in {"src", "href", "style"}]
    assert "url(" not in page
    assert not re.search(r"https?://", page)
    # Again, it is the same file.
    assert write_report(report(history), tmp_path / "reports", title="Ours").read_text(encoding="utf-8") == page


@pytest.mark.parametrize("text", XSS)
def test_whatever_a_reason_is_called_is_text(history, text):
    tags = [tag for tag, _ in Tags(render_report(report(history), title="Ours")).found]
    with history.engine.connect() as connection:
        connection.execute(sa.update(dim_reason).values(label=text.replace("\x00", "")))
        found = week_report(connection, today=TODAY)
        connection.rollback()
    assert json.dumps(found.reasons[0].label)
    assert [tag for tag, _ in Tags(render_report(found, title=text)).found] == tags


def test_a_week_without_calls_says_so(history):
    found = report(history, week="2024-W10")
    assert [one.now for one in found.measures] == ["-"] * len(found.measures)
    assert (found.reasons, found.moved, found.stack.boxes) == ((), (), ())
    assert "2024-W10" in render_report(found, title="Ours")


def test_the_workers_write_each_week_once_a_day_after_its_end(history, tmp_path: Path):
    settings = Settings.model_validate({"home": tmp_path, "reports": {"folder": "weekly"}})
    monday = datetime(2026, 5, 11, 10, tzinfo=UTC)

    def written(at: datetime) -> str | None:
        path = report_as_set(history, settings, lambda: at)
        return path.name if path else None

    days = [written(monday + timedelta(days=more)) for more in range(9)]
    assert days == ["callwise-2026-W18.html", "callwise-2026-W19.html", *[None] * 6, "callwise-2026-W20.html"]
    assert written(monday - timedelta(days=3650)) is None
    assert report_as_set(history, Settings.model_validate({"home": tmp_path})) is None
