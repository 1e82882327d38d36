"""What leaves: the tables of the star schema as an outside reader sees them, one description for every file format."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa

from analytics import star
from analytics.measures import MEASURES
from analytics.parts import PARTS
from crm.tables import UtcDateTime, contact

# A stretch of keys of a table that is not cut by the day.
CHUNK_KEYS = 250_000

Rows = Sequence[Sequence[Any]]


class ColumnType(StrEnum):
    """What a column holds, by the names that Frictionless has for it."""

    INTEGER = "integer"
    TEXT = "string"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"


@dataclass(frozen=True)
class ExportColumn:
    """One column; `is_required` says that it is never empty."""

    name: str
    type: ColumnType
    description: str
    is_required: bool


class Bits(NamedTuple):
    """A column whose value plus `bias` is no negative number of more than `width` bits, on nearly every row.

    `is_whole`: these are all the bits that the column has, its sign among them.
    """

    name: str
    width: int
    bias: int
    is_whole: bool = False


@dataclass(frozen=True)
class ExportTable:
    """One table: its columns, its keys (`foreign_keys`: column to table and column there), where its rows come from.

    `day` is the column by which the table is cut into days and months, `chunk` the key by which it is cut into
    stretches of CHUNK_KEYS; at most one of them is given. `bits` tells of columns that mostly hold little. `keys` are
    the first and the last day or chunk key of what is meant; None: all rows. `before_day` is the column that stands
    before the day in the index by which a day's rows are found; "": the day is the first, or the table is small.
    """

    name: str
    columns: tuple[ExportColumn, ...]
    primary_key: tuple[str, ...]
    foreign_keys: dict[str, tuple[str, str]]
    select: sa.Select[Any] | None
    fixed_rows: tuple[tuple[Any, ...], ...] = ()
    day: str = ""
    chunk: str = ""
    before_day: str = ""
    bits: tuple[Bits, ...] = ()
    keys: tuple[int, int] | None = None

    @property
    def order(self) -> tuple[str, ...]:
        """The columns by which the rows of a file are in order, as far as they are."""
        return (*((self.day,) if self.day else ()), *(name for name in self.primary_key if name != self.day))

    def part(self, low: int, high: int) -> "ExportTable":
        """The rows with `low` <= day or chunk key <= `high`, both keys as they stand in the table."""
        if not (self.day or self.chunk):
            raise ValueError(f"{self.name} is not cut into parts")
        return replace(self, keys=(low, high))


@cache
def export_tables(*, personal_data: bool) -> tuple[ExportTable, ...]:
    """Every table that leaves, those first that others point to.

    Customers' names and numbers are filled in with `personal_data` only; their columns are always there.
    """
    return (*(_table(table, personal_data=personal_data) for table in star.EXPORTED), _measures())


def _table(table: sa.Table, *, personal_data: bool) -> ExportTable:
    columns = tuple(
        ExportColumn(str(column.name), _type_of(column), column.info["description"], not column.nullable)
        for column in table.columns
    )
    keys = list(table.primary_key)
    select = sa.select(*table.columns)
    if table is star.dim_customer:
        columns += _PERSONAL
        select = _customers(select, personal_data=personal_data)
    return ExportTable(
        name=str(table.name),
        columns=columns,
        primary_key=tuple(str(key.name) for key in keys),
        foreign_keys={
            str(key.parent.name): (str(key.column.table.name), str(key.column.name))
            for key in sorted(table.foreign_keys, key=lambda key: str(key.parent.name))
        },
        select=select,
        day=next((name for name in _DAYS if name in table.c and table.name.startswith(("fact_", "agg_"))), ""),
        chunk="customer_key" if table is star.dim_customer else "",
        before_day="reason_key" if table is star.fact_call_reason else "",
        bits=_BITS if table is star.fact_call else (),
    )


_DAYS = ("date_key", "starts_on_key")
# On the row of one call, a part that counts calls says yes or no, a mood is from -50 to +50 and a shift twice that, and
# few calls take 4.6 hours or cost 16 dollars.
_OF_UNIT = {"calls": (1, 0), "ms": (24, 0), "microusd": (24, 0), "tenths": (8, 128), "events": (16, 0)}
_BITS = (
    *(Bits(part.name, *_OF_UNIT[part.unit]) for part in PARTS),
    *(Bits(name, 1, 0) for name in ("is_sample", "is_demo", "is_window_complete")),
    # To take a number of 32 bits as it is costs less than to see whether half of them would do.
    *(Bits(f"{name}_key", 32, 0, is_whole=True) for name in ("reason", "queue", "agent", "team", "customer", "date")),
    Bits("hour_of_day", 5, 0),
)

_PERSONAL = (
    ExportColumn("customer_name", ColumnType.TEXT, "Empty unless personal data was asked for.", is_required=False),
    ExportColumn("phone_e164", ColumnType.TEXT, "Empty unless personal data was asked for.", is_required=False),
)


def customer_name() -> sa.ColumnElement[str]:
    """A contact's whole name."""
    blank = sa.literal("", sa.Text)
    first, last = sa.func.coalesce(contact.c.first_name, blank), sa.func.coalesce(contact.c.last_name, blank)
    return sa.func.trim(first.concat(sa.literal(" ", sa.Text)).concat(last))


def _customers(select: sa.Select[Any], *, personal_data: bool) -> sa.Select[Any]:
    if not personal_data:
        return select.add_columns(sa.null().label("customer_name"), sa.null().label("phone_e164"))
    joined = star.dim_customer.outerjoin(contact, contact.c.id == star.dim_customer.c.contact_id)
    return select.add_columns(customer_name().label("customer_name"), contact.c.phone_e164).select_from(joined)


def _type_of(column: sa.Column[Any]) -> ColumnType:
    for kind, found in _TYPES:
        if isinstance(column.type, kind):
            return found
    raise TypeError(f"{column}: no export type for {column.type!r}")


_TYPES: tuple[tuple[type[Any], ColumnType], ...] = (
    (sa.Boolean, ColumnType.BOOLEAN),
    (sa.Integer, ColumnType.INTEGER),
    (UtcDateTime, ColumnType.DATETIME),
    (sa.Date, ColumnType.DATE),
    (sa.Uuid, ColumnType.TEXT),
    (sa.Text, ColumnType.TEXT),
)


def _measures() -> ExportTable:
    """The measures themselves, so that whoever opens the files knows what the parts are for."""
    described = (
        ("slug", "The measure's short name."),
        ("name", "The measure's name."),
        ("unit", "What it is in."),
        ("formula", "How it is made of the parts, over any set of rows of fact_call or agg_*."),
        ("sql", "The same as SQL."),
        ("definition", "What it means."),
        ("source", "Where the definition comes from."),
    )
    return ExportTable(
        name="measure",
        columns=tuple(ExportColumn(name, ColumnType.TEXT, text, is_required=True) for name, text in described),
        primary_key=("slug",),
        foreign_keys={},
        select=None,
        fixed_rows=tuple((m.slug, m.name, m.unit, m.formula, m.sql(), m.definition, m.source) for m in MEASURES),
    )
