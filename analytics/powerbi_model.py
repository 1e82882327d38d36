"""The semantic model in TMDL: tables, columns, relationships, and every measure as DAX.

Source: learn.microsoft.com, "Tabular Model Definition Language (TMDL)". Indentation is by tabs; a name with anything
but letters, digits and underscores stands in single quotes, a quote in it doubled.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from analytics.export_tables import ColumnType, ExportColumn, ExportTable
from analytics.measures import MEASURES, Kind, Measure
from analytics.parts import PART_NAMES

_TYPES = {
    ColumnType.INTEGER: "int64",
    ColumnType.TEXT: "string",
    ColumnType.BOOLEAN: "boolean",
    ColumnType.DATE: "dateTime",
    ColumnType.DATETIME: "dateTime",
}
_FORMATS = {"share": "0.0%", "s": "0.0", "USD": "0.0000", "per call": "0.00", "-5..+5": "0.0", "-10..+10": "0.0"}
_FACT = "fact_call"
# Between two tables one way only may be active: the team is the call's own, a reason's day and call are its call's.
_INACTIVE = {("dim_agent", "team_key"), ("fact_call_reason", "call_key")}
# April would be the first month.
_SORTED_BY = {"month_name": "month", "weekday_name": "weekday"}
_BY_DAY = {_FACT, "fact_call_reason"}


@dataclass(frozen=True)
class Source:
    """Where the model's rows come from: PostgreSQL where `server` is given, else the Parquet files below `folder`."""

    server: str
    database: str
    folder: str

    @property
    def is_postgresql(self) -> bool:
        """Whether Power BI asks the database."""
        return bool(self.server)

    @property
    def described(self) -> str:
        """Where the rows come from, for people."""
        return f"the database {self.database} at {self.server}" if self.is_postgresql else f"the folder {self.folder}"

    @property
    def how(self) -> str:
        """What to set before the first refresh."""
        if self.is_postgresql:
            return (
                "Server and Database are parameters of the model. Give Power BI a role that may read the schema bi"
                " and nothing else.\n"
            )
        return (
            "The model reads the Parquet files: write them with `callwise export parquet`, and set the parameter Folder"
            " to where they lie for Power BI. Its Parquet connector imports, and has no S3 source.\n"
        )


def model_files(tables: Sequence[ExportTable], source: Source) -> dict[str, str]:
    """The files of the model's definition by path."""
    names = "\n".join(f"ref table {name_of(table.name)}" for table in tables)
    return {
        "database.tmdl": "database\n\tcompatibilityLevel: 1567\n",
        "model.tmdl": "model Model\n\tculture: en-US\n\tdefaultPowerBIDataSourceVersion: powerBI_V3\n"
        f"\tdiscourageImplicitMeasures\n\tsourceQueryCulture: en-US\n\n{names}\n",
        "expressions.tmdl": _expressions(source),
        "relationships.tmdl": "\n".join(_relationships(tables)),
        **{f"tables/{table.name}.tmdl": _table(table, source) for table in tables},
    }


def dax(measure: Measure) -> str:
    """The measure as DAX over fact_call; a share is of all reasons under the other filters."""
    above = f"SUM({_FACT}[{measure.numerator}])"
    if measure.denominator is None:
        return above
    below = f"SUM({_FACT}[{measure.denominator}])"
    if measure.kind is Kind.SHARE:
        below = f"CALCULATE({below}, REMOVEFILTERS(dim_reason))"
    text = f"DIVIDE({above}, {below})"
    return text if measure.scale == 1 else f"DIVIDE({text}, {measure.scale})"


def name_of(name: str) -> str:
    """A name as TMDL wants it."""
    return name if re.fullmatch(r"\w+", name) else "'" + name.replace("'", "''") + "'"


def _expressions(source: Source) -> str:
    texts = (
        {"Server": source.server, "Database": source.database} if source.is_postgresql else {"Folder": source.folder}
    )
    found = [
        f"expression {name} = {_m_text(text)} meta"
        ' [IsParameterQuery=true, Type="Text", IsParameterQueryRequired=true]\n'
        f"\tlineageTag: {_tag(name)}\n"
        for name, text in texts.items()
    ]
    # What Power BI's incremental refresh looks for by these very names; until a policy is set, everything is between.
    found += [
        f"expression {name} = #datetime({year}, 1, 1, 0, 0, 0) meta"
        ' [IsParameterQuery=true, Type="DateTime", IsParameterQueryRequired=true]\n'
        f"\tlineageTag: {_tag(name)}\n"
        for name, year in (("RangeStart", 2000), ("RangeEnd", 2100))
    ]
    return "\n".join(found)


