"""Who talked for how long: timing metrics of one call, from its utterances.

Source of the definitions: Amazon Connect Contact Lens (talk time, non-talk time, interruptions); see docs/glossary.md.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from calls.transcript import Speaker, Utterance

NON_TALK_FROM_S = 3.0
# Shorter speech than this takes no floor: "mm-hm" and "okay" do not end what the other is telling.
FLOOR_FROM_S = 1.0

Span = tuple[float, float]

_WORD = re.compile(r"\w+(?:['’]\w+)*")


@dataclass(frozen=True)
class Timing:
    """Seconds of speech and silence. The per-speaker figures are None where speakers are unknown, all of them where
    nobody knows when anything was said.

    `conversation_s` lasts from the first to the last word. `non_talk_time_s` adds up the stretches of more than
    NON_TALK_FROM_S seconds in it in which nobody speaks; a hold through which the recorder ran is such a stretch.
    An interruption is an overlap that a speaker starts while the other is speaking: `interruption_count` and
    `interruption_agent_count` count them, `interruption_time_agent_s` is how long those of the agent last. The longest
    monologue is the most that a speaker says without giving up the floor: the other speaks for FLOOR_FROM_S, or nobody
    for more than NON_TALK_FROM_S; pauses in it are not counted.
    """

    talk_time_agent_s: float | None = None
    talk_time_customer_s: float | None = None
    non_talk_time_s: float | None = None
    interruption_count: int | None = None
    conversation_s: float | None = None
    interruption_agent_count: int | None = None
    interruption_customer_count: int | None = None
    interruption_time_agent_s: float | None = None
    interruption_time_customer_s: float | None = None
    longest_monologue_agent_s: float | None = None
    longest_monologue_customer_s: float | None = None
    word_agent_count: int | None = None
    word_customer_count: int | None = None


# Of a conversation of which nobody knows when anything was said.
NOT_TIMED = Timing()


def time_call(utterances: Sequence[Utterance]) -> Timing:
    """The timing of one call; overlapping speech counts for both speakers."""
    everyone = merge_spans([(u.start_s, u.end_s) for u in utterances])
    silences = [later[0] - earlier[1] for earlier, later in pairwise(everyone)]
    non_talk_s = _round(sum(silence for silence in silences if silence > NON_TALK_FROM_S))
    conversation_s = _round(everyone[-1][1] - everyone[0][0]) if everyone else 0.0
    agent, customer = _spans_of(utterances, Speaker.AGENT), _spans_of(utterances, Speaker.CUSTOMER)
    if not agent and not customer:
        return Timing(non_talk_time_s=non_talk_s, conversation_s=conversation_s)
    by_agent, by_customer = _overlaps_begun(agent, customer), _overlaps_begun(customer, agent)
    return Timing(
        talk_time_agent_s=_round(_length(agent)),
        talk_time_customer_s=_round(_length(customer)),
        non_talk_time_s=non_talk_s,
        interruption_count=len(by_agent) + len(by_customer),
        conversation_s=conversation_s,
        interruption_agent_count=len(by_agent),
        interruption_customer_count=len(by_customer),
        interruption_time_agent_s=_round(_length(by_agent)),
        interruption_time_customer_s=_round(_length(by_customer)),
        longest_monologue_agent_s=_round(_longest_monologue_s(agent, customer)),
        longest_monologue_customer_s=_round(_longest_monologue_s(customer, agent)),
        word_agent_count=_word_count(utterances, Speaker.AGENT),
        word_customer_count=_word_count(utterances, Speaker.CUSTOMER),
    )


def words_per_minute(word_count: int | None, talk_time_s: float | None) -> float | None:
    """How fast somebody speaks, by the minutes in which they do; None for somebody who says nothing."""
    if word_count is None or not talk_time_s:
        return None
    return round(word_count * 60 / talk_time_s, 1)


def talk_share(talk_time_s: float | None, others_talk_time_s: float | None) -> float | None:
    """A speaker's part of the speech of both, 0 to 1; None where nobody can be told apart, or nobody speaks."""
    if talk_time_s is None or others_talk_time_s is None or not talk_time_s + others_talk_time_s:
        return None
    return round(talk_time_s / (talk_time_s + others_talk_time_s), 4)


def merge_spans(spans: Sequence[Span]) -> list[Span]:
    """The union of the spans, as disjoint spans in order of start."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def _spans_of(utterances: Sequence[Utterance], speaker: Speaker) -> list[Span]:
    return merge_spans([(u.start_s, u.end_s) for u in utterances if u.speaker == speaker])


def _length(spans: Sequence[Span]) -> float:
    return sum(end - start for start, end in spans)


def _overlaps_begun(mine: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """The overlaps that begin with a span of mine inside one of the other's."""
    return [
        (start, min(end, others_end))
        for start, end in mine
        for others_start, others_end in others
        if others_start < start < others_end
    ]


def _longest_monologue_s(mine: Sequence[Span], others: Sequence[Span]) -> float:
    floors = [span for span in others if span[1] - span[0] >= FLOOR_FROM_S]
    longest = current = 0.0
    before: Span | None = None
    for start, end in _without(mine, floors):
        goes_on = before is not None and start - before[1] <= NON_TALK_FROM_S
        if goes_on and before is not None and any(o[0] < start and o[1] > before[1] for o in floors):
            goes_on = False
        current = current + end - start if goes_on else end - start
        longest = max(longest, current)
        before = (start, end)
    return longest


def _without(spans: Sequence[Span], taken: Sequence[Span]) -> list[Span]:
    """What is left of disjoint spans in order when disjoint others are cut out."""
    left: list[Span] = []
    for start, end in spans:
        at = start
        for others_start, others_end in taken:
            if others_end <= at or others_start >= end:
                continue
            if others_start > at:
                left.append((at, others_start))
            at = min(others_end, end)
        if at < end:
            left.append((at, end))
    return left


def _word_count(utterances: Sequence[Utterance], speaker: Speaker) -> int:
    return sum(len(_WORD.findall(u.text)) for u in utterances if u.speaker == speaker)


def _round(seconds: float) -> float:
    return round(seconds, 3)
