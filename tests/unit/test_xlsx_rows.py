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
        page.add_table(2, 0, 3, len(kinds) - 1, {"name": "t", "columns": [{"header": kind.value} for kind in kinds]})
    filling = Filling("xl/worksheets/sheet1.xml", "t", 4, kinds, rows, len(rows))
    assert fill(made, folder / "filled.xlsx", filling) == len(rows)
    page = openpyxl.load_workbook(folder / "filled.xlsx").active
    corner = f"{'ABCDEF'[len(kinds) - 1]}{3 + max(len(rows), 1)}"
    assert (page.tables["t"].ref, page.tables["t"].autoFilter.ref) == (f"A3:{corner}", f"A3:{corner}")
    assert not [cell for row in page.iter_rows() for cell in row if cell.data_type == "f" or cell.hyperlink]
    return [[cell.value for cell in row] for row in page.iter_rows(min_row=4, max_col=len(kinds))]


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


def test_a_table_without_rows_has_an_empty_one(tmp_path: Path) -> None:
    assert written(tmp_path, []) in ([], [[None] * len(KINDS)])


def test_another_number_of_rows_than_the_table_has_is_an_error(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(str(tmp_path / "made.xlsx")) as book:
        book.add_worksheet().add_table(0, 0, 1, 0, {"name": "t"})
    filling = Filling("xl/worksheets/sheet1.xml", "t", 2, (Cells.COUNT,), [(1,), (2,)], 3)
    with pytest.raises(ValueError, match="2 rows for a table of 3"):
        fill(tmp_path / "made.xlsx", tmp_path / "filled.xlsx", filling)


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
