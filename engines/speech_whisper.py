"""What both local Whisper engines share: loading once, the owner's words as a prompt, rules against invented text."""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import getpid
from typing import Generic, TypeVar

from calls.errors import EngineMisconfigured, TransientError
from calls.transcript import Utterance, Word
from engines.speech import ChannelAudio, SpeechHints
from engines.speech_pieces import Piece, pack, place_text, place_words, without_loops
from engines.speech_windows import WINDOW_S, pack_windows

# Whisper's own rule for text over silence, which the libraries apply in some of their modes only.
NO_SPEECH_PROBABILITY = 0.6
UNSURE_LOGPROB = -1.0

Model = TypeVar("Model")


@dataclass(frozen=True)
class WhisperSegment:
    """One segment as Whisper gives it, at times of the window it was heard in."""

    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...]
    avg_logprob: float
    no_speech_probability: float


class OncePerProcess(Generic[Model]):
    """A model that is loaded on first use and then kept, for one thread at a time, and anew in a process forked off.

    Both libraries keep the state of a transcription in the model: two threads at once would mix their calls up.
    """

    def __init__(self, load: Callable[[], Model]) -> None:
        self._load = load
        # By process: neither a lock nor the threads and device handles of a loaded model survive a fork.
        self._locks: dict[int, threading.Lock] = {}
        self._loaded: tuple[int, Model] | None = None

    @contextmanager
    def use(self) -> Iterator[Model]:
        """The model, for the caller alone. Raises what loading raises; the next call tries again."""
        with self._locks.setdefault(getpid(), threading.Lock()):
            if self._loaded is None or self._loaded[0] != getpid():
                self._loaded = (getpid(), self._load())
            yield self._loaded[1]


def pieces_for(audio: ChannelAudio, hints: SpeechHints) -> list[Piece]:
    """The windows that the task needs: both channels share them where words have times to tell them apart by."""
    return pack_windows(audio) if hints.task == "transcribe" else pack(audio, max_s=WINDOW_S)


def place_segments(piece: Piece, segments: Sequence[WhisperSegment]) -> list[Utterance]:
    """The utterances of one window, without what was made up over silence and without repetition loops."""
    believed = [
        segment
        for segment in segments
        if not (segment.no_speech_probability > NO_SPEECH_PROBABILITY and segment.avg_logprob < UNSURE_LOGPROB)
    ]
    words = [word for segment in believed for word in segment.words]
    if words:
        kept = without_loops([word.text for word in words])
        return place_words(piece, [words[index] for index in kept])
    placed = []
    for segment in believed:
        tokens = segment.text.split()
        text = " ".join(tokens[index] for index in without_loops(tokens))
        confidence = round(math.exp(min(0.0, segment.avg_logprob)), 4)
        if text:
            placed.append(place_text(piece, segment.start_s, segment.end_s, text, confidence=confidence))
    return placed


def prompt_of(vocabulary: Sequence[str]) -> str | None:
    """The owner's names and products as a prompt; None without any."""
    return f"Glossary: {', '.join(vocabulary)}." if vocabulary else None


def check_language(language: str | None, known: Sequence[str]) -> None:
    """Raises EngineMisconfigured for a language that the model does not know."""
    if language is not None and language not in known:
        raise EngineMisconfigured(
            f"the model does not know the language {language!r}; look at CALLWISE_SPEECH__LANGUAGE",
            code="unknown_language",
        )


@contextmanager
def memory_errors_translated() -> Iterator[None]:
    """A full graphics card or machine is no fault of the call: TransientError `out_of_memory`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # CTranslate2 has no class of its own for it, and PyTorch's is a RuntimeError.
        if isinstance(error, MemoryError) or "out of memory" in str(error).casefold():
            raise TransientError("not enough memory for the speech model", code="out_of_memory") from error
        raise
