"""What a document says was said, before it is a transcript: voices, times that may be missing, words."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from calls.analysis import SkippedFeature
from calls.errors import TerminalError
from calls.recording import CallFacts
from calls.transcript import Speaker, Utterance, Word
from engines.speech_languages import language_code

UNREADABLE = "unreadable_conversation"
EMPTY = "empty_conversation"

# What an utterance's place is worth, in seconds, where the document does not tell their times apart: enough to keep the
# order.
PLACE_S = 0.001
# Timing is not measured where the document does not say when something was said, or only when it began.
NO_TIMES = SkippedFeature("timing", "no_times")
NO_ENDS = SkippedFeature("timing", "no_ends")

# No call has more than this; six hours of talk are a third of it.
_MAX_UTTERANCES = 50_000
_MAX_CHARACTERS = 1_000_000
_LONGEST_S = 7 * 24 * 3600.0
_PAUSE_S = 1.0
_SENTENCE_END = re.compile(r"[.?!\u3002\uff1f\uff01]$")
_ROLES = {
    **dict.fromkeys(
        (
            "agent",
            "representative",
            "rep",
            "advisor",
            "adviser",
            "operator",
            "csr",
            "call center agent",
            "support agent",
        ),
        Speaker.AGENT,
    ),
    **dict.fromkeys(("customer", "caller", "client", "end customer", "consumer"), Speaker.CUSTOMER),
}


@dataclass(frozen=True)
class Said:
    """One stretch of speech as a document has it, in seconds from the start of the call; None is not told.

    `voice` is the document's own label for who speaks, and `speaker` what the document itself says of that voice.
    `channel` is the recorded channel, None where the document tells voices apart and no channels.
    """

    voice: str
    text: str
    start_s: float | None = None
    end_s: float | None = None
    speaker: Speaker = Speaker.UNKNOWN
    channel: int | None = None
    words: tuple[Word, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True)
class Document:
    """One document, read; `duration_s` is the call's length in seconds where the document states it."""

    said: Sequence[Said] = ()
    facts: CallFacts = field(default_factory=CallFacts)
    language: str = ""
    duration_s: float | None = None
    skipped: tuple[SkippedFeature, ...] = ()
    channel_count: int | None = None


def speaker_named(label: str) -> Speaker:
    """The side that a word for a role names; `unknown` for a name, a number, a bot."""
    return _ROLES.get(" ".join(re.split(r"[\s_-]+", label.strip().casefold())), Speaker.UNKNOWN)


def read_language(value: object) -> str:
    """The code of `en-US`, `en` or `English`; empty for what is no language."""
    return language_code(re.split(r"[-_]", value, maxsplit=1)[0]) if isinstance(value, str) else ""


def read_line(value: object) -> str:
    """One line of text as a database takes it; empty for what is no text."""
    if not isinstance(value, str):
        return ""
    return " ".join(value.replace("\0", "").encode(errors="replace").decode().split())


def read_offset(value: object, scale: float = 1.0) -> float | None:
    """Seconds from the start of a call, of a number or of text; None for anything that no call can have."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value) * scale
    except (ValueError, OverflowError):
        return None
    return round(seconds, 3) if math.isfinite(seconds) and 0 <= seconds <= _LONGEST_S else None


def read_share(value: object) -> float | None:
    """A confidence of 0..1, of a number or of text."""
    seconds = read_offset(value)
    return seconds if seconds is not None and seconds <= 1 else None


def mappings(value: object) -> list[Mapping[str, Any]]:
    """The JSON objects of a JSON array; empty for anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def first_of(item: Mapping[str, Any], names: Iterable[str]) -> Any:
    """The first of these names that the object gives a value for."""
    return next((item[name] for name in names if item.get(name) is not None), None)


def cut(heard: Said) -> list[Said]:
    """One voice's words as stretches: a new one after a sentence or a pause, so that another voice finds its place.

    The text is joined from the words. Words are in order of time.
    """
    stretches: list[list[Word]] = []
    for word in heard.words:
        last = stretches[-1][-1] if stretches else None
        if last is None or word.start_s - last.end_s > _PAUSE_S or _SENTENCE_END.search(last.text):
            stretches.append([])
        stretches[-1].append(word)
    return [
        replace(
            heard,
            text=" ".join(word.text for word in words),
            start_s=words[0].start_s,
            end_s=max(word.end_s for word in words),
            words=tuple(words),
        )
        for words in stretches
    ]


def mean_confidence(words: Sequence[Word]) -> float | None:
    """The mean of the words that have a confidence; None where none has."""
    known = [word.confidence for word in words if word.confidence is not None]
    return round(sum(known) / len(known), 4) if known else None


def make_utterances(said: Sequence[Said]) -> tuple[tuple[Utterance, ...], tuple[SkippedFeature, ...]]:
    """The utterances in order, and what of their timing the document leaves open.

    Where it tells no channels, each voice has a number of its own in `channel`. Without any time, and where everything
    starts at once, the start is the place in the document, PLACE_S apart. Without an end, an utterance ends where it
    starts, and stands PLACE_S behind the one before it where both start together; without a start of its own it starts
    with that one. Raises TerminalError: `empty_conversation`, or `unreadable_conversation` where there is more than any
    call holds.
    """
    worded = [(one, text) for one in said if (text := read_line(one.text)) and any(map(str.isalnum, text))]
    if not worded:
        raise TerminalError("nothing is said in this conversation", code=EMPTY)
    if len(worded) > _MAX_UTTERANCES or sum(len(text) for _, text in worded) > _MAX_CHARACTERS:
        raise TerminalError("there is more text than any call has", code=UNREADABLE)
    voices: dict[object, int] = {}
    starts = {one.start_s for one, _ in worded if one.start_s is not None}
    is_timed = len(starts) > 1 or (bool(starts) and (len(worded) == 1 or any(one.end_s for one, _ in worded)))
    told_s, behind = 0.0, -1
    utterances: list[Utterance] = []
    for place, (one, text) in enumerate(worded):
        before_s, told_s = told_s, one.start_s if is_timed and one.start_s is not None else told_s
        behind = behind + 1 if one.end_s is None and told_s == before_s else 0
        start_s = told_s + behind * PLACE_S if is_timed else place * PLACE_S
        channel = one.channel if one.channel is not None else voices.setdefault(one.voice, len(voices))
        utterances.append(
            Utterance(
                channel=channel,
                start_s=start_s,
                end_s=max(start_s, one.end_s or 0.0) if is_timed else start_s,
                text=text,
                avg_confidence=one.confidence if one.confidence is not None else mean_confidence(one.words),
                speaker=one.speaker,
                words=one.words,
            )
        )
    utterances.sort(key=lambda u: u.start_s)
    if not is_timed:
        return tuple(utterances), (NO_TIMES,)
    is_measured = all(one.start_s is not None and one.end_s is not None for one, _ in worded)
    return tuple(utterances), () if is_measured else (NO_ENDS,)
