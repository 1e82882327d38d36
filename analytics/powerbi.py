"""Power BI, as text: a connection file (`.pbids`) and a project (`.pbip`) with a semantic model (TMDL) and a report.

The parts of the report are held against Microsoft's JSON schemas in the tests. Nobody has opened them in Power BI
Desktop for this release: README.txt in the folder says so.
Source: learn.microsoft.com, "Power BI Desktop projects", "Tabular Model Definition Language", "Data sources .PBIDS".
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from analytics.export_pieces import Context, Entry, Piece
from analytics.powerbi_model import Source, model_files
from analytics.powerbi_report import report_files

_SCHEMAS = "https://developer.microsoft.com/json-schemas/fabric"
_NAME = "Callwise"

_README = """\
Callwise for Power BI
=====================

Callwise.pbids   opens a new report in Power BI Desktop, connected to {where}.
Callwise.pbip    opens the project: a semantic model with every table, relationship and measure, and a first report.

The parts of the report are valid by Microsoft's JSON schemas. They have not been opened in Power BI Desktop by those
who made this version of Callwise: what does not open is a fault to report.

{how}
Days, weeks and hours are of {zone}; moments are UTC.

For incremental refresh set a policy on fact_call in Power BI Desktop: the parameters RangeStart and RangeEnd are there,
and the filter by date_key goes into the query; modified_at_utc tells changes.
"""


def pieces(context: Context) -> Iterator[Piece]:
    """The files of the project."""
    for path, text in files(context).items():
        yield Piece(f"powerbi/{path}", "powerbi", "", partial(_write, text))


def files(context: Context) -> dict[str, str]:
    """The text of every file by its path in the project's folder."""
    source = Source(context.server, context.database_name, context.place)
    # Power BI sums by itself, and has the measures themselves: neither the sums nor their descriptions are needed.
    tables = [table for table in context.tables if table.select is not None and not table.name.startswith("agg_")]
    found: dict[str, Any] = {
        f"{_NAME}.pbids": _connection(source),
        f"{_NAME}.pbip": {
            "$schema": f"{_SCHEMAS}/pbip/pbipProperties/1.0.0/schema.json",
            "version": "1.0",
            "artifacts": [{"report": {"path": f"{_NAME}.Report"}}],
            "settings": {"enableAutoRecovery": True},
        },
        f"{_NAME}.SemanticModel/.platform": _platform("SemanticModel"),
        f"{_NAME}.SemanticModel/definition.pbism": {
            "$schema": f"{_SCHEMAS}/item/semanticModel/definitionProperties/1.0.0/schema.json",
            "version": "4.2",
            "settings": {},
        },
        f"{_NAME}.Report/.platform": _platform("Report"),
        f"{_NAME}.Report/definition.pbir": {
            "$schema": f"{_SCHEMAS}/item/report/definitionProperties/2.0.0/schema.json",
            "version": "4.0",
            "datasetReference": {"byPath": {"path": f"../{_NAME}.SemanticModel"}},
        },
    }
    found |= {f"{_NAME}.SemanticModel/definition/{path}": text for path, text in model_files(tables, source).items()}
    found |= {f"{_NAME}.Report/definition/{path}": part for path, part in report_files(_SCHEMAS).items()}
    found["README.txt"] = _README.format(where=source.described, how=source.how, zone=context.zone)
    return {path: part if isinstance(part, str) else json.dumps(part, indent=2) + "\n" for path, part in found.items()}


def _connection(source: Source) -> dict[str, Any]:
    if source.is_postgresql:
        details = {"protocol": "postgresql", "address": {"server": source.server, "database": source.database}}
    else:
        details = {"protocol": "folder", "address": {"path": source.folder}}
    return {"version": "0.1", "connections": [{"details": details, "options": {}, "mode": "Import"}]}


def _platform(kind: str) -> dict[str, Any]:
    return {
        "$schema": f"{_SCHEMAS}/gitIntegration/platformProperties/2.0.0/schema.json",
        "metadata": {"type": kind, "displayName": _NAME},
        "config": {"version": "2.0", "logicalId": str(uuid5(NAMESPACE_URL, f"callwise:{kind}"))},
    }


def _write(text: str, _context: Context, path: Path, _done: Mapping[str, Entry]) -> int:
    path.write_text(text, encoding="utf-8")
    return 0
