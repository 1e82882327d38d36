"""The charts of the trends page as Vega-Lite specifications: plain values in, a plain document out.

Colours of text and lines come from the page's style at drawing time (web/static/charts.js), so that light and dark fit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from analytics.trends import By, HeatCell, TrendRow

MAX_REASONS = 8
OTHERS = "All others"
_COLOURS = ("#11897f", "#4b86c2", "#d0932f", "#8f72b8", "#c4627d", "#6fa052", "#b3744a", "#5c7d8c")
_OTHERS_COLOUR = "#9aa5ab"
# Vega takes `tickMinStep` for a wish and goes down to a third of it: thrice what the format's last digit stands for.
_LEAST_STEPS = {"d": 3, ".2f": 0.03, ".4f": 0.0003, ".0%": 0.03}
# Monday is the first, as in an ISO week.
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LABELS = {By.DAY: "%-d %b", By.WEEK: "%-d %b", By.MONTH: "%b %Y"}

Spec = dict[str, Any]
# Where the calls of a point are listed; "" for nowhere.
Link = Callable[[TrendRow], str]


def no_link(_: TrendRow) -> str:
    """Points lead nowhere."""
    return ""


def reasons_chart(
    rows: Sequence[TrendRow],
    by: By,
    top: Sequence[str],
    *,
    as_share: bool,
    link: Link = no_link,
    others_link: Link = no_link,
) -> Spec:
    """Calls by reason and period, stacked; with `as_share`, each period fills the whole height. `top` are labels.

    A piece of a bar leads to its calls, the one of all other reasons by `others_link`.
    """
    reasons = [*top, OTHERS]
    values = []
    for row in rows:
        reason = row.label if row.label in top else OTHERS
        calls = row.parts["classified_count"] if as_share else row.calls
        values.append(
            {
                "starts_on": row.starts_on.isoformat(),
                "period": row.period,
                "is_complete": row.is_complete,
                "reason": reason,
                "position": reasons.index(reason),
                "calls": calls,
                "link": (others_link if reason == OTHERS else link)(row),
            }
        )
    y: Spec = {"field": "calls", "type": "quantitative", "aggregate": "sum", "title": "Calls", "axis": _axis("d")}
    if as_share:
        y |= {"stack": "normalize", "title": "Share of the calls with a reason", "axis": _axis(".0%")}
    return _chart(values) | {
        "mark": {"type": "bar"},
        "encoding": {
            "x": _period_axis(by),
            "y": y,
            "color": {
                "field": "reason",
                "type": "nominal",
                "sort": reasons,
                "scale": {"domain": reasons, "range": [*_COLOURS[: len(top)], _OTHERS_COLOUR]},
                "legend": {"orient": "bottom", "columns": 3, "title": None, "labelLimit": 220},
            },
            "order": {"field": "position", "type": "quantitative"},
            "detail": [{"field": "is_complete"}, {"field": "link"}],
            "href": {"field": "link"},
            "opacity": {"condition": {"test": "datum.is_complete", "value": 1}, "value": 0.45},
            "tooltip": [
                {"field": "period", "title": "Period"},
                {"field": "reason", "title": "Reason"},
                {"field": "calls", "aggregate": "sum", "title": "Calls"},
            ],
        },
    }


def line_chart(
    rows: Iterable[TrendRow],
    by: By,
    slug: str,
    title: str,
    *,
    scale: float = 1.0,
    number_format: str = ".2f",
    link: Link = no_link,
) -> Spec:
    """One measure over complete periods, with its 95 % interval as a band where it has one. Points lead to calls."""
    values = [
        value | {"link": link(row)}
        for row in rows
        if row.is_complete and (value := _line_value(row, slug, scale)) is not None
    ]
    y_axis = _axis(number_format)
    line: Spec = {"mark": {"type": "line", "strokeWidth": 2}}
    # Its own layer: a line that had a link would be one line for each.
    points: Spec = {"mark": {"type": "point", "size": 30, "filled": True}}
    shared: Spec = {
        "encoding": {
            "x": _period_axis(by),
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": title,
                "axis": y_axis,
                "scale": {"zero": False, "nice": True},
            },
            "tooltip": [
                {"field": "period", "title": "Period"},
                {"field": "value", "type": "quantitative", "title": title, "format": number_format},
                {"field": "n", "title": "Calls counted"},
            ],
        },
    }
    line |= shared
    points["encoding"] = shared["encoding"] | {"href": {"field": "link"}}
    if not any("low" in value for value in values):
        return _chart(values) | {"layer": [line, points]}
    band: Spec = {
        "mark": {"type": "area", "opacity": 0.18},
        "encoding": {
            "x": _period_axis(by),
            "y": {"field": "low", "type": "quantitative", "title": title, "axis": y_axis, "scale": {"zero": False}},
            "y2": {"field": "high"},
        },
    }
    return _chart(values) | {"layer": [band, line, points]}


def heat_chart(cells: Iterable[HeatCell], *, link: Callable[[HeatCell], str] = lambda _: "") -> Spec:
    """Calls by weekday and hour, the more the darker. A cell leads to its calls."""
    values = [
        {"weekday": WEEKDAYS[cell.weekday - 1], "hour": cell.hour, "calls": cell.calls, "link": link(cell)}
        for cell in cells
    ]
    return _chart(values) | {
        "mark": {"type": "rect"},
        "encoding": {
            "x": {"field": "hour", "type": "ordinal", "title": "Hour of the day", "axis": {"labelAngle": 0}},
            "y": {"field": "weekday", "type": "ordinal", "sort": list(WEEKDAYS), "title": None},
            "color": {
                "field": "calls",
                "type": "quantitative",
                "scale": {"range": ["#d7ecea", "#0b4f4a"], "domainMin": 0},
                "legend": {"title": "Calls", "orient": "bottom", "tickMinStep": 3},
            },
            "href": {"field": "link"},
            "tooltip": [
                {"field": "weekday", "title": "Day"},
                {"field": "hour", "title": "Hour"},
                {"field": "calls", "title": "Calls"},
            ],
        },
    }


def marked(spec: Spec, by: By, marks: Iterable[tuple[date, str]]) -> Spec:
    """The chart with a dashed rule at each period in which the taxonomy changed, where it has that period."""
    starts = {value["starts_on"] for value in spec["data"]["values"]}
    rules = [
        {"starts_on": starts_on.isoformat(), "versions": versions}
        for starts_on, versions in marks
        if starts_on.isoformat() in starts
    ]
    if not rules:
        return spec
    rule: Spec = {
        "data": {"values": rules},
        "mark": {"type": "rule", "strokeDash": [4, 4], "strokeWidth": 1.5, "color": "#9aa5ab"},
        "encoding": {
            # Where the period begins, not in the midst of its bar.
            "x": _period_axis(by) | {"bandPosition": 0},
            "tooltip": [{"field": "versions", "title": "Taxonomy from here on"}],
        },
    }
    if "layer" in spec:
        return spec | {"layer": [*spec["layer"], rule]}
    drawn = {name: spec[name] for name in ("mark", "encoding")}
    rest = {name: value for name, value in spec.items() if name not in drawn}
    return rest | {"layer": [drawn, rule]}


def _line_value(row: TrendRow, slug: str, scale: float) -> dict[str, Any] | None:
    figure = row.figures[slug]
    if figure.value is None:
        return None
    value = {
        "starts_on": row.starts_on.isoformat(),
        "period": row.period,
        "value": figure.value * scale,
        "n": figure.n,
    }
    if figure.low is None or figure.high is None:
        return value
    return value | {"low": figure.low * scale, "high": figure.high * scale}


def _chart(values: Sequence[Mapping[str, Any]]) -> Spec:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": 300,
        "autosize": {"type": "fit", "contains": "padding"},
        # The last label of an axis stands half beyond it.
        "padding": {"left": 5, "top": 5, "right": 16, "bottom": 5},
        "data": {"values": list(values)},
    }


def _axis(number_format: str) -> Spec:
    # Ticks closer together than the format can tell apart would read alike.
    return {"format": number_format, "tickMinStep": _LEAST_STEPS[number_format]}


def _period_axis(by: By) -> Spec:
    return {
        "field": "starts_on",
        "type": "ordinal",
        "title": None,
        "axis": {
            "labelExpr": f"utcFormat(toDate(datum.value), '{_LABELS[by]}')",
            "labelAngle": 0,
            "labelOverlap": "greedy",
            "labelSeparation": 6,
        },
    }
