"""Whose channel is whose, by what is said: a check of the telephony profile's map, which stands unless it is wrong.

Pure text rules in English: a call in which no cue is heard is judged by nobody.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from calls.analysis import SkippedFeature
from calls.channel_cues import AGENT, CALLER, CUSTOMER, Cue
from calls.recording import Direction
from calls.transcript import Utterance

# Two strong cues; one alone never does ("how can I help" is said by helpful customers, too).
SURE_FROM = 0.98
# Whoever is called speaks first, but recorders begin late and lines drop words.
_FIRST_WORD_WEIGHT = 0.7

# The map of the channels contradicts what is said: the speakers of this transcript may be swapped.
MAYBE_SWAPPED = SkippedFeature("channels", "maybe_swapped")


@dataclass(frozen=True)
class ChannelGuess:
    """The channel that sounds like the agent's, and how sure that is, 0.5 to 1; None and 0.5 where nothing tells."""

    agent_channel: int | None
    confidence: float


def who_is_agent(utterances: Sequence[Utterance], direction: Direction | None) -> ChannelGuess:
    """Which of the channels 0 and 1 carries the agent, by greetings, questions and requests, and by who speaks first.

    Nothing is guessed for a call between agents, or where only one channel speaks.
    """
    said = {channel: " . ".join(u.text for u in utterances if u.channel == channel) for channel in (0, 1)}
    if direction is Direction.INTERNAL or not all(text.strip() for text in said.values()):
        return ChannelGuess(None, 0.5)
    callers = {Direction.INBOUND: -1.0, Direction.OUTBOUND: 1.0}
    evidence = {
        channel: _heard(AGENT, text)
        - _heard(CUSTOMER, text)
        + (callers[direction] * _heard(CALLER, text) if direction in callers else 0.0)
        for channel, text in said.items()
    }
    for_one = evidence[1] - evidence[0]
    if for_one and direction in callers:
        first = min(utterances, key=lambda u: (u.start_s, u.end_s, u.channel)).channel
        for_one += _FIRST_WORD_WEIGHT * (1.0 if first == 1 else -1.0) * -callers[direction]
    if not for_one:
        return ChannelGuess(None, 0.5)
    return ChannelGuess(int(for_one > 0), round(1 / (1 + math.exp(-abs(for_one))), 4))


def doubts_about(
    utterances: Sequence[Utterance], direction: Direction | None, agent_channel: int | None
) -> tuple[SkippedFeature, ...]:
    """MAYBE_SWAPPED where what is said contradicts the map with SURE_FROM certainty; nothing is changed by itself."""
    if agent_channel is None:
        return ()
    guess = who_is_agent(utterances, direction)
    is_other = guess.agent_channel is not None and guess.agent_channel != agent_channel
    return (MAYBE_SWAPPED,) if is_other and guess.confidence >= SURE_FROM else ()


def _heard(cues: Iterable[Cue], text: str) -> float:
    return sum(cue.weight for cue in cues if cue.pattern.search(text))
