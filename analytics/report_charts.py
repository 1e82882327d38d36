"""The charts of the report as shapes: numbers in, numbers out; report.html writes them as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, floor, log10

from analytics.trends import TrendRow

WIDTH, HEIGHT = 720.0, 220.0
_LEFT, _BOTTOM, _TOP = 48.0, 24.0, 8.0
OTHERS = "All others"
COLOURS = ("#11897f", "#4b86c2", "#d0932f", "#8f72b8", "#c4627d", "#6fa052", "#b3744a", "#5c7d8c", "#9aa5ab")


@dataclass(frozen=True)
class Box:
    """A part of a bar, with what it says when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    colour: str
    title: str


@dataclass(frozen=True)
class Label:
    """A text at a place."""

    x: float
    y: float
    text: str


@dataclass(frozen=True)
class Chart:
    """A chart WIDTH x HEIGHT; `line` and `band` are points as SVG has them, `key` the colours and their
    names.
    """

    boxes: tuple[Box, ...] = ()
    line: str = ""
    band: str = ""
    x_labels: tuple[Label, ...] = ()
    y_labels: tuple[Label, ...] = ()
    key: tuple[tuple[str, str], ...] = ()
    # Where the taxonomy changed: a line from the top to the bottom, at its x, with what it says.
    marks: tuple[Label, ...] = ()
    width: float = WIDTH
    height: float = HEIGHT


def stacked(rows: Sequence[TrendRow], top: Sequence[str], marks: Mapping[date, str]) -> Chart:
    """Calls by reason and period, one bar a period; `top` are the codes that have a colour of their own, `marks` the
    first days of periods from which on other versions of the taxonomy classify.
    """
    starts = sorted({(row.starts_on, row.period) for row in rows})
    periods = [period for _, period in starts]
    if not periods:
        return Chart()
    labels = {row.code: row.label for row in rows}
    totals = {period: sum(row.calls for row in rows if row.period == period) for period in periods}
    highest = _round_up(max(totals.values()))
    step = (WIDTH - _LEFT) / len(periods)
    boxes = []
    for number, period in enumerate(periods):
        calls = {row.code: row.calls for row in rows if row.period == period}
        stack = [(labels[code], calls.get(code, 0)) for code in top]
        stack.append((OTHERS, totals[period] - sum(count for _, count in stack)))
        base = HEIGHT - _BOTTOM
        for (name, count), colour in zip(stack, (*COLOURS[: len(top)], COLOURS[-1]), strict=True):
            height = count / highest * (HEIGHT - _BOTTOM - _TOP)
            base -= height
            if count:
                x = _LEFT + number * step + step * 0.1
                boxes.append(Box(_2(x), _2(base), _2(step * 0.8), _2(height), colour, f"{period}, {name}: {count}"))
    names = (*(labels[code] for code in top), OTHERS)
    return Chart(
        boxes=tuple(boxes),
        x_labels=_periods(periods, step),
        y_labels=tuple(_at(value, 0, highest, f"{value:,.0f}") for value in (0, highest / 2, highest)),
        key=tuple(zip((*COLOURS[: len(top)], COLOURS[-1]), names, strict=True)),
        marks=_marks([starts_on for starts_on, _ in starts], marks, step),
    )


def line(rows: Sequence[TrendRow], slug: str, marks: Mapping[date, str], *, as_percent: bool) -> Chart:
    """A measure over the complete periods, with its 95 % interval as a band where it has one; `marks` as in stacked."""
    complete = [row for row in rows if row.is_complete]
    found = [(row.period, row.figures[slug]) for row in complete]
    told = [(place, one) for place, (_, one) in enumerate(found) if one.value is not None]
    if not told:
        return Chart()
    values = [float(bound) for _, one in told for bound in (one.value, one.low, one.high) if bound is not None]
    ticks, decimals = _ticks(min(values), max(values), as_percent=as_percent)
    low, high = ticks[0], ticks[-1]
    step = (WIDTH - _LEFT) / len(found)

    def point(place: int, value: float) -> str:
        return f"{_2(_LEFT + (place + 0.5) * step)},{_2(_y(value, low, high))}"

    bounded = [(place, one.low, one.high) for place, one in told if one.low is not None and one.high is not None]
    upper = [point(place, above) for place, _, above in bounded]
    lower = [point(place, below) for place, below, _ in reversed(bounded)]
    return Chart(
        line=" ".join(point(place, float(one.value or 0)) for place, one in told),
        band=" ".join(upper + lower),
        x_labels=_periods([period for period, _ in found], step),
        y_labels=tuple(
            _at(value, low, high, f"{value:.{decimals}%}" if as_percent else f"{value:,.{decimals}f}")
            for value in ticks
        ),
        marks=_marks([row.starts_on for row in complete], marks, step),
    )


def _periods(periods: Sequence[str], step: float) -> tuple[Label, ...]:
    return tuple(
        Label(_2(_LEFT + (place + 0.5) * step), HEIGHT - 6, period.partition("-")[2])
        for place, period in enumerate(periods)
    )


def _marks(starts: Sequence[date], marks: Mapping[date, str], step: float) -> tuple[Label, ...]:
    return tuple(
        Label(_2(_LEFT + place * step), _TOP, marks[starts_on])
        for place, starts_on in enumerate(starts)
        if starts_on in marks
    )


def _at(value: float, low: float, high: float, text: str) -> Label:
    return Label(_LEFT - 6, _2(_y(value, low, high) + 4), text)


def _y(value: float, low: float, high: float) -> float:
    return _TOP + (high - value) / (high - low) * (HEIGHT - _BOTTOM - _TOP)


def _ticks(least: float, most: float, *, as_percent: bool) -> tuple[list[float], int]:
    """Round values at even distances, three to six, from below the least to above the most; and their decimals."""
    if least == most:
        least, most = least - 0.5, most + 0.5
    power = floor(log10((most - least) / 4))
    step = next(factor * 10.0**power for factor in (1, 2, 5, 10) if factor * 10.0**power >= (most - least) / 4)
    first, last = floor(least / step), ceil(most / step)
    decimals = max(0, -floor(log10(step)) - (2 if as_percent else 0))
    return [place * step for place in range(first, last + 1)], decimals


def _round_up(value: int) -> int:
    unit = int(f"1{'0' * (len(str(value)) - 1)}")
    return max(1, -(-value // unit) * unit)


def _2(value: float) -> float:
    return round(value, 2)
