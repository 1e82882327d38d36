"""What a speech engine is: audio in, utterances out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calls.money import Charge
from calls.transcript import Utterance

SPEECH_RATE_HZ = 16_000


@dataclass(frozen=True)
class ChannelAudio:
    """Decoded audio: int16 samples of shape [channel, sample] at SPEECH_RATE_HZ, one or two channels."""

    samples: NDArray[np.int16]
    rate_hz: int = SPEECH_RATE_HZ

    @property
    def channel_count(self) -> int:
        """1 or 2."""
        return int(self.samples.shape[0])

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float(self.samples.shape[1] / self.rate_hz)


@dataclass(frozen=True)
class SpeechHints:
    """What helps an engine: the language (ISO 639-1; None = detect), the owner's names and products, and the task.

    `task` is `transcribe`, or `translate` for English text from any language.
    """

    language: str | None = None
    vocabulary: tuple[str, ...] = ()
    task: str = "transcribe"


@dataclass(frozen=True)
class Heard:
    """What an engine heard. No utterances means silence. `language_probability` is 0..1, None where it was not
    detected.
    """

    utterances: list[Utterance]
    language: str = ""
    language_probability: float | None = None


class SpeechEngine(Protocol):
    """Turns audio into words.

    `name` ("engine/model") is stored beside every transcript; `is_demo` marks an engine that is good for demos and
    tests only and is labelled as such wherever its text appears.
    """

    name: str
    is_demo: bool

    def transcribe(self, audio: ChannelAudio, hints: SpeechHints, pay: Callable[[Charge], None]) -> Heard:
        """Times are seconds from the start of the recording; speakers are left `unknown`, channels are kept.

        `pay` is called once per paid request, as soon as its answer is there. Raises UndecodableAudio (terminal) or
        TransientError (EngineMisconfigured among them), and nothing else.
        """

    def check(self) -> None:
        """Find out whether the engine could work: installed, model present, key accepted. Costs nothing, loads nothing
        big.

        Raises EngineMisconfigured, whose text names the setting and the fix, or TransientError when a server does not
        answer.
        """
