"""The report of one ISO week as one HTML file: the figures of the trends page, to be read, printed and passed on."""

import re
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import jinja2
import sqlalchemy as sa

from analytics.changed_reasons import OVER_REASONS, Changes, changes_of, taxonomy_marks
from analytics.measures import BY_SLUG
from analytics.movers import Mover, Rate
from analytics.report_charts import Chart, line, stacked
from analytics.sums import Filters, Over
from analytics.trends import By, Figure, TrendRow, trend
from calls.errors import CallwiseError

# The weeks that the charts show, the report's own the last.
WEEKS = 12
MEASURES = (
    *("calls", "classified", "unclassified_share", "handle_time_s", "transfer_rate", "resolved_rate", "repeat_rate"),
    *("first_contact_resolution", "sentiment", "conversion_rate", "cost_per_call_usd"),
)
_LINES = ("handle_time_s", "resolved_rate", "sentiment")
_TOP = 8
_SHARE = "share"
_DOLLARS = "USD"
_WEEK = re.compile(r"(\d{4})-W(\d{2})")


class WrongWeek(CallwiseError):
    """What is named is no ISO week, or one that has not ended."""

    code = "wrong_week"


@dataclass(frozen=True)
class MeasureLine:
    """A measure of the week and of the one before, as they are read; `figure` is the week's own."""

    slug: str
    heading: str
    now: str
    before: str
    figure: Figure


@dataclass(frozen=True)
class ReasonLine:
    """A reason of the week."""

    code: str
    label: str
    calls: int
    share: str


@dataclass(frozen=True)
class MoverLine:
    """A reason that moved, by the tests of analytics.movers."""

    code: str
    label: str
    test: str
    direction: str
    before: str
    now: str
    change: str
    adjusted_p: str


@dataclass(frozen=True)
class WeekReport:
    """All that a report shows; `last_day` is the week's Sunday."""

    week: str
    starts_on: date
    last_day: date
    time_zone: str
    sample_calls: int
    demo_calls: int
    measures: tuple[MeasureLine, ...]
    reasons: tuple[ReasonLine, ...]
    moved: tuple[MoverLine, ...]
    # The weeks shown from which on other versions of the taxonomy classify, with these.
    marks: tuple[tuple[str, str], ...]
    stack: Chart = field(repr=False)
    lines: tuple[tuple[str, Chart], ...] = field(repr=False)


def monday_of_week(week: str, today: date) -> date:
    """The first day of `week` (2026-W12; "": the last week that ended before `today`). Raises WrongWeek."""
    if not week:
        return today - timedelta(days=today.weekday() + 7)
    found = _WEEK.fullmatch(week)
    try:
        monday = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else None
    except ValueError:
        monday = None
    if monday is None:
        raise WrongWeek(f"{week!r} is no ISO week; write it like 2026-W12")
    if monday + timedelta(days=7) > today:
        raise WrongWeek(f"{week} has not ended: a report is of complete weeks")
    return monday


def week_report(connection: sa.Connection, *, week: str = "", today: date, with_samples: bool = True) -> WeekReport:
    """The figures of the week (see `monday_of_week`), `today` being the date at the site. Raises WrongWeek."""
    monday = monday_of_week(week, today)
    until = monday + timedelta(days=7)
    filters = Filters(since=monday - timedelta(weeks=WEEKS - 1), until=until, with_samples=with_samples)
    over_reasons = trend(
        connection, by=By.WEEK, over=Over.REASON, filters=filters, today=today, measures=OVER_REASONS
    ).rows
    overall = trend(connection, by=By.WEEK, filters=filters, today=today)
    by_start = {row.starts_on: row for row in overall.rows}
    now, before = by_start.get(monday), by_start.get(monday - timedelta(weeks=1))
    of_week = [row for row in over_reasons if row.starts_on == monday]
    calls: dict[str, int] = {}
    for row in over_reasons:
        calls[row.code] = calls.get(row.code, 0) + row.calls
    top = sorted(calls, key=lambda code: (-calls[code], code))[:_TOP]
    shown = {row.starts_on for row in overall.rows}
    marks = {
        starts_on: versions
        for starts_on, versions in taxonomy_marks(connection, By.WEEK, filters)
        if starts_on in shown
    }
    moved = changes_of(over_reasons, [*marks.items()])
    return WeekReport(
        week=week_of(monday),
        starts_on=monday,
        last_day=until - timedelta(days=1),
        time_zone=overall.time_zone,
        sample_calls=now.parts["sample_count"] if now else 0,
        demo_calls=now.parts["demo_count"] if now else 0,
        measures=tuple(_measure(slug, now, before) for slug in MEASURES),
        reasons=tuple(
            # What has no reason, or too little content for one, has no share of the calls with one.
            ReasonLine(
                row.code,
                row.label,
                row.calls,
                _read("reason_share", row.figures["reason_share"]) if row.parts["classified_count"] else "-",
            )
            for row in of_week
        ),
        # Of another week than the report's, where the week had no calls: then nothing moved in it.
        moved=_moved(moved) if moved.starts_on == monday else (),
        marks=tuple((week_of(starts_on), versions) for starts_on, versions in marks.items()),
        stack=stacked(over_reasons, top, marks),
        lines=tuple(
            (BY_SLUG[slug].heading, line(overall.rows, slug, marks, as_percent=BY_SLUG[slug].unit == _SHARE))
            for slug in _LINES
        ),
    )


