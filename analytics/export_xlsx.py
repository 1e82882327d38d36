"""The Excel workbook: a README, trend tables, calls and charts. Real tables, numbers as numbers, and no formula."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import ceil
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import xlsxwriter

from analytics.export_pieces import Context, Entry, Piece
from analytics.measures import BY_SLUG, MEASURES
from analytics.sums import Over
from analytics.trends import By, Trend, TrendRow, local_today, time_zone, totals, trend
from analytics.xlsx_calls import Row, Sheet, calls_sheet
from analytics.xlsx_rows import Filling, fill

MAX_CHART_REASONS = 8
_LONGEST_HEADER = 200
# In points, and in letters.
_LINE_HEIGHT, _FORMULA_WIDTH, _DEFINITION_WIDTH = 15, 60, 90
_FORMATS = {"share": "0.0%", "s": "0.0", "USD": "0.0000", "per call": "0.00", "-5..+5": "0.0", "-10..+10": "0.0"}

WORKBOOK = "callwise.xlsx"


def pieces(_context: Context) -> Iterator[Piece]:
    """The workbook."""
    yield Piece(WORKBOOK, "xlsx", "", _write)


def _write(context: Context, path: Path, _done: Mapping[str, Entry]) -> int:
    sheets = write_workbook(
        context.connection, path, title=context.title, now=context.now, personal_data=context.personal_data
    )
    return sum(sheets.values())


_HEADER_ROW = 2


def write_workbook(
    connection: sa.Connection, path: Path, *, title: str, now: datetime, personal_data: bool
) -> dict[str, int]:
    """Write the workbook; returns the rows of each sheet's table."""
    today = local_today(connection, now)
    weeks = trend(connection, by=By.WEEK, today=today)
    reasons = trend(connection, by=By.WEEK, over=Over.REASON, today=today)
    sheets = [
        _trend_sheet("Weeks", "All calls by ISO week.", weeks),
        _trend_sheet("Reasons by week", "Calls by reason and ISO week.", reasons),
        *(
            _trend_sheet(f"{over.value.title()}s by month", f"Calls by {over} and month.", found)
            for over in (Over.QUEUE, Over.AGENT, Over.TEAM)
            for found in [trend(connection, by=By.MONTH, over=over, today=today)]
        ),
        _pivot_sheet(reasons),
    ]
    calls = calls_sheet(connection, personal_data=personal_data)
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    made = path.with_name(f".{path.name}.made")
    try:
        with xlsxwriter.Workbook(str(made), options) as book:
            book.set_properties(
                {"title": title, "comments": "Written by Callwise", "created": now.replace(tzinfo=None)}
            )
            readme = book.add_worksheet("README")
            for number, sheet in enumerate(sheets):
                _add_sheet(book, sheet, number, len(sheet.rows))
            page = _add_sheet(book, calls.sheet, len(sheets), 1)
            _add_charts(book, sheets)
            counts = {sheet.name: len(sheet.rows) for sheet in sheets} | {calls.sheet.name: calls.count}
            lines = _readme(connection, title, now, personal_data=personal_data)
            _fill_readme(book, readme, lines, {sheet.name: sheet.about for sheet in (*sheets, calls.sheet)}, counts)
        # Counted from 1, in the order in which the sheets were added.
        file = f"xl/worksheets/sheet{page.index + 1}.xml"
        table = _table_name(calls.sheet, len(sheets))
        fill(made, path, Filling(file, table, _HEADER_ROW + 2, calls.cells, calls.rows, calls.count))
    finally:
        made.unlink(missing_ok=True)
    return counts


