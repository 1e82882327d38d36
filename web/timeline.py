"""The pictures of a conversation: who speaks when, who speaks how much, and the customer's mood from call to call."""

from collections.abc import Sequence
from dataclasses import dataclass

from calls.transcript import Speaker, Turn

WIDTH = 1000.0
LANE_HEIGHT = 14.0
LANE_GAP = 4.0
_LANES = {Speaker.AGENT: 0, Speaker.UNKNOWN: 0, Speaker.CUSTOMER: 1}


@dataclass(frozen=True)
class Bar:
    """One turn in the strip, in the strip's own units."""

    speaker: str
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Strip:
    """A strip WIDTH wide and `height` high for `duration_s` seconds."""

    bars: tuple[Bar, ...]
    duration_s: float
    height: float
    width: float = WIDTH


def draw_strip(turns: Sequence[Turn], duration_s: float | None) -> Strip | None:
    """The strip of a conversation, the agent above the customer; None when nobody speaks."""
    if not turns:
        return None
    whole_s = max(duration_s or 0.0, *(turn.end_s for turn in turns), 0.1)
    lane_count = 1 + max(_LANES[turn.speaker] for turn in turns)
    bars = tuple(
        Bar(
            speaker=turn.speaker.value,
            x=round(turn.start_s / whole_s * WIDTH, 2),
            y=_LANES[turn.speaker] * (LANE_HEIGHT + LANE_GAP),
            width=round(max(turn.end_s - turn.start_s, 0.05) / whole_s * WIDTH, 2),
        )
        for turn in turns
    )
    return Strip(bars, whole_s, lane_count * (LANE_HEIGHT + LANE_GAP) - LANE_GAP)


@dataclass(frozen=True)
class Part:
    """One part of a bar, in the bar's own units."""

    kind: str
    x: float
    width: float


@dataclass(frozen=True)
class Talk:
    """How the time of a conversation is shared out; `label` says it in words."""

    parts: tuple[Part, ...]
    label: str
    width: float = WIDTH


def draw_talk(agent_s: float | None, customer_s: float | None, nobody_s: float | None) -> Talk | None:
    """The bar of talk and silence; None where nobody knows who spoke how long. Overlap counts for both."""
    if agent_s is None or customer_s is None or not agent_s + customer_s:
        return None
    told = (("agent", agent_s), ("customer", customer_s), ("nobody", nobody_s or 0.0))
    whole_s = sum(seconds for _, seconds in told)
    parts, x = [], 0.0
    for kind, seconds in told:
        width = round(seconds / whole_s * WIDTH, 2)
        parts.append(Part(kind, round(x, 2), width))
        x += width
    shares = (f"{kind} {seconds / whole_s:.0%}" for kind, seconds in told)
    return Talk(tuple(parts), ", ".join(shares))


@dataclass(frozen=True)
class Dot:
    """One call's mood, in the picture's own units; `tone` is low, even or high."""

    x: float
    y: float
    tone: str


@dataclass(frozen=True)
class Moods:
    """The customer's mood over their last calls, from left to right."""

    dots: tuple[Dot, ...]
    label: str
    width: float = 200.0

    @property
    def points(self) -> str:
        """The line through the dots, as SVG has it."""
        return " ".join(f"{dot.x},{dot.y}" for dot in self.dots)


def draw_moods(scores: Sequence[float]) -> Moods | None:
    """The picture of moods -5 to +5, in order of time; None for fewer than two."""
    if len(scores) < 2:
        return None
    step = (Moods.width - 12) / (len(scores) - 1)
    dots = tuple(
        Dot(
            x=round(6 + place * step, 1),
            y=round(22 - score / 5 * 18, 1),
            tone="low" if score <= -1 else "high" if score >= 1 else "even",
        )
        for place, score in enumerate(scores)
    )
    return Moods(dots, "Moods, the latest last: " + ", ".join(f"{score:g}" for score in scores))
