"""Whisper on this machine by faster-whisper (CTranslate2): the local engine of choice."""

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calls.errors import EngineMisconfigured
from calls.money import Charge
from calls.transcript import Utterance, Word
from engines.speech import NOTHING_KEPT, SPEECH_RATE_HZ, ChannelAudio, Heard, KeptPieces, SpeechHints
from engines.speech_pieces import Piece, in_order
from engines.speech_whisper import (
    OncePerProcess,
    WhisperSegment,
    check_language,
    memory_errors_translated,
    pieces_for,
    place_segments,
    prompt_of,
)

INSTALL = "run `tools/setup_environment.sh whisper` in the checkout"
WINDOWS_AT_ONCE = 8
_LANGUAGE_WINDOWS = 4
# Without these files in a folder the library asks the hub for them.
_NEEDED_FILES = ("model.bin", "tokenizer.json")


class FasterWhisperSpeech:
    """Transcribes with a CTranslate2 conversion of Whisper: a model's name, its id on the hub, or a local folder.

    The hub is asked only when `download` is set. `device` is `auto`, `cpu` (int8) or `cuda` (float16). One CPU thread
    by default: workers run side by side, one per core. `windows_in_memory` bounds what a long call holds there: the
    library makes the features of all windows that it is given before it hears the first.
    """

    is_demo = False
    can_translate = True

    def __init__(
        self,
        model: str,
        *,
        device: str = "auto",
        download: bool = False,
        thread_count: int = 1,
        windows_in_memory: int = 64,
    ) -> None:
        local = Path(model).expanduser()
        self.name = f"faster-whisper/{local.name if local.exists() else model}"
        self._model = model
        self._device = device
        self._download = download
        self._thread_count = thread_count
        self._windows_in_memory = windows_in_memory
        self._pipeline = OncePerProcess(self._load)

    def check(self) -> None:
        """See SpeechEngine."""
        self._need_installed()
        if not self._download:
            self._find_files()

    def transcribe(
        self,
        audio: ChannelAudio,
        hints: SpeechHints,
        pay: Callable[[Charge], None],
        kept: KeptPieces = NOTHING_KEPT,
    ) -> Heard:
        """See SpeechEngine. The windows of both channels go through the model together; nothing is charged or kept."""
        self._need_installed()
        pieces = pieces_for(audio, hints)
        if not pieces:
            return Heard([])
        with self._pipeline.use() as pipeline:
            return self._hear(pipeline, audio, pieces, hints)

    def _hear(self, pipeline: Any, audio: ChannelAudio, pieces: Sequence[Piece], hints: SpeechHints) -> Heard:
        check_language(hints.language, pipeline.model.supported_languages)
        said: list[Utterance] = []
        language, probability = hints.language, None
        with memory_errors_translated():
            for first in range(0, len(pieces), self._windows_in_memory):
                some = pieces[first : first + self._windows_in_memory]
                by_window, found = _hear_windows(pipeline, [piece.samples(audio) for piece in some], language, hints)
                if language is None:
                    language, probability = found.language, round(float(found.language_probability), 4)
                for piece, heard in zip(some, by_window, strict=True):
                    said += place_segments(piece, heard)
        return Heard(in_order(said), language or "", probability)

    def _need_installed(self) -> None:
        if find_spec("faster_whisper") is None:
            raise EngineMisconfigured(f"faster-whisper is not installed: {INSTALL}", code="not_installed")

    def _find_files(self) -> Path:
        """The folder of the model's files on this machine. Raises EngineMisconfigured, never asks the network."""
        folder = Path(self._model).expanduser()
        if not folder.is_dir():
            from faster_whisper.utils import download_model

            try:
                folder = Path(download_model(self._model, local_files_only=True))
            except (OSError, ValueError):
                raise self._missing(f"no model {self._model} on this machine") from None
        absent = [name for name in _NEEDED_FILES if not (folder / name).is_file()]
        if absent:
            raise self._missing(f"{folder} has no {' and no '.join(absent)}")
        return folder

    def _missing(self, what: str) -> EngineMisconfigured:
        return EngineMisconfigured(
            f"{what}: get it with `hf download Systran/faster-whisper-{Path(self._model).name}`, or set"
            " CALLWISE_SPEECH__DOWNLOAD=true, or CALLWISE_SPEECH__MODEL to a folder with a converted model",
            code="missing_model",
        )

    def _load(self) -> Any:
        import ctranslate2
        from faster_whisper import BatchedInferencePipeline, WhisperModel
        from faster_whisper.utils import download_model
        from huggingface_hub.errors import HfHubHTTPError

        device = self._device
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        try:
            folder = self._find_files()
        except EngineMisconfigured:
            if not self._download or Path(self._model).expanduser().is_dir():
                raise
            try:
                folder = Path(download_model(self._model))
            except (OSError, ValueError, HfHubHTTPError) as error:
                raise self._missing(f"the model could not be downloaded ({type(error).__name__})") from error
        try:
            with memory_errors_translated():
                model = WhisperModel(
                    str(folder),
                    device=device,
                    compute_type="float16" if device == "cuda" else "int8",
                    cpu_threads=self._thread_count,
                    local_files_only=True,
                )
        except (RuntimeError, ValueError) as error:
            raise EngineMisconfigured(
                f"the model in {folder} cannot be loaded on {device}; look at CALLWISE_SPEECH__MODEL and"
                f" CALLWISE_SPEECH__DEVICE ({type(error).__name__})",
                code="unusable_model",
            ) from error
        return BatchedInferencePipeline(model)