def _trend_sheet(name: str, about: str, found: Trend) -> Sheet:
    slugs = [slug for slug in BY_SLUG if found.over is Over.REASON or slug != "reason_share"]
    dimension = [(found.over.value.title(), ""), ("Code", "")] if found.over else []
    return Sheet(
        name=name,
        about=f"{about} Days are cut in {found.time_zone}. A period that is not complete says so.",
        columns=[
            ("Period", ""),
            ("Starts on", "yyyy-mm-dd"),
            ("Complete", ""),
            *dimension,
            *((BY_SLUG[slug].heading, _FORMATS.get(BY_SLUG[slug].unit, "0")) for slug in slugs),
            ("Generated calls", "0"),
            ("Demo-engine calls", "0"),
        ],
        rows=[_trend_row(row, slugs, found.over) for row in found.rows],
    )


def _trend_row(row: TrendRow, slugs: Sequence[str], over: Over | None) -> Row:
    return [
        row.period,
        row.starts_on,
        _yes(row.is_complete),
        *([row.label, row.code] if over else []),
        *(row.figures[slug].value for slug in slugs),
        row.parts["sample_count"],
        row.parts["demo_count"],
    ]


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"


def _pivot_sheet(found: Trend) -> Sheet:
    """Calls of the most frequent reasons, a week a row: what the stacked chart is drawn from."""
    calls: dict[str, int] = {}
    for row in found.rows:
        calls[row.code] = calls.get(row.code, 0) + row.calls
    codes = sorted(calls, key=lambda code: (-calls[code], code))[:MAX_CHART_REASONS]
    labels = {row.code: row.label for row in found.rows}
    weeks: dict[tuple[str, bool], dict[str, int]] = {}
    for row in found.rows:
        weeks.setdefault((row.period, row.is_complete), {})[row.code] = row.calls
    return Sheet(
        name="Reason counts",
        about=f"Calls of the {MAX_CHART_REASONS} most frequent reasons and of all others, by ISO week.",
        columns=[("Week", ""), ("Complete", ""), *((labels[code], "0") for code in codes), ("All others", "0")],
        rows=[
            [
                week,
                _yes(is_complete),
                *(of_week.get(code, 0) for code in codes),
                sum(count for code, count in of_week.items() if code not in codes),
            ]
            for (week, is_complete), of_week in weeks.items()
        ],
    )


def _add_sheet(book: Any, sheet: Sheet, number: int, row_count: int) -> Any:
    page = book.add_worksheet(sheet.name)
    page.write_string(0, 0, sheet.about)
    page.freeze_panes(3, 0)
    page.set_column(0, len(sheet.columns) - 1, 14)
    page.set_row(_HEADER_ROW, 3 * _LINE_HEIGHT)
    formats = {text: book.add_format({"num_format": text}) for _, text in sheet.columns if text}
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    headers = _distinct([header for header, _ in sheet.columns])
    if not sheet.rows:
        # For rows that are put in later: their cells take the format from here.
        for column, (_, text) in enumerate(sheet.columns):
            if text:
                page.write_blank(1, column, None, formats[text])
    page.add_table(
        _HEADER_ROW,
        0,
        # A table needs one row at least.
        _HEADER_ROW + max(row_count, 1),
        len(sheet.columns) - 1,
        {
            "name": _table_name(sheet, number),
            "style": "Table Style Light 1",
            "columns": [
                {"header": header, "header_format": wrapped, **({"format": formats[text]} if text else {})}
                for header, (_, text) in zip(headers, sheet.columns, strict=True)
            ],
            # It looks at every cell of the range for data, even where there is none.
            **({"data": sheet.rows} if sheet.rows else {}),
        },
    )
    return page


def _table_name(sheet: Sheet, number: int) -> str:
    return f"t{number}_{sheet.name.replace(' ', '_').lower()}"


def _distinct(headers: Sequence[str]) -> list[str]:
    """The headers, made different where two are alike but for case: Excel repairs a file in which they are not."""
    seen: set[str] = set()
    found = []
    for header in headers:
        name, number = header[:_LONGEST_HEADER], 2
        while name.lower() in seen:
            name, number = f"{header[:_LONGEST_HEADER]} ({number})", number + 1
        seen.add(name.lower())
        found.append(name)
    return found


