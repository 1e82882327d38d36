"""The models that are exported: by the schemas of those whose formats they are, and every name in them is there."""

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pytest
import referencing
import yaml
from referencing.jsonschema import DRAFT7

from analytics.exports import export
from analytics.measures import BY_SLUG, Kind
from analytics.sums import Over
from analytics.trends import By, trend
from crm.database import Database
from tests.history_fixture import NOW, ZONE, history

__all__ = ["history"]

SCHEMAS = Path(__file__).parents[1] / "fixtures" / "schemas"
# Referred to by Microsoft's schemas, and not among those that are kept here.
_NOT_KEPT = ("visualConfiguration", "filterConfiguration", "semanticQuery", "formattingObjectDefinitions")


@pytest.fixture(scope="module")
def out(history: Database, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the models, and the Parquet that they are about."""
    folder = tmp_path_factory.mktemp("models") / "it's here"
    export(history, ("parquet", "powerbi", "ossie", "lake"), folder, zone=ZONE, now=NOW)
    return folder


def _kept() -> dict[str, dict[str, Any]]:
    found = {}
    for path in (SCHEMAS / "microsoft").glob("*.json"):
        address = "https://developer.microsoft.com/json-schemas/" + path.stem.replace("__", "/").replace(
            "/schema", "/schema.json"
        )
        found[address] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _retrieve(address: str) -> referencing.Resource[Any]:
    if not any(f"/{name}/" in address for name in _NOT_KEPT):
        raise referencing.exceptions.NoSuchResource(ref=address)
    # So that a reference into it finds something.
    anything: dict[str, Any] = {"definitions": {name: {} for name in ("Selector", "QueryExpressionContainer")}}
    anything["definitions"] |= {name: {} for name in ("Background", "LockAspect")}
    return DRAFT7.create_resource(anything)


def test_every_part_of_the_power_bi_project_is_valid_by_microsofts_schema(out: Path) -> None:
    kept = _kept()
    registry = referencing.Registry(retrieve=_retrieve).with_resources(  # type: ignore[call-arg]
        (address, DRAFT7.create_resource(schema)) for address, schema in kept.items()
    )
    seen = set()
    for path in (out / "powerbi").rglob("*"):
        if path.suffix not in {".json", ".pbip", ".pbir", ".pbism"} and path.name != ".platform":
            continue
        part = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.Draft7Validator(kept[part["$schema"]], registry=registry).validate(part)
        seen.add(part["$schema"])
    assert seen == kept.keys()


def test_a_part_with_a_field_that_microsoft_does_not_know_is_found_out(out: Path) -> None:
    page = json.loads((out / "powerbi/Callwise.Report/definition/pages/overview/page.json").read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(page | {"colour": "red"}, _kept()[page["$schema"]])


def test_the_table_of_dates_is_marked_by_its_date_and_its_names_are_in_order(out: Path) -> None:
    tables = out / "powerbi/Callwise.SemanticModel/definition/tables"
    for path in tables.glob("*.tmdl"):
        assert path.read_text(encoding="utf-8").count("\t\tisKey\n") <= 1
    dates = (tables / "dim_date.tmdl").read_text(encoding="utf-8")
    assert "\tcolumn date\n\t\tdataType: dateTime\n\t\tisKey\n" in dates
    for name, order in (("month_name", "month"), ("weekday_name", "weekday")):
        assert f"\t\tsortByColumn: {order}\n" in dates.split(f"\tcolumn {name}\n")[1].split("\tcolumn ")[0]


def _tmdl(out: Path) -> dict[str, dict[str, set[str]]]:
    """The tables of the model with their columns and measures, read line by line."""
    tables: dict[str, dict[str, set[str]]] = {}
    for path in (out / "powerbi/Callwise.SemanticModel/definition/tables").glob("*.tmdl"):
        text = path.read_text(encoding="utf-8")
        names = {
            kind: {
                found.strip("'").replace("''", "'")
                for found in re.findall(rf"^\t{kind} ('(?:[^']|'')+'|\w+)", text, re.MULTILINE)
            }
            for kind in ("column", "measure")
        }
        tables[path.stem] = names
        assert not [line for line in text.splitlines() if line.startswith(" ")]
    return tables


def test_what_the_report_and_the_relationships_name_is_in_the_model(out: Path) -> None:
    tables = _tmdl(out)
    assert tables["fact_call"]["measure"] == {measure.name for measure in BY_SLUG.values()}
    model = out / "powerbi/Callwise.SemanticModel/definition"
    ends = re.findall(r"(?:from|to)Column: (\w+)\.(\w+)", (model / "relationships.tmdl").read_text(encoding="utf-8"))
    assert len(ends) >= 2 * 7
    assert all(column in tables[table]["column"] for table, column in ends)
    for path in (out / "powerbi/Callwise.Report").rglob("visual.json"):
        roles = json.loads(path.read_text(encoding="utf-8"))["visual"]["query"]["queryState"]
        for field in (one["field"] for role in roles.values() for one in role["projections"]):
            ((kind, of),) = field.items()
            assert of["Property"] in tables[of["Expression"]["SourceRef"]["Entity"]][kind.lower()]
    refs = re.findall(r"^ref table (\w+)$", (model / "model.tmdl").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(refs) == tables.keys()


def test_dax_divides_the_sums_that_the_measure_names(out: Path) -> None:
    tables = _tmdl(out)
    text = (out / "powerbi/Callwise.SemanticModel/definition/tables/fact_call.tmdl").read_text(encoding="utf-8")
    lines = dict(re.findall(r"^\tmeasure (?:'((?:[^']|'')+)'|\w+) = (.+)$", text, re.MULTILINE))
    assert set(re.findall(r"fact_call\[(\w+)\]", text)) <= tables["fact_call"]["column"]
    assert (
        lines["Handle time"]
        == "DIVIDE(DIVIDE(SUM(fact_call[handle_time_ms]), SUM(fact_call[handle_time_call_count])), 1000)"
    )


def test_between_two_tables_one_way_is_active_at_most(out: Path) -> None:
    text = (out / "powerbi/Callwise.SemanticModel/definition/relationships.tmdl").read_text(encoding="utf-8")
    active: dict[str, list[str]] = {}
    for block in text.split("relationship ")[1:]:
        ((start,), (end,)) = (re.findall(rf"{way}Column: (\w+)\.", block) for way in ("from", "to"))
        if "isActive: false" not in block:
            active.setdefault(start, []).append(end)

    def ways(start: str, end: str) -> int:
        return sum(1 if one == end else ways(one, end) for one in active.get(start, ()))

    assert all(ways(start, end) <= 1 for start in _tmdl(out) for end in _tmdl(out))


def test_the_ossie_model_is_valid_and_its_metrics_give_the_figures(history: Database, out: Path) -> None:
    model = yaml.safe_load((out / "callwise.ossie.yaml").read_text(encoding="utf-8"))
    schema = json.loads((SCHEMAS / "ossie-schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(model)
    fields = {one["name"]: {field["name"] for field in one["fields"]} for one in model["datasets"]}
    for relation in model["relationships"]:
        assert set(relation["from_columns"]) <= fields[relation["from"]]
        assert set(relation["to_columns"]) <= fields[relation["to"]]
    with history.read() as connection:
        rows = trend(connection, by=By.MONTH, today=NOW.date()).rows
    wanted = {row.period: row.figures for row in rows}
    database = _duckdb(out)
    for metric in model["metrics"]:
        if BY_SLUG[metric["name"]].kind is Kind.SHARE:
            continue
        sql = next(one["expression"] for one in metric["expression"]["dialects"] if one["dialect"] == "ANSI_SQL")
        found = dict(database.execute(f"SELECT month, {sql} FROM bi.fact_call GROUP BY month").fetchall())
        assert found == {period: figures[metric["name"]].value for period, figures in wanted.items()}


def _duckdb(out: Path) -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    database.execute((out / "lake" / "duckdb.sql").read_text(encoding="utf-8"))
    return database


def test_duckdb_sees_the_star_and_the_measures_of_each_month_through_its_views(history: Database, out: Path) -> None:
    database = _duckdb(out)
    with history.read() as connection:
        months = trend(connection, by=By.MONTH, today=NOW.date()).rows
        reasons = trend(connection, by=By.MONTH, over=Over.REASON, today=NOW.date()).rows
    for slug, measure in BY_SLUG.items():
        if measure.kind is not Kind.SHARE:
            found = dict(database.execute(f"SELECT month, {slug} FROM bi.month").fetchall())
            assert found == {row.period: row.figures[slug].value for row in months}
    joined = """SELECT month, code, sum(call_count) FROM bi.fact_call JOIN bi.dim_reason USING (reason_key)
                GROUP BY ALL"""
    assert {(month, code): calls for month, code, calls in database.execute(joined).fetchall()} == {
        (row.period, row.code): row.calls for row in reasons
    }


@pytest.mark.parametrize("engine", ["spark", "trino", "athena"])
def test_the_statements_for_other_engines_name_every_column_and_its_folder(out: Path, engine: str) -> None:
    text = (out / "lake" / f"{engine}.sql").read_text(encoding="utf-8")
    database = _duckdb(out)
    for (table,) in database.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = 'bi'").fetchall():
        if table == "month":
            continue
        statement = re.search(rf"CREATE [A-Z ]+ (?:hive\.)?bi\.{table} \((.+?);\n", text, re.DOTALL)
        assert statement, table
        for (column,) in database.execute(
            f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{table}'"
        ).fetchall():
            assert re.search(rf"\b{column}\b", statement[1]), (table, column)
        assert f"it''s here/parquet/{table}" in statement[1]