def render_report(found: WeekReport, *, title: str) -> str:
    """The report as HTML that loads nothing and runs nothing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("report.html").render(found=found, title=title)


def report_document(found: WeekReport) -> dict[str, object]:
    """The figures of a report as `callwise report --json` and a webhook give them."""
    return {
        "week": found.week,
        "starts_on": found.starts_on.isoformat(),
        "time_zone": found.time_zone,
        "measures": {
            one.slug: {"value": one.figure.value, "n": one.figure.n, "low": one.figure.low, "high": one.figure.high}
            for one in found.measures
        },
        "reasons": [{"code": one.code, "label": one.label, "calls": one.calls} for one in found.reasons],
        "moved": [{"code": one.code, "test": one.test, "direction": one.direction} for one in found.moved],
        "taxonomy_marks": [{"week": week, "versions": versions} for week, versions in found.marks],
        "sample_calls": found.sample_calls,
        "demo_calls": found.demo_calls,
    }


def week_of(monday: date) -> str:
    """The name of the ISO week that begins on that day, like 2026-W12."""
    iso = monday.isocalendar()
    return f"{iso.year}-W{iso.week:02}"


def report_path(folder: Path, monday: date) -> Path:
    """Where the report of that week lies in the folder."""
    return folder / f"callwise-{week_of(monday)}.html"


def write_report(found: WeekReport, folder: Path, *, title: str) -> Path:
    """Write callwise-2026-W12.html into the folder, beside and then renamed: a reader never sees half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = report_path(folder, found.starts_on)
    beside = folder / f".{path.name}.part"
    beside.write_text(render_report(found, title=title), encoding="utf-8")
    beside.replace(path)
    return path


def _measure(slug: str, now: TrendRow | None, before: TrendRow | None) -> MeasureLine:
    nothing = Figure(None, 0)
    figures = [
        row.figures[slug] if row else nothing for row in (now, before if before and before.is_complete else None)
    ]
    return MeasureLine(slug, BY_SLUG[slug].heading, _read(slug, figures[0]), _read(slug, figures[1]), figures[0])


def _read(slug: str, figure: Figure) -> str:
    if figure.value is None:
        return "-"
    if BY_SLUG[slug].denominator is None:
        return f"{figure.value:,}"
    if BY_SLUG[slug].unit != _SHARE:
        # A call costs a fraction of a cent.
        decimals = 4 if BY_SLUG[slug].unit == _DOLLARS else 2
        return f"{figure.value:,.{decimals}f} (n {figure.n:,})"
    if figure.low is None or figure.high is None:
        return f"{figure.value:.1%} (n {figure.n:,})"
    return f"{figure.value:.1%} ({figure.low:.1%} to {figure.high:.1%}, n {figure.n:,})"


def _moved(found: Changes) -> tuple[MoverLine, ...]:
    return tuple(_mover(one, found.labels) for one in (*found.jumps, *found.drifts) if one.direction)


def _mover(one: Mover, labels: dict[str, str]) -> MoverLine:
    return MoverLine(
        code=one.code,
        label=labels.get(one.code, one.code),
        test=one.test.value,
        direction=one.direction,
        before=_rate(one.before),
        now=_rate(one.now),
        change=f"{one.difference:+.1%} ({one.low:+.1%} to {one.high:+.1%})",
        adjusted_p=f"{one.adjusted_p:.2g}",
    )


def _rate(rate: Rate) -> str:
    return f"{rate.share:.1%} (n {rate.n:,})"