def _add_charts(book: Any, sheets: Sequence[Sheet]) -> None:
    counts = next(sheet for sheet in sheets if sheet.name == "Reason counts")
    weeks = next(sheet for sheet in sheets if sheet.name == "Weeks")
    # A week that is cut looks like a fall.
    complete = [place for place, row in enumerate(counts.rows) if row[1] == "yes"]
    if not complete:
        return
    places = complete[0], complete[-1]
    page = book.add_worksheet("Charts")
    stacked = book.add_chart({"type": "column", "subtype": "stacked"})
    for column in range(2, len(counts.columns)):
        stacked.add_series(_series(counts, column, places))
    stacked.set_title({"name": "Calls by reason and complete week"})
    handle = book.add_chart({"type": "line"})
    name = BY_SLUG["handle_time_s"].heading
    column = next(n for n, (header, _) in enumerate(weeks.columns) if header == name)
    handle.add_series(_series(weeks, column, places))
    handle.set_title({"name": "Handle time by complete week, in seconds"})
    for row, chart in ((0, stacked), (22, handle)):
        chart.set_size({"width": 960, "height": 420})
        page.insert_chart(row, 0, chart)


def _series(sheet: Sheet, column: int, places: tuple[int, int]) -> dict[str, Any]:
    first, last = (_HEADER_ROW + 1 + place for place in places)
    return {
        "name": [sheet.name, _HEADER_ROW, column],
        "categories": [sheet.name, first, 0, last, 0],
        "values": [sheet.name, first, column, last, column],
    }


def _readme(connection: sa.Connection, title: str, now: datetime, *, personal_data: bool) -> list[tuple[str, str]]:
    parts = totals(connection).parts
    return [
        ("What this is", f"{title}: calls and trends, written by Callwise"),
        ("Generated at", now.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("Time zone of days and weeks", time_zone(connection)),
        ("Filters", "none: every call that has ended its way, skipped and failed ones included"),
        ("Calls", str(parts["call_count"])),
        ("Of these generated history", f"{parts['sample_count']} (made up for demonstration, no real calls)"),
        ("Of these by demonstration engines", f"{parts['demo_count']} (offline engines: good to try, not to judge by)"),
        ("Personal data", "customers' names and numbers are in it" if personal_data else "left out"),
        ("Rates", "a rate over few calls says little: see the calls beside it"),
    ]


def _fill_readme(
    book: Any, page: Any, lines: Sequence[tuple[str, str]], about: Mapping[str, str], counts: Mapping[str, int]
) -> None:
    bold = book.add_format({"bold": True})
    page.set_column(0, 0, 34)
    page.set_column(1, 1, 12)
    page.set_column(2, 2, _FORMULA_WIDTH)
    page.set_column(3, 3, _DEFINITION_WIDTH)
    page.set_column(4, 4, 28)
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    for row, (name, text) in enumerate(lines):
        page.write_string(row, 0, name, bold)
        page.write_string(row, 1, text)
    row = len(lines) + 1
    for name, text in about.items():
        page.write_string(row, 0, name, bold)
        page.write_string(row, 1, f"{counts[name]} rows. {text}")
        row += 1
    for number, m in enumerate(MEASURES, row + 2):
        # Not every program finds the height of a row by itself.
        lines_of = max(len(m.formula) / _FORMULA_WIDTH, len(m.definition) / _DEFINITION_WIDTH)
        page.set_row(number, _LINE_HEIGHT * ceil(lines_of))
    headers = ("Measure", "Unit", "Formula", "Definition", "Source")
    page.add_table(
        row + 1,
        0,
        row + 1 + len(MEASURES),
        len(headers) - 1,
        {
            "name": "measures",
            "style": "Table Style Light 1",
            "columns": [{"header": header, "format": wrapped} for header in headers],
            "data": [[m.name, m.unit, m.formula, m.definition, m.source] for m in MEASURES],
        },
    )
