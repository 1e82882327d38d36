"""Rows that are written as text into a workbook: what goes in comes out, whatever the texts hold."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics.xlsx_rows import Cells, Filling, fill, xml_text

KINDS = (Cells.COUNT, Cells.NUMBER, Cells.TEXT, Cells.FLAG, Cells.MOMENT, Cells.DAY)
NOON = datetime(2026, 3, 10, 12, 0, 1, tzinfo=UTC)


def written(folder: Path, rows: list[tuple[Any, ...]], kinds: tuple[Cells, ...] = KINDS) -> list[list[Any]]:
    """The rows as openpyxl reads them."""
    made = folder / "made.xlsx"
    with xlsxwriter.Workbook(str(made)) as book:
        page = book.add_worksheet()
        page.write_string(0, 0, "about")
        page.write_blank(1, 4, None, book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}))
        page.write_blank(1, 5, None, book.add_format({"num_format": "yyyy-mm-dd"}))
    filling = Filling("xl/worksheets/sheet1.xml", 3, kinds, rows)
    assert fill(made, folder / "filled.xlsx", filling) == len(rows)
    page = openpyxl.load_workbook(folder / "filled.xlsx").active
    assert not [cell for row in page.iter_rows() for cell in row if cell.data_type == "f" or cell.hyperlink]
    return [[cell.value for cell in row] for row in page.iter_rows(min_row=3, max_col=len(kinds))]


def test_each_kind_of_cell_comes_out_as_it_went_in(tmp_path: Path) -> None:
    rows = [(1, 0.5, "Delivery", True, NOON, date(2026, 3, 10)), (-2, None, None, None, None, None)]
    found = written(tmp_path, rows)
    assert found == [
        [1, 0.5, "Delivery", "yes", datetime(2026, 3, 10, 12, 0, 1), datetime(2026, 3, 10)],  # noqa: DTZ001 - Excel's
        [-2, None, None, None, None, None],
    ]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=20))
def test_any_text_comes_out_as_it_went_in(tmp_path: Path, texts: list[str]) -> None:
    found = written(tmp_path, [(text,) for text in texts], (Cells.TEXT,))
    # The reader leaves the escapes of what XML cannot hold, and takes two of the line ends for one.
    assert [[_unescaped(row[0] or "")] for row in found] == [[text] for text in texts]


def _unescaped(text: str) -> str:
    return openpyxl.utils.escape.unescape(text)


def test_more_rows_than_are_written_at_once_keep_their_order(tmp_path: Path) -> None:
    rows = [(number, f"text {number}") for number in range(4_500)]
    assert written(tmp_path, rows, (Cells.COUNT, Cells.TEXT)) == [list(row) for row in rows]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("<a & b>", "&lt;a &amp; b&gt;"), ("_x0041_", "_x005F_x0041_"), ("\x02", "_x0002_"), ("=1+1", "=1+1")],
)
def test_what_xml_or_excel_reads_otherwise_is_escaped(text: str, wanted: str) -> None:
    assert xml_text(text) == wanted


def test_a_text_is_no_longer_than_a_cell_can_be() -> None:
    assert len(xml_text("a" * 40_000)) == 32_767
