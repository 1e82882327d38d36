"""The sides of a call: who says each utterance, and all that follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from calls.analysis import SkippedFeature
from calls.channels import doubts_about
from calls.recording import Direction
from calls.timing import NOT_TIMED, Timing, time_call
from calls.transcript import Speaker, Utterance, name_speakers, take_turns


@dataclass(frozen=True)
class Sides:
    """The utterances with their speakers. `agent_channel` is the channel by which they were named, None where they are
    unknown or were named by the text that was given; `doubts` says what speaks against it.
    """

    utterances: Sequence[Utterance] = field(repr=False)
    agent_channel: int | None
    timing: Timing
    turn_count: int
    doubts: tuple[SkippedFeature, ...]


def take_sides(
    utterances: Sequence[Utterance],
    *,
    channel_count: int,
    agent_channel: int | None,
    direction: Direction | None,
    is_timed: bool = True,
) -> Sides:
    """Name the speakers by channel where two are recorded; speakers that were named already stand.

    `is_timed` is False where nobody knows when anything was said.
    """
    is_named = any(said.speaker is not Speaker.UNKNOWN for said in utterances)
    by_channel = agent_channel if channel_count == 2 and not is_named else None
    named = (
        utterances if is_named else name_speakers(utterances, channel_count=channel_count, agent_channel=agent_channel)
    )
    return Sides(
        utterances=list(named),
        agent_channel=by_channel,
        timing=time_call(named) if is_timed else NOT_TIMED,
        turn_count=len(take_turns(named)),
        doubts=doubts_about(named, direction, by_channel),
    )
