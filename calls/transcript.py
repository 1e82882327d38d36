"""Who said what and when: words, utterances, turns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

TURN_GAP_S = 2.0


class Speaker(StrEnum):
    """Whose voice a channel or a turn carries; `unknown` is an answer, never a guess."""

    AGENT = "agent"
    CUSTOMER = "customer"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Word:
    """One word, in seconds from the start of the recording; `confidence` is 0..1, None where the engine gives none."""

    text: str
    start_s: float
    end_s: float
    confidence: float | None = None


@dataclass(frozen=True)
class Utterance:
    """One uninterrupted stretch of speech on one channel, in seconds from the start of the recording.

    In a conversation that came as text and knows voices, but no channels, `channel` is the number of the voice.
    """

    channel: int
    start_s: float
    end_s: float
    text: str
    avg_confidence: float | None = None
    speaker: Speaker = Speaker.UNKNOWN
    words: tuple[Word, ...] = ()


@dataclass(frozen=True)
class Turn:
    """What one speaker says until another begins or falls silent for long; `index` counts from 0."""

    index: int
    speaker: Speaker
    start_s: float
    end_s: float
    text: str


def name_speakers(utterances: Sequence[Utterance], *, channel_count: int, agent_channel: int | None) -> list[Utterance]:
    """The utterances, each with its speaker: by channel where two are recorded and the agent's is known, else
    `unknown`.
    """
    if channel_count != 2 or agent_channel is None:
        return [replace(u, speaker=Speaker.UNKNOWN) for u in utterances]
    return [replace(u, speaker=Speaker.AGENT if u.channel == agent_channel else Speaker.CUSTOMER) for u in utterances]


def take_turns(utterances: Sequence[Utterance]) -> list[Turn]:
    """Join neighbouring utterances of one speaker into turns, in order of start.

    A pause longer than TURN_GAP_S seconds ends a turn. Overlap is kept: a turn may start before the one before it has
    ended. Two channels are two voices, also where nobody knows whose.
    """
    return turns_of(group_turns(utterances))


def turns_of(groups: Sequence[Sequence[Utterance]]) -> list[Turn]:
    """The turns that `group_turns` found, as `take_turns` gives them."""
    return [
        Turn(
            index=index,
            speaker=said[0].speaker,
            start_s=said[0].start_s,
            end_s=max(one.end_s for one in said),
            text=" ".join(one.text.strip() for one in said),
        )
        for index, said in enumerate(groups)
    ]


def group_turns(utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    """The utterances of each turn, in the order of `take_turns`; those without text are in none."""
    turns: list[list[Utterance]] = []
    ended_s = 0.0
    for said in sorted((u for u in utterances if u.text.strip()), key=lambda u: (u.start_s, u.end_s, u.channel)):
        last = turns[-1][-1] if turns else None
        if (
            last
            and (last.speaker, last.channel) == (said.speaker, said.channel)
            and said.start_s - ended_s <= TURN_GAP_S
        ):
            turns[-1].append(said)
            ended_s = max(ended_s, said.end_s)
        else:
            turns.append([said])
            ended_s = said.end_s
    return turns