def _hear_windows(
    pipeline: Any, windows: Sequence[NDArray[np.int16]], language: str | None, hints: SpeechHints
) -> tuple[list[list[WhisperSegment]], Any]:
    """What is heard in each window, and what the library says of the whole."""
    starts = list(accumulate((len(window) for window in windows), initial=0))
    segments, found = pipeline.transcribe(
        np.concatenate(windows).astype(np.float32) / 32768.0,
        language=language,
        # A first window that leaves the language open is no reason to guess: the next ones are asked, too.
        language_detection_segments=_LANGUAGE_WINDOWS,
        task=hints.task,
        batch_size=WINDOWS_AT_ONCE,
        clip_timestamps=[
            # Half a sample more, because the library rounds down.
            {"start": (start + 0.5) / SPEECH_RATE_HZ, "end": (end + 0.5) / SPEECH_RATE_HZ}
            for start, end in pairwise(starts)
        ],
        # The words of a translation have no time of their own in the sound.
        word_timestamps=hints.task == "transcribe",
        without_timestamps=False,
        condition_on_previous_text=False,
        initial_prompt=prompt_of(hints.vocabulary),
    )
    return _by_window(list(segments), starts, pipeline.model.frames_per_second), found


def _by_window(segments: Sequence[Any], starts: Sequence[int], frames_per_s: int) -> list[list[WhisperSegment]]:
    """The segments of each window, at times from its start. `seek` tells a segment's window: its times may overrun."""
    window_at = {int(start / SPEECH_RATE_HZ * frames_per_s): index for index, start in enumerate(starts[:-1])}
    by_window: list[list[WhisperSegment]] = [[] for _ in starts[:-1]]
    for segment in segments:
        window = window_at[min(window_at, key=lambda frame: abs(frame - segment.seek))]
        start_s = starts[window] / SPEECH_RATE_HZ
        by_window[window].append(
            WhisperSegment(
                start_s=float(segment.start - start_s),
                end_s=float(segment.end - start_s),
                text=segment.text,
                words=tuple(
                    Word(w.word, float(w.start - start_s), float(w.end - start_s), round(float(w.probability), 4))
                    for w in segment.words or ()
                ),
                avg_logprob=segment.avg_logprob,
                no_speech_probability=segment.no_speech_prob,
            )
        )
    return by_window
