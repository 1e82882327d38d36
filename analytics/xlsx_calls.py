"""The sheet of single calls: what of each call stands in the workbook."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from analytics.export_tables import customer_name
from analytics.star import dim_agent, dim_customer, dim_queue, dim_reason, dim_team, fact_call
from analytics.xlsx_rows import Cells
from crm.tables import UtcDateTime, contact

# A spreadsheet program holds all cells in memory; whoever wants more calls takes the Parquet or CSV files.
MAX_CALL_ROWS = 100_000
_ROWS_AT_ONCE = 2_000

Row = Sequence[Any]


@dataclass(frozen=True)
class Sheet:
    """One sheet with one table: columns as (header, number format), and a line above that says what it is."""

    name: str
    about: str
    columns: Sequence[tuple[str, str]]
    rows: Sequence[Row]


@dataclass(frozen=True)
class CallsSheet:
    """The sheet of single calls: its rows come one after the other, and `count` says how many there will be."""

    sheet: Sheet
    cells: Sequence[Cells]
    count: int
    rows: Iterator[Row]


# Each with what it is divided by: whoever sums them has to come to the figures of the other sheets.
_CALL_PARTS = (
    *("handled_count", "handle_time_call_count", "handle_time_ms", "hold_known_count", "hold_time_ms"),
    *("acw_known_count", "acw_time_ms", "timed_count", "talk_time_agent_ms", "talk_time_customer_ms"),
    *("interruption_count", "non_talk_known_count", "non_talk_time_ms", "transfer_known_count", "transferred_count"),
    *("classified_count", "resolution_known_count", "resolved_count", "sentiment_known_count", "sentiment_tenths"),
    *("sentiment_shift_count", "sentiment_shift_tenths", "repeat_window_count", "repeated_count"),
    *("sales_count", "sale_count", "cost_microusd"),
)


def calls_sheet(connection: sa.Connection, *, personal_data: bool) -> CallsSheet:
    """The sheet of single calls; its rows are read while they are written."""
    fact = fact_call.c
    people: list[tuple[str, sa.ColumnElement[Any]]] = (
        [("Customer", customer_name()), ("Number", contact.c.phone_e164)] if personal_data else []
    )
    named: list[tuple[str, sa.ColumnElement[Any]]] = [
        ("Call", fact.call_id),
        ("Happened at (UTC)", fact.happened_at_utc),
        ("Date key", fact.date_key),
        ("Hour", fact.hour_of_day),
        ("Reason", dim_reason.c.label),
        ("Reason code", dim_reason.c.code),
        ("Queue", dim_queue.c.name),
        ("Agent", dim_agent.c.name),
        ("Team", dim_team.c.name),
        ("Customer key", fact.customer_key),
        *people,
        ("Stage", fact.stage),
        ("Skip reason", fact.skip_reason),
        ("Failed code", fact.failed_code),
        ("Direction", fact.direction),
        ("Outcome", fact.outcome),
        ("Generated", fact.is_sample),
        ("Demo engine", fact.is_demo),
        *((name, fact[name]) for name in _CALL_PARTS),
    ]
    joined: sa.FromClause = fact_call
    for dimension in (dim_reason, dim_queue, dim_agent, dim_team, dim_customer):
        joined = joined.join(
            dimension, fact[next(iter(dimension.primary_key)).name] == next(iter(dimension.primary_key))
        )
    joined = joined.outerjoin(contact, contact.c.id == dim_customer.c.contact_id)
    chosen = sa.select(*(column for _, column in named)).select_from(joined)
    chosen = chosen.order_by(fact.happened_at_utc.desc(), fact.call_key.desc()).limit(MAX_CALL_ROWS)
    there = connection.execute(sa.select(sa.func.count()).select_from(fact_call)).scalar_one()
    formats = {"Happened at (UTC)": "yyyy-mm-dd hh:mm:ss"}
    return CallsSheet(
        Sheet(
            name="Calls",
            about=f"One call a row, newest first, {MAX_CALL_ROWS:,} at most. Columns named like_this are the parts.",
            columns=[(header, formats.get(header, "")) for header, _ in named],
            rows=[],
        ),
        cells=[_cells_of(column.type) for _, column in named],
        count=min(there, MAX_CALL_ROWS),
        rows=iter(connection.execute(chosen, execution_options={"yield_per": _ROWS_AT_ONCE})),
    )


def _cells_of(kind: Any) -> Cells:
    if isinstance(kind, sa.Boolean):
        return Cells.FLAG
    if isinstance(kind, UtcDateTime):
        return Cells.MOMENT
    return Cells.COUNT if isinstance(kind, sa.Integer) else Cells.TEXT
