"""English on this machine without a hub, a key or a GPU: Moonshine, whose small model comes with its package.

The library says what was said, not when each word was: a turn of one speaker is heard at a time, and has its times.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from calls.errors import EngineMisconfigured, TransientError
from calls.money import Charge
from calls.transcript import Utterance
from engines.speech import (
    ENGLISH,
    NOTHING_KEPT,
    SPEECH_RATE_HZ,
    ChannelAudio,
    Heard,
    KeptPieces,
    SpeechHints,
    check_english,
)
from engines.speech_pieces import Piece, in_order, pack_by_turns, place_text, without_loops
from engines.speech_whisper import OncePerProcess, memory_errors_translated

INSTALL = "run `tools/setup_environment.sh moonshine` in the checkout"
MODEL = "tiny-en"
_FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
# The model was made for utterances of up to half a minute.
_MAX_PIECE_S = 30.0
# What is heard is speech already: the library's own detector would take it apart in mid-sentence.
_OPTIONS = {"vad_threshold": "0.0", "return_audio_data": "false"}


class MoonshineSpeech:
    """Transcribes English with Moonshine's `tiny-en`, which the extra `moonshine` brings.

    The model is loaded on first use, in half a second, and shared by all threads of the process, one at a time.
    """

    name = f"moonshine/{MODEL}"
    is_demo = False
    can_translate = False

    def __init__(self) -> None:
        self._transcriber = OncePerProcess(self._load)

    def check(self) -> None:
        """See SpeechEngine."""
        find_model()

    def transcribe(
        self,
        audio: ChannelAudio,
        hints: SpeechHints,
        pay: Callable[[Charge], None],
        kept: KeptPieces = NOTHING_KEPT,
    ) -> Heard:
        """See SpeechEngine. Nothing is charged or kept; `hints.vocabulary` cannot be used."""
        check_english(hints.language, "moonshine")
        self.check()
        pieces = pack_by_turns(audio, max_s=_MAX_PIECE_S)
        if not pieces:
            return Heard([])
        with self._transcriber.use() as transcriber, memory_errors_translated():
            said = [one for piece in pieces for one in _hear(transcriber, piece, audio)]
        return Heard(in_order(said), ENGLISH if said else "")

    def _load(self) -> Any:
        from moonshine_voice.errors import MoonshineError
        from moonshine_voice.moonshine_api import ModelArch
        from moonshine_voice.transcriber import Transcriber

        # Workers run side by side, one per core; two threads of the library's take twice the processor's time of one.
        os.environ.setdefault("MOONSHINE_ORT_SINGLE_THREAD", "1")
        try:
            return Transcriber(find_model(), ModelArch.TINY, options=_OPTIONS)
        except MoonshineError as error:
            raise EngineMisconfigured(
                f"moonshine cannot load its model ({error}): {INSTALL}", code="unusable_model"
            ) from error


def find_model() -> Path:
    """The folder of the model that came with the package. Raises EngineMisconfigured."""
    package = find_spec("moonshine_voice")
    if package is None or package.origin is None:
        raise EngineMisconfigured(f"moonshine is not installed: {INSTALL}", code="not_installed")
    folder = Path(package.origin).parent / "assets" / MODEL
    absent = [name for name in _FILES if not (folder / name).is_file()]
    if absent:
        # Later releases fetch their models from a server.
        raise EngineMisconfigured(
            f"moonshine has come without its model ({absent[0]}): {INSTALL}", code="missing_model"
        )
    return folder


def _hear(transcriber: Any, piece: Piece, audio: ChannelAudio) -> list[Utterance]:
    from moonshine_voice.errors import MoonshineError

    sound = (piece.samples(audio).astype(np.float32) / 32768.0).tolist()
    try:
        lines = transcriber.transcribe_without_streaming(sound, SPEECH_RATE_HZ).lines
    except MoonshineError as error:
        raise TransientError("moonshine gave up on a piece", code="engine_failed") from error
    words = " ".join(line.text for line in lines).split()
    text = " ".join(words[index] for index in without_loops(words))
    return [place_text(piece, 0.0, piece.duration_s, text)] if text else []
