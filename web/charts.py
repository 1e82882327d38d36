"""The charts of the trends page as Vega-Lite specifications: plain values in, a plain document out.

Colours of text and lines come from the page's style at drawing time (web/static/charts.js), so that light and dark fit.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from analytics.trends import By, TrendRow

MAX_REASONS = 8
OTHERS = "All others"
_COLOURS = ("#11897f", "#4b86c2", "#d0932f", "#8f72b8", "#c4627d", "#6fa052", "#b3744a", "#5c7d8c")
_OTHERS_COLOUR = "#9aa5ab"
# Vega takes `tickMinStep` for a wish and goes down to a third of it: thrice what the format's last digit stands for.
_LEAST_STEPS = {"d": 3, ".2f": 0.03, ".0%": 0.03}
_LABELS = {By.DAY: "%-d %b", By.WEEK: "%-d %b", By.MONTH: "%b %Y"}

Spec = dict[str, Any]


def reasons_chart(rows: Sequence[TrendRow], by: By, top: Sequence[str], *, as_share: bool) -> Spec:
    """Calls by reason and period, stacked; with `as_share`, each period fills the whole height. `top` are labels."""
    reasons = [*top, OTHERS]
    values = []
    for row in rows:
        reason = row.label if row.label in top else OTHERS
        values.append(
            {
                "starts_on": row.starts_on.isoformat(),
                "period": row.period,
                "is_complete": row.is_complete,
                "reason": reason,
                "position": reasons.index(reason),
                "calls": row.parts["classified_count"] if as_share else row.calls,
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
            "detail": {"field": "is_complete"},
            "opacity": {"condition": {"test": "datum.is_complete", "value": 1}, "value": 0.45},
            "tooltip": [
                {"field": "period", "title": "Period"},
                {"field": "reason", "title": "Reason"},
                {"field": "calls", "aggregate": "sum", "title": "Calls"},
            ],
        },
    }


def line_chart(
    rows: Iterable[TrendRow], by: By, slug: str, title: str, *, scale: float = 1.0, number_format: str = ".2f"
) -> Spec:
    """One measure over complete periods, with its 95 % interval as a band where it has one."""
    values = [value for row in rows if row.is_complete and (value := _line_value(row, slug, scale))]
    y_axis = _axis(number_format)
    line: Spec = {
        "mark": {"type": "line", "point": {"size": 30, "filled": True}, "strokeWidth": 2},
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
    if not any("low" in value for value in values):
        return _chart(values) | line
    band: Spec = {
        "mark": {"type": "area", "opacity": 0.18},
        "encoding": {
            "x": _period_axis(by),
            "y": {"field": "low", "type": "quantitative", "title": title, "axis": y_axis, "scale": {"zero": False}},
            "y2": {"field": "high"},
        },
    }
    return _chart(values) | {"layer": [band, line]}


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
