"""Many rows into one sheet of a workbook, several times as fast as cell by cell, and in bounded memory.

A workbook is a zip of XML files. The sheet is made with its table and no rows; then its rows are written as text into
the place where they belong. Source: ECMA-376, part 1, 18.3 (worksheets), 22.9.2.19 (escaped characters).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

# Excel cuts a longer text off, or says that the file is broken.
_LONGEST = 32_767
_ROWS_AT_ONCE = 2_000
# Where the number of the row goes: no text can hold it, since XML cannot.
_ROW = "\x01"
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff\r]")
_ESCAPED = re.compile(r"_(x[0-9a-fA-F]{4}_)")
_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
_DAY_S = 86_400
# What occurs again and again is made once.
_REMEMBERED = 10_000


class Cells(Enum):
    """What a column holds; `COUNT` is a whole number on every row, of the others any cell may be empty."""

    COUNT = "count"
    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"
    MOMENT = "moment"
    DAY = "day"


@dataclass(frozen=True)
class Filling:
    """The rows of one sheet: `file` is its name in the zip, `first` the number of the first row, from 1.

    `table` is the name of the table around them, whose header is the row above; `count` says how many rows it gets.
    """

    file: str
    table: str
    first: int
    columns: Sequence[Cells]
    rows: Iterable[Sequence[Any]]
    count: int

    @property
    def last_cell(self) -> str:
        """The last cell of the table; it has one row at least."""
        return f"{_letters(len(self.columns) - 1)}{self.first - 1 + max(self.count, 1)}"


def fill(made: Path, path: Path, filling: Filling) -> int:
    """Copy the workbook `made` to `path` with the rows in it; returns how many.

    The second row lends each column its format: a cell there is styled and empty. The table there is made with one row,
    since xlsxwriter remembers every cell of a table: it grows here. Raises ValueError for another number of rows.
    """
    count = 0
    with ZipFile(made) as source, ZipFile(path, "w", ZIP_DEFLATED, compresslevel=1) as book:
        for member in source.infolist():
            text = source.read(member).decode()
            if member.filename != filling.file:
                is_table = member.filename.startswith("xl/tables/") and f' name="{filling.table}"' in text
                book.writestr(member.filename, _grown(text, filling) if is_table else text, ZIP_DEFLATED)
                continue
            before, end, after = text.partition("</sheetData>")
            before = re.sub('<dimension ref="[^"]*"/>', f'<dimension ref="A1:{filling.last_cell}"/>', before, count=1)
            with book.open(member.filename, "w", force_zip64=True) as sheet:
                sheet.write(before.encode())
                for text, rows in _texts(filling, _styles(before, filling)):
                    sheet.write(text.encode())
                    count += rows
                sheet.write((end + after).encode())
    if count != filling.count:
        raise ValueError(f"{count} rows for a table of {filling.count}")
    return count


def _grown(text: str, filling: Filling) -> str:
    return re.sub(r' ref="[A-Z]+\d+:[A-Z]+\d+"', f' ref="A{filling.first - 1}:{filling.last_cell}"', text)


def _styles(text: str, filling: Filling) -> list[str]:
    """The style of each column, by the row of empty cells, which stands before the header."""
    found = dict(re.findall(r'<c r="([A-Z]+)2" s="(\d+)"/>', text))
    return [f' s="{found[name]}"' if (name := _letters(n)) in found else "" for n in range(len(filling.columns))]


def _texts(filling: Filling, styles: Sequence[str]) -> Iterator[tuple[str, int]]:
    wholes, cells = [], []
    for n, (kind, style) in enumerate(zip(filling.columns, styles, strict=True)):
        opened = f'<c r="{_letters(n)}{_ROW}"{style}'
        wholes.append(f"{opened}><v>%d</v></c>" if kind is Cells.COUNT else "%s")
        cells.append(None if kind is Cells.COUNT else _cell(kind, opened))
    form = f'<row r="{_ROW}">' + "".join(wholes) + "</row>"
    made = [(n, cell) for n, cell in enumerate(cells) if cell is not None]
    lines: list[str] = []
    for number, row in enumerate(filling.rows, filling.first):
        values = list(row)
        for n, cell in made:
            values[n] = cell(values[n])
        lines.append((form % tuple(values)).replace(_ROW, str(number)))
        if len(lines) == _ROWS_AT_ONCE:
            yield "".join(lines), len(lines)
            lines.clear()
    yield "".join(lines), len(lines)


def _cell(kind: Cells, opened: str) -> Callable[[Any], str]:
    """The function from a value to its cell."""
    if kind is Cells.NUMBER:
        return lambda value: "" if value is None else f"{opened}><v>{value!r}</v></c>"
    if kind is Cells.MOMENT:
        return lambda value: "" if value is None else f"{opened}><v>{_serial(value)!r}</v></c>"
    if kind is Cells.DAY:
        return lambda value: "" if value is None else f"{opened}><v>{(value - _EPOCH.date()).days}</v></c>"
    known: dict[Any, str] = {None: ""}

    def text(value: Any) -> str:
        found = known.get(value)
        if found is None:
            shown = ("yes" if value else "no") if kind is Cells.FLAG else str(value)
            found = f'{opened} t="inlineStr"><is><t xml:space="preserve">{xml_text(shown)}</t></is></c>'
            if len(known) < _REMEMBERED:
                known[value] = found
        return found

    return text


def xml_text(text: str) -> str:
    """The text as a cell holds it: never a formula, and nothing that XML cannot hold."""
    text = text[:_LONGEST].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if "_x" in text:
        text = _ESCAPED.sub(r"_x005F_\1", text)
    return _ILLEGAL.sub(lambda found: f"_x{ord(found[0]):04X}_", text) if _ILLEGAL.search(text) else text


def _serial(value: datetime | date) -> float:
    if not isinstance(value, datetime):
        raise TypeError("a moment has a time")
    apart = value - _EPOCH
    return apart.days + (apart.seconds + apart.microseconds / 1e6) / _DAY_S


def _letters(number: int) -> str:
    """A, B, ... Z, AA, ..."""
    text, number = "", number + 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("A") + rest) + text
    return text
