"""Speech without a download, a key or a GPU: pocketsphinx with a small language model. For demos and tests only.

The acoustic model comes with pocketsphinx; the language model (offline_speech/, made by tools/make_language_model)
knows some hundred words of a service centre and, among other text, the scripts of the bundled sample recordings. So it
hears the samples well, other clear speech of that world so-so, and real telephone calls badly: more than half of the
words are wrong there. docs/accuracy.md has the figures.
"""

import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pocketsphinx

from calls.errors import EngineMisconfigured, TransientError
from calls.money import Charge
from calls.transcript import Word
from engines.speech import ENGLISH, NOTHING_KEPT, ChannelAudio, Heard, KeptPieces, SpeechHints, check_english
from engines.speech_pieces import Piece, in_order, pack, place_words

MODEL_FOLDER = Path(__file__).resolve().parent / "offline_speech"
_FRAME_S = 0.01
_MAX_PIECE_S = 15.0
# Codecs leave stretches of exact zeros, which the acoustic model has never heard; a little noise helps it by a tenth.
_DITHER_LEVEL = 3.0
_SENTENCE_PAUSE_S = 0.25


class _Segment(NamedTuple):
    """A word as pocketsphinx says it; a pause is a word in angle or square brackets."""

    word: str
    start_s: float
    end_s: float
    confidence: float

    @property
    def is_word(self) -> bool:
        return self.word[0] not in "<["


class OfflineSpeech:
    """Hears English with the few words of its language model; sentences end where somebody pauses.

    The model is loaded on first use, in half a second, and shared by all threads of the process, one at a time.
    """

    name = "pocketsphinx/callwise-domain"
    is_demo = True
    can_translate = False

    def __init__(self, model_folder: Path = MODEL_FOLDER) -> None:
        self._folder = model_folder
        self._lock = threading.Lock()

    def transcribe(
        self,
        audio: ChannelAudio,
        hints: SpeechHints,
        pay: Callable[[Charge], None],
        kept: KeptPieces = NOTHING_KEPT,
    ) -> Heard:
        """See SpeechEngine. Nothing is ever paid; `hints.vocabulary` cannot be used."""
        check_english(hints.language, "the offline speech engine")
        heard = [
            utterance
            for piece in pack(audio, max_s=_MAX_PIECE_S)
            for utterance in place_words(piece, self._written(self._recognise(audio, piece)))
        ]
        return Heard(in_order(heard), ENGLISH if heard else "")

    def check(self) -> None:
        """See SpeechEngine."""
        for name in ("model.lm", "words.dict", "names.txt"):
            if not (self._folder / name).is_file():
                raise EngineMisconfigured(
                    f"{self._folder / name} is missing: install Callwise anew", code="missing_model"
                )

    @cached_property
    def _decoder(self) -> Any:
        self.check()
        return pocketsphinx.Decoder(
            hmm=pocketsphinx.get_model_path("en-us/en-us"),
            lm=str(self._folder / "model.lm"),
            dict=str(self._folder / "words.dict"),
            loglevel="FATAL",
        )

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset((self._folder / "names.txt").read_text(encoding="utf-8").split())

    def _recognise(self, audio: ChannelAudio, piece: Piece) -> list[_Segment]:
        """What is heard in the piece, pauses included, in times of the piece."""
        samples = piece.samples(audio)
        noise = np.random.default_rng(0).normal(0, _DITHER_LEVEL, len(samples))
        sound = np.clip(samples + noise, -32768, 32767).astype(np.int16).tobytes()
        with self._lock:
            decoder = self._decoder
            try:
                # Else the noise of the piece before is subtracted here, and what is heard depends on the order.
                decoder.reinit_feat()
                decoder.start_utt()
                decoder.process_raw(sound, full_utt=True)
                decoder.end_utt()
                found = list(decoder.seg() or ())
            except RuntimeError as error:
                raise TransientError("pocketsphinx gave up on a piece", code="engine_failed") from error
        return [
            _Segment(
                # A word with several pronunciations says which was heard: "the(2)".
                segment.word.partition("(")[0],
                segment.start_frame * _FRAME_S,
                (segment.end_frame + 1) * _FRAME_S,
                min(1.0, max(0.0, float(segment.prob))),
            )
            for segment in found
        ]

    def _written(self, segments: list[_Segment]) -> list[Word]:
        """Words the way people write them: names and "I" with a capital, a full stop where somebody paused."""
        return [
            Word(
                f" {self._spelt(segment.word, begins)}{'.' if ends else ''}",
                segment.start_s,
                segment.end_s,
                round(segment.confidence, 4),
            )
            for segment, begins, ends in _in_sentences(segments)
        ]

    def _spelt(self, word: str, begins_sentence: bool) -> str:
        is_name = begins_sentence or word in self._names or word == "i" or word.startswith("i'")
        return word[0].upper() + word[1:] if is_name else word


def _in_sentences(segments: list[_Segment]) -> Iterator[tuple[_Segment, bool, bool]]:
    """The words, each with whether it begins and whether it ends a sentence."""
    begins = True
    for index, segment in enumerate(segments):
        if not segment.is_word:
            continue
        pause_s, more = 0.0, False
        for following in segments[index + 1 :]:
            if following.is_word:
                more = True
                break
            pause_s += following.end_s - following.start_s
        ends = not more or pause_s >= _SENTENCE_PAUSE_S
        yield segment, begins, ends
        begins = ends
