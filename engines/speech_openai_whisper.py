"""Whisper on this machine by openai-whisper (PyTorch): the reference that the faster engine is measured against."""

import pickle
from collections.abc import Callable, Sequence
from hashlib import file_digest
from importlib.util import find_spec
from os import environ
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calls.errors import EngineMisconfigured
from calls.money import Charge
from calls.transcript import Utterance, Word
from engines.speech import NOTHING_KEPT, ChannelAudio, Heard, KeptPieces, SpeechHints
from engines.speech_pieces import Piece, in_order
from engines.speech_whisper import (
    NO_SPEECH_PROBABILITY,
    UNSURE_LOGPROB,
    OncePerProcess,
    WhisperSegment,
    check_language,
    memory_errors_translated,
    pieces_for,
    place_segments,
    prompt_of,
)

INSTALL = "run `tools/setup_environment.sh openai-whisper` in the checkout"


class OpenAIWhisperSpeech:
    """Transcribes with openai-whisper: `model` is one of its model names or the path of a `.pt` checkpoint.

    Weights are fetched only when `download` is set. `device` is `auto`, `cpu` or `cuda`.
    """

    is_demo = False
    can_translate = True

    def __init__(self, model: str, *, device: str = "auto", download: bool = False, thread_count: int = 1) -> None:
        local = Path(model).expanduser()
        self.name = f"openai-whisper/{local.stem if local.exists() else model}"
        self._model = model
        self._device = device
        self._download = download
        self._thread_count = thread_count
        self._whisper = OncePerProcess(self._load)

    def check(self) -> None:
        """See SpeechEngine."""
        self._need_installed()
        if not self._download:
            self._find_weights()

    def transcribe(
        self,
        audio: ChannelAudio,
        hints: SpeechHints,
        pay: Callable[[Charge], None],
        kept: KeptPieces = NOTHING_KEPT,
    ) -> Heard:
        """See SpeechEngine. The language is detected once, where most is said; nothing is charged or kept."""
        self._need_installed()
        pieces = pieces_for(audio, hints)
        if not pieces:
            return Heard([])
        with self._whisper.use() as model:
            return self._hear(model, audio, pieces, hints)

    def _hear(self, model: Any, audio: ChannelAudio, pieces: Sequence[Piece], hints: SpeechHints) -> Heard:
        from whisper.tokenizer import LANGUAGES

        check_language(hints.language, list(LANGUAGES) if model.is_multilingual else ["en"])
        said: list[Utterance] = []
        with memory_errors_translated():
            language, probability = hints.language or "en", None
            if hints.language is None and model.is_multilingual:
                longest = max(pieces, key=lambda piece: piece.duration_s)
                language, probability = _detect_language(model, _as_float(longest, audio))
            for piece in pieces:
                said += place_segments(piece, self._hear_window(model, _as_float(piece, audio), language, hints))
        return Heard(in_order(said), language, probability)

    def _hear_window(
        self, model: Any, window: NDArray[np.float32], language: str, hints: SpeechHints
    ) -> list[WhisperSegment]:
        result = model.transcribe(
            window,
            language=language,
            task=hints.task,
            fp16=model.device.type == "cuda",
            # The words of a translation have no time of their own in the sound.
            word_timestamps=hints.task == "transcribe",
            condition_on_previous_text=False,
            initial_prompt=prompt_of(hints.vocabulary),
            no_speech_threshold=NO_SPEECH_PROBABILITY,
            logprob_threshold=UNSURE_LOGPROB,
            verbose=None,
        )
        return [
            WhisperSegment(
                start_s=float(segment["start"]),
                end_s=float(segment["end"]),
                text=segment["text"],
                words=tuple(
                    Word(w["word"], float(w["start"]), float(w["end"]), round(float(w["probability"]), 4))
                    for w in segment.get("words", ())
                ),
                avg_logprob=float(segment["avg_logprob"]),
                no_speech_probability=float(segment["no_speech_prob"]),
            )
            for segment in result["segments"]
        ]

    def _need_installed(self) -> None:
        if find_spec("whisper") is None or find_spec("torch") is None:
            raise EngineMisconfigured(f"openai-whisper is not installed: {INSTALL}", code="not_installed")

    def _find_weights(self) -> Path:
        """The checkpoint's file on this machine. Raises EngineMisconfigured, never asks the network."""
        path = Path(self._model).expanduser()
        if path.is_file():
            return path
        import whisper

        address: str | None = whisper._MODELS.get(self._model)
        if address is None:
            raise EngineMisconfigured(
                f"no file and no model of Whisper's is called {self._model}; CALLWISE_SPEECH__MODEL can be one of"
                f" {', '.join(whisper.available_models())}",
                code="missing_model",
            )
        cache = Path(environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
        path = cache / "whisper" / address.rsplit("/", 1)[1]
        if not path.is_file():
            raise self._missing(f"no model {self._model} on this machine")
        return path

    def _missing(self, what: str) -> EngineMisconfigured:
        return EngineMisconfigured(
            f"{what}: get it with `python -c \"import whisper; whisper.load_model('{self._model}')\"`, or set"
            " CALLWISE_SPEECH__DOWNLOAD=true, or CALLWISE_SPEECH__MODEL to the path of a .pt file",
            code="missing_model",
        )

    def _load(self) -> Any:
        import torch
        import whisper

        if not self._download:
            path = self._find_weights()
            # The library fetches a file that differs from what it expects, without asking.
            expected = whisper._MODELS.get(self._model, "").rsplit("/", 2)[-2:-1]
            if expected and not Path(self._model).expanduser().is_file() and _sha256(path) != expected[0]:
                raise self._missing(f"{path} is damaged")
        device = self._device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cpu":
            torch.set_num_threads(self._thread_count)
        try:
            with memory_errors_translated():
                return whisper.load_model(str(Path(self._model).expanduser()), device=device)
        except OSError as error:
            raise self._missing(f"the model could not be fetched or read ({type(error).__name__})") from error
        except (RuntimeError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
            raise EngineMisconfigured(
                f"the model {self._model} cannot be loaded on {device}; look at CALLWISE_SPEECH__MODEL and"
                f" CALLWISE_SPEECH__DEVICE ({type(error).__name__})",
                code="unusable_model",
            ) from error


def _detect_language(model: Any, window: NDArray[np.float32]) -> tuple[str, float]:
    import whisper

    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(window), n_mels=model.dims.n_mels)
    _, probabilities = model.detect_language(mel.to(model.device))
    best = max(probabilities, key=probabilities.get)
    return best, round(float(probabilities[best]), 4)


def _as_float(piece: Piece, audio: ChannelAudio) -> NDArray[np.float32]:
    return piece.samples(audio).astype(np.float32) / np.float32(32768)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
