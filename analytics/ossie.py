"""The semantic model for Apache Ossie (formerly Open Semantic Interchange): one YAML that other tools read.

Source: apache/ossie, core-spec, version 0.2.0.dev0; the tests hold the file against its JSON schema.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from analytics.export_pieces import Context, Entry, Piece
from analytics.export_tables import ColumnType, ExportColumn, ExportTable
from analytics.measures import MEASURES, Kind, Measure
from analytics.powerbi_model import dax

VERSION = "0.2.0.dev0"
# libyaml's, ten times as fast, where the wheel has it.
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_TYPES = {
    ColumnType.INTEGER: "Integer",
    ColumnType.TEXT: "String",
    ColumnType.BOOLEAN: "Boolean",
    ColumnType.DATE: "Date",
    ColumnType.DATETIME: "DateTimeTz",
}


def pieces(_context: Context) -> Iterator[Piece]:
    """The model."""
    yield Piece("callwise.ossie.yaml", "ossie", "", _write)


def _write(context: Context, path: Path, _done: Mapping[str, Entry]) -> int:
    document = model(context)
    text = yaml.dump(document, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=120)
    path.write_text(text, encoding="utf-8")
    return len(document["datasets"])


def model(context: Context) -> dict[str, Any]:
    """The model's document."""
    tables = [table for table in context.tables if table.select is not None]
    return {
        "version": VERSION,
        "name": "callwise",
        "description": f"{context.title}: calls, their reasons, outcomes and costs. Days and hours are of"
        f" {context.zone}.",
        "ai_context": {
            "instructions": "Divide sums, do not average averages. fact_call has one row for each call; a row of agg_*"
            " is a sum of such rows, so that the same metrics hold for both. -1 is the member for what is not known."
        },
        "datasets": [_dataset(table) for table in tables],
        "relationships": [
            {
                "name": f"{table.name}_{column}",
                "from": table.name,
                "to": to_table,
                "from_columns": [column],
                "to_columns": [to_column],
            }
            for table in tables
            for column, (to_table, to_column) in table.foreign_keys.items()
        ],
        "metrics": [_metric(measure) for measure in MEASURES],
    }


def _dataset(table: ExportTable) -> dict[str, Any]:
    return {
        "name": table.name,
        "source": f"bi.{table.name}",
        "primary_key": list(table.primary_key),
        "fields": [_field(column) for column in table.columns],
    }


def _field(column: ExportColumn) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": column.name,
        "expression": {"dialects": [{"dialect": "ANSI_SQL", "expression": column.name}]},
        "description": column.description,
        "datatype": _TYPES[column.type],
    }
    if column.name == "modified_at_utc":
        found["dimension"] = {"is_time": False}
    elif column.type in {ColumnType.DATE, ColumnType.DATETIME}:
        found["dimension"] = {"is_time": True}
    return found


def _metric(measure: Measure) -> dict[str, Any]:
    return {
        "name": measure.slug,
        "expression": {
            "dialects": [
                {"dialect": "ANSI_SQL", "expression": _sql(measure)},
                {"dialect": "DAX", "expression": dax(measure)},
            ]
        },
        "description": f"{measure.name} [{measure.unit}]: {measure.definition} ({measure.source})",
        "datatype": "Integer" if measure.denominator is None else "Float",
    }


def _sql(measure: Measure) -> str:
    above = f"SUM(fact_call.{measure.numerator})"
    if measure.denominator is None:
        return above
    below = f"SUM(fact_call.{measure.denominator})"
    if measure.kind is Kind.SHARE:
        # Of all that the query shows: a metric does not know by what it is grouped.
        below = f"SUM({below}) OVER ()"
    text = f"CAST({above} AS DOUBLE PRECISION) / NULLIF({below}, 0)"
    return text if measure.scale == 1 else f"{text} / {measure.scale}"
