"""The first report of the Power BI project (PBIR): figures, reasons by month, handle time by week, the reasons."""

from typing import Any

from analytics.measures import BY_SLUG

_REPORT = "item/report/definition"
_PAGE = "overview"
_WIDTH, _HEIGHT = 1280, 720


def report_files(schemas: str) -> dict[str, Any]:
    """The files of the report's definition by path; `schemas` is where Microsoft keeps their schemas."""

    def schema(name: str, version: str) -> str:
        return f"{schemas}/{_REPORT}/{name}/{version}/schema.json"

    visuals = {
        "calls": _visual("card", (20, 20, 300, 120), {"Values": [_measure("calls")]}),
        "handle_time": _visual("card", (340, 20, 300, 120), {"Values": [_measure("handle_time_s")]}),
        "resolved": _visual("card", (660, 20, 300, 120), {"Values": [_measure("resolved_rate")]}),
        "repeats": _visual("card", (980, 20, 280, 120), {"Values": [_measure("repeat_rate")]}),
        "reasons_by_month": _visual(
            "columnChart",
            (20, 160, 620, 540),
            {
                "Category": [_column("dim_date", "month_key")],
                "Series": [_column("dim_reason", "label")],
                "Y": [_measure("classified")],
            },
        ),
        "handle_time_by_week": _visual(
            "lineChart",
            (660, 160, 600, 260),
            {"Category": [_column("dim_date", "iso_week_key")], "Y": [_measure("handle_time_s")]},
        ),
        "reasons": _visual(
            "tableEx",
            (660, 440, 600, 260),
            {
                "Values": [
                    _column("dim_reason", "label"),
                    *(_measure(slug) for slug in ("classified", "reason_share", "handle_time_s", "repeat_rate")),
                ]
            },
        ),
    }
    return {
        "version.json": {"$schema": schema("versionMetadata", "1.0.0"), "version": "2.0.0"},
        "report.json": {"$schema": schema("report", "3.2.0"), "themeCollection": {}},
        "pages/pages.json": {
            "$schema": schema("pagesMetadata", "1.0.0"),
            "pageOrder": [_PAGE],
            "activePageName": _PAGE,
        },
        f"pages/{_PAGE}/page.json": {
            "$schema": schema("page", "2.0.0"),
            "name": _PAGE,
            "displayName": "Overview",
            "displayOption": "FitToPage",
            "width": _WIDTH,
            "height": _HEIGHT,
        },
        **{
            f"pages/{_PAGE}/visuals/{name}/visual.json": {
                "$schema": schema("visualContainer", "2.8.0"),
                "name": name,
                **visual,
            }
            for name, visual in visuals.items()
        },
    }


def _visual(kind: str, place: tuple[int, int, int, int], roles: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    x, y, width, height = place
    return {
        "position": {"x": x, "y": y, "z": 0, "width": width, "height": height, "tabOrder": y * _WIDTH + x},
        "visual": {
            "visualType": kind,
            "query": {"queryState": {role: {"projections": fields} for role, fields in roles.items()}},
            "drillFilterOtherVisuals": True,
        },
    }


def _measure(slug: str) -> dict[str, Any]:
    return _field("Measure", "fact_call", BY_SLUG[slug].name)


def _column(table: str, name: str) -> dict[str, Any]:
    return _field("Column", table, name)


def _field(kind: str, table: str, name: str) -> dict[str, Any]:
    return {
        "field": {kind: {"Expression": {"SourceRef": {"Entity": table}}, "Property": name}},
        "queryRef": f"{table}.{name}",
        "nativeQueryRef": name,
    }
