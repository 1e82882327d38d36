"""How well an engine hears recordings of which is known what was said, decoded and named as the pipeline does."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from calls.errors import CallwiseError, SetupBroken
from calls.money import Charge
from calls.sides import Sides, take_sides
from calls.timing import merge_spans
from calls.transcript import Speaker, Utterance, take_turns
from calls.word_errors import NORMALISATION, Errors, align, character_distance, normalise, rate_over, word_errors
from cli.evaluation_data import Said, Spoken
from engines.audio import DecodedAudio
from engines.speech import SpeechEngine, SpeechHints

# What is heard this close to speech is not called invented: marks of people are no better than that.
NEAR_SPEECH_S = 0.5

Words = list[tuple[str, Speaker]]


@dataclass(frozen=True)
class Part:
    """One channel of one call: whose voice the reference has on it, its errors, and its characters."""

    whose: str
    errors: Errors
    character_count: int
    character_errors: int


@dataclass
class Outcome:
    """One call: how long it is and took in seconds, and what was counted in it. `code` says why it was not heard."""

    id: str
    code: str = ""
    audio_s: float = 0.0
    taken_s: float = 0.0
    parts: list[Part] = field(default_factory=list)
    right_role_count: int = 0
    named_count: int = 0
    matched_count: int = 0
    is_doubted: bool = False
    silence_s: float = 0.0
    over_silence_count: int = 0
    charges: list[Charge] = field(default_factory=list)


def hear(
    one: Spoken,
    engine: SpeechEngine,
    hints: SpeechHints,
    *,
    default_agent_channel: int,
    decode: Callable[[Path], DecodedAudio],
    clock: Callable[[], float] = time.perf_counter,
) -> Outcome:
    """Decode and hear one recording, and count what is wrong; an engine or a recording that fails is an outcome, too.

    Raises SetupBroken: another recording would fare no better.
    """
    outcome = Outcome(one.id)
    began = clock()
    try:
        audio = decode(one.audio).audio
        heard = engine.transcribe(audio, hints, outcome.charges.append)
    except SetupBroken:
        raise
    except CallwiseError as error:
        outcome.code = error.code
        return outcome
    outcome.taken_s, outcome.audio_s = clock() - began, audio.duration_s
    agent_channel = default_agent_channel if one.agent_channel is None else one.agent_channel
    sides = take_sides(heard.utterances, channel_count=audio.channel_count, agent_channel=agent_channel, direction=None)
    outcome.is_doubted = bool(sides.doubts)
    speakers = {0: [*Speaker]} if audio.channel_count == 1 else _on_channels(one.said, agent_channel)
    for channel, on_it in speakers.items():
        said = [s for s in one.said if s.speaker in on_it]
        utterances = heard.utterances if len(speakers) == 1 else [u for u in heard.utterances if u.channel == channel]
        if said and (len(on_it) == 1 or one.is_in_order):
            outcome.parts.append(_part(_whose(on_it), said, utterances))
        if one.is_timed:
            silence_s, word_count = _over_silence(said, utterances, audio.duration_s)
            outcome.silence_s += silence_s
            outcome.over_silence_count += word_count
    if one.is_in_order and any(s.speaker is not Speaker.UNKNOWN for s in one.said):
        _count_roles(outcome, one.said, sides)
    return outcome


def summarise(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The figures over all calls, as a document; rates have their 95 % interval over calls, None where nothing was."""
    heard = [one for one in outcomes if not one.code]
    parts = [part for one in heard for part in one.parts]
    groups = {whose: [p for p in parts if p.whose == whose] for whose in sorted({p.whose for p in parts})}
    if len(groups) > 1:
        groups["all"] = parts
    by_call = [_sum_parts(one) for one in heard if one.parts]
    charges = [charge for one in outcomes for charge in one.charges]
    priced = [charge.cost_microusd for charge in charges if charge.cost_microusd is not None]
    audio_s = sum(one.audio_s for one in heard)
    silence_s, over_silence = sum(o.silence_s for o in heard), sum(o.over_silence_count for o in heard)
    return {
        "call_count": len(outcomes),
        "failed": [{"id": one.id, "code": one.code} for one in outcomes if one.code],
        "without_reference_count": sum(not one.parts for one in heard),
        "audio_s": round(audio_s, 1),
        "channels": [_row(whose, by_call if whose == "all" else some) for whose, some in groups.items()],
        "roles": {
            "accuracy": _rate((o.right_role_count, o.named_count) for o in heard),
            "matched_word_count": sum(o.matched_count for o in heard),
            "named_word_count": sum(o.named_count for o in heard),
            "doubted_call_count": sum(o.is_doubted for o in heard),
        },
        "over_silence": {
            "word_count": over_silence if silence_s else None,
            "silence_s": round(silence_s, 1),
            "words_per_minute": _rate((o.over_silence_count, o.silence_s / 60) for o in heard),
        },
        "real_time_factor": _rate((o.taken_s, o.audio_s) for o in heard),
        "paid": {
            "request_count": len(charges),
            "audio_s": round(sum(charge.audio_s for charge in charges), 1),
            "cost_microusd": sum(priced) if len(priced) == len(charges) else None,
        },
        "normalisation": NORMALISATION,
    }


