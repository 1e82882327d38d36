"""Who talked for how long: timing metrics of one call, from its utterances.

Source of the definitions: Amazon Connect Contact Lens (talk time, non-talk time, interruptions); see docs/glossary.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from calls.transcript import Speaker, Utterance

NON_TALK_FROM_S = 3.0

Span = tuple[float, float]


@dataclass(frozen=True)
class Timing:
    """Seconds of speech and silence. The per-speaker figures are None where speakers are unknown, all of them where
    nobody knows when anything was said.

    `non_talk_time_s` adds up the stretches of more than NON_TALK_FROM_S seconds between the first and the last word in
    which nobody speaks. `interruption_count` counts the overlaps that a speaker starts while the other is speaking.
    """

    talk_time_agent_s: float | None
    talk_time_customer_s: float | None
    non_talk_time_s: float | None
    interruption_count: int | None


def time_call(utterances: Sequence[Utterance]) -> Timing:
    """The timing of one call; overlapping speech counts for both speakers."""
    by_speaker = {
        speaker: merge_spans([(u.start_s, u.end_s) for u in utterances if u.speaker == speaker]) for speaker in Speaker
    }
    everyone = merge_spans([(u.start_s, u.end_s) for u in utterances])
    silences = [later[0] - earlier[1] for earlier, later in pairwise(everyone)]
    non_talk_s = sum(silence for silence in silences if silence > NON_TALK_FROM_S)
    agent, customer = by_speaker[Speaker.AGENT], by_speaker[Speaker.CUSTOMER]
    if not agent and not customer:
        return Timing(None, None, _round(non_talk_s), None)
    return Timing(
        talk_time_agent_s=_round(_length(agent)),
        talk_time_customer_s=_round(_length(customer)),
        non_talk_time_s=_round(non_talk_s),
        interruption_count=_begun_inside(agent, customer) + _begun_inside(customer, agent),
    )


def merge_spans(spans: Sequence[Span]) -> list[Span]:
    """The union of the spans, as disjoint spans in order of start."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _length(spans: Sequence[Span]) -> float:
    return sum(end - start for start, end in spans)


def _begun_inside(mine: Sequence[Span], others: Sequence[Span]) -> int:
    return sum(1 for start, _ in mine if any(begin < start < end for begin, end in others))


def _round(seconds: float) -> float:
    return round(seconds, 3)