def _relationships(tables: Sequence[ExportTable]) -> Iterator[str]:
    names = {table.name for table in tables}
    for table in tables:
        for column, (to_table, to_column) in table.foreign_keys.items():
            if to_table not in names:
                continue
            lines = [f"relationship {_tag(f'{table.name}.{column}')}"]
            if (table.name, column) in _INACTIVE:
                lines.append("\tisActive: false")
            lines += [f"\tfromColumn: {table.name}.{column}", f"\ttoColumn: {to_table}.{to_column}", ""]
            yield "\n".join(lines)


def _table(table: ExportTable, source: Source) -> str:
    lines = [f"table {name_of(table.name)}", f"\tlineageTag: {_tag(table.name)}"]
    if table.name == "dim_date":
        lines.append("\tdataCategory: Time")
    lines.append("")
    if table.name == _FACT:
        for measure in MEASURES:
            lines += _measure(measure)
    for column in _columns(table, source):
        lines += _column(table, column)
    lines += [f"\tpartition {name_of(table.name)} = m", "\t\tmode: import", "\t\tsource =", *_query(table, source), ""]
    return "\n".join(lines)


def _measure(measure: Measure) -> list[str]:
    form = _FORMATS.get(measure.unit, "#,0")
    return [
        *_described(f"{measure.definition} ({measure.source})"),
        f"\tmeasure {name_of(measure.name)} = {dax(measure)}",
        f"\t\tformatString: {form}",
        f"\t\tlineageTag: {_tag(f'measure.{measure.slug}')}",
        "",
    ]


def _column(table: ExportTable, column: ExportColumn) -> list[str]:
    is_key = column.name.endswith("_key") and column.type is ColumnType.INTEGER
    is_hidden = is_key or column.name in PART_NAMES
    lines = [
        *_described(column.description),
        f"\tcolumn {name_of(column.name)}",
        f"\t\tdataType: {_TYPES[column.type]}",
    ]
    # A table of dates is marked by the date itself; its relationships need no mark.
    marked = ("date",) if table.name == "dim_date" else table.primary_key
    if marked == (column.name,):
        lines.append("\t\tisKey")
    if is_hidden:
        lines.append("\t\tisHidden")
    if column.type is ColumnType.DATE:
        lines.append("\t\tformatString: yyyy-mm-dd")
    if table.name == "dim_date" and column.name in _SORTED_BY:
        lines.append(f"\t\tsortByColumn: {_SORTED_BY[column.name]}")
    lines += [
        f"\t\tlineageTag: {_tag(f'{table.name}.{column.name}')}",
        "\t\tsummarizeBy: none",
        f"\t\tsourceColumn: {column.name}",
        "",
    ]
    return lines


def _query(table: ExportTable, source: Source) -> list[str]:
    """The M of the table's rows, one step a line."""
    if source.is_postgresql:
        steps = [
            ("Source", "PostgreSQL.Database(Server, Database)"),
            ("Item", f'Source{{[Schema="bi", Item="{table.name}"]}}[Data]'),
            ("Rows", f"Table.SelectColumns(Item, {{{', '.join(_m_text(c.name) for c in _columns(table, source))}}})"),
        ]
    else:
        steps = [
            ("Files", f'Folder.Files(Folder & "/parquet/{table.name}")'),
            ("Parts", 'Table.SelectRows(Files, each Text.EndsWith([Name], ".parquet"))'),
            ("Rows", "Table.Combine(List.Transform(Parts[Content], Parquet.Document))"),
        ]
    if table.name in _BY_DAY:
        key = "(at as datetime) => Date.Year(at) * 10000 + Date.Month(at) * 100 + Date.Day(at)"
        steps += [
            ("Key", key),
            (
                "InRange",
                f"Table.SelectRows({steps[-1][0]}, each [date_key] >= Key(RangeStart) and [date_key] < Key(RangeEnd))",
            ),
        ]
    body = [f"\t\t\t\t    {name} = {text}{',' if n < len(steps) - 1 else ''}" for n, (name, text) in enumerate(steps)]
    return ["\t\t\t\tlet", *body, "\t\t\t\tin", f"\t\t\t\t    {steps[-1][0]}"]


def _columns(table: ExportTable, source: Source) -> list[ExportColumn]:
    """The columns that the source has: what people are called is in the files (if so set), and not in the schema bi."""
    stored: Any = table.select.selected_columns if table.select is not None else {}
    return [
        column
        for column in table.columns
        if not source.is_postgresql or getattr(stored.get(column.name), "table", None) is not None
    ]


def _m_text(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _described(text: str) -> list[str]:
    return [f"\t/// {line}" for line in text.splitlines()]


def _tag(name: str) -> str:
    """An id that stays the same from export to export, so that a project under version control shows real changes."""
    return str(uuid5(NAMESPACE_URL, f"callwise:powerbi:{name}"))