def _on_channels(said: Sequence[Said], agent_channel: int) -> dict[int, list[Speaker]]:
    """Whose words the reference has on each of two channels; words of nobody in particular are on both."""
    if any(one.speaker is Speaker.UNKNOWN for one in said):
        return {0: [*Speaker]}
    return {agent_channel: [Speaker.AGENT], 1 - agent_channel: [Speaker.CUSTOMER]}


def _whose(speakers: Sequence[Speaker]) -> str:
    return speakers[0].value if len(speakers) == 1 else "both in one"


def _part(whose: str, said: Sequence[Said], utterances: Sequence[Utterance]) -> Part:
    in_order = sorted(utterances, key=lambda u: (u.start_s, u.end_s, u.channel))
    reference = normalise(" ".join(one.text for one in said))
    heard = normalise(" ".join(u.text for u in in_order))
    written = " ".join(reference)
    return Part(whose, word_errors(reference, heard), len(written), character_distance(written, " ".join(heard)))


def _sum_parts(one: Outcome) -> Part:
    return Part(
        "all",
        sum((part.errors for part in one.parts), Errors()),
        sum(part.character_count for part in one.parts),
        sum(part.character_errors for part in one.parts),
    )


def _row(whose: str, parts: Sequence[Part]) -> dict[str, Any]:
    total = sum((part.errors for part in parts), Errors())
    return {
        "channel": whose,
        "call_count": len(parts),
        "word_count": total.reference_count,
        "word_error_rate": _rate((part.errors.count, part.errors.reference_count) for part in parts),
        "substitution_count": total.substitution_count,
        "deletion_count": total.deletion_count,
        "insertion_count": total.insertion_count,
        "character_error_rate": _rate((part.character_errors, part.character_count) for part in parts),
    }


def _count_roles(outcome: Outcome, said: Sequence[Said], sides: Sides) -> None:
    """Of the words that were heard right, how many were given to whoever said them."""
    reference = _with_speakers((one.text, one.speaker) for one in said)
    heard = _with_speakers((turn.text, turn.speaker) for turn in take_turns(sides.utterances))
    for place, there in align([word for word, _ in reference], [word for word, _ in heard]):
        if place is None or there is None or reference[place][0] != heard[there][0]:
            continue
        outcome.matched_count += 1
        outcome.named_count += heard[there][1] is not Speaker.UNKNOWN
        outcome.right_role_count += heard[there][1] is reference[place][1]


def _with_speakers(texts: Iterable[tuple[str, Speaker]]) -> Words:
    return list(chain.from_iterable([(word, speaker) for word in normalise(text)] for text, speaker in texts))


def _over_silence(said: Sequence[Said], utterances: Sequence[Utterance], audio_s: float) -> tuple[float, int]:
    """The seconds in which the reference has no sound on the channel, and the words that were heard there."""
    spans = [
        (max(0.0, one.start_s - NEAR_SPEECH_S), min(audio_s, one.end_s + NEAR_SPEECH_S))
        for one in said
        if one.start_s is not None and one.end_s is not None
    ]
    sounding = merge_spans([span for span in spans if span[0] < span[1]])
    moments = [moment for utterance in utterances for moment in _moments(utterance)]
    count = sum(not any(start <= moment <= end for start, end in sounding) for moment in moments)
    return audio_s - sum(end - start for start, end in sounding), count


def _moments(utterance: Utterance) -> list[float]:
    """The middle of each word; where the engine gives no times of words, they are spread evenly."""
    if utterance.words:
        return [(word.start_s + word.end_s) / 2 for word in utterance.words for _ in normalise(word.text)]
    word_count = len(normalise(utterance.text))
    step_s = (utterance.end_s - utterance.start_s) / max(word_count, 1)
    return [utterance.start_s + (place + 0.5) * step_s for place in range(word_count)]


def _rate(parts: Iterable[tuple[float, float]]) -> dict[str, float] | None:
    rate = rate_over(list(parts))
    return asdict(rate) if rate else None
