"""What a speech engine is: audio in, utterances out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from calls.errors import EngineMisconfigured
from calls.money import Charge
from calls.transcript import Utterance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SPEECH_RATE_HZ = 16_000
ENGLISH = "en"


@dataclass(frozen=True)
class ChannelAudio:
    """Decoded audio: int16 samples of shape [channel, sample] at SPEECH_RATE_HZ, one or two channels."""

    samples: "NDArray[np.int16]"
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


def check_english(language: str | None, engine: str) -> None:
    """Raises EngineMisconfigured for a stated language that `engine`, which hears English alone, does not know."""
    if language not in (None, "", ENGLISH):
        raise EngineMisconfigured(
            f"{engine} hears English alone, not {language!r}: look at CALLWISE_SPEECH__LANGUAGE, or set"
            " CALLWISE_SPEECH__ENGINE to one that knows it",
            code="unknown_language",
        )


class KeptPieces(Protocol):
    """Answers that were paid for and are not yet part of a transcript: a second attempt takes them from here."""

    def get(self, key: str) -> str | None:
        """The answer that was put under the key; None when there is none."""

    def put(self, key: str, answer: str) -> None:
        """Keep an answer; it outlives the death of this process once this returns."""


class NothingKept:
    """Keeps nothing: every piece is asked for."""

    def get(self, key: str) -> str | None:
        """Nothing."""
        return None

    def put(self, key: str, answer: str) -> None:
        """Nothing."""


NOTHING_KEPT = NothingKept()


class SpeechEngine(Protocol):
    """Turns audio into words.

    `name` ("engine/model") is stored beside every transcript; `is_demo` marks an engine that is good for demos and
    tests only and is labelled as such wherever its text appears; `can_translate` says whether the task `translate` is
    done, or refused as EngineMisconfigured.
    """

    name: str
    is_demo: bool
    can_translate: bool

    def transcribe(
        self,
        audio: ChannelAudio,
        hints: SpeechHints,
        pay: Callable[[Charge], None],
        kept: KeptPieces = NOTHING_KEPT,
    ) -> Heard:
        """Times are seconds from the start of the recording; speakers are left `unknown`, channels are kept.

        `pay` is called once per paid request, as soon as its answer is there; then the answer is put into `kept`.
        Raises UndecodableAudio (terminal) or TransientError (EngineMisconfigured among them), and nothing else.
        """

    def check(self) -> None:
        """Find out whether the engine could work: installed, model present, key accepted. Costs nothing, loads nothing
        big.

        Raises EngineMisconfigured, whose text names the setting and the fix, or TransientError when a server does not
        answer.
        """
