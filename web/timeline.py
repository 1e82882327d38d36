"""The picture of a conversation: who speaks when, as lanes of a strip that a player can follow."""

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
