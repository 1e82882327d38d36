"""Speech to text by API: OpenAI, Azure OpenAI, and any server that speaks the same protocol.

A request carries speech of one channel only, so every word has its channel for certain, and silence is neither sent nor
paid for. What a model accepts: OpenAI's API description (paths /audio/transcriptions and /audio/translations).
"""

import io
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import av
import numpy as np
import openai
from numpy.typing import NDArray

from calls.errors import CallwiseError, EngineMisconfigured
from calls.money import Charge
from calls.prices import Price, cost_microusd
from calls.transcript import Utterance, Word
from engines.openai_client import Provider, build_client, check_client, translated_errors
from engines.speech import ChannelAudio, Heard, SpeechHints
from engines.speech_languages import language_code
from engines.speech_pieces import Piece, in_order, pack, pack_by_turns, place_stretch, place_words, without_loops

# 600 s at 16 kHz are 19 MB before FLAC makes them smaller: below the 25 MB of an upload and each model's 1,400 s.
TIMED_PIECE_S = 600.0
UNTIMED_PIECE_S = 30.0
REQUESTS_AT_ONCE = 4

# Whisper's own rule for text that it made up over silence.
_NO_SPEECH_PROBABILITY = 0.6
_UNSURE_LOGPROB = -1.0


@dataclass(frozen=True)
class ModelTraits:
    """What a family of models takes and gives; `vocabulary` names the field for the owner's words, empty for none."""

    response_format: str = "json"
    vocabulary: str = ""
    has_word_times: bool = False
    has_segments: bool = False
    is_chunked: bool = False
    can_translate: bool = False


_WHISPER = ModelTraits("verbose_json", "prompt", has_word_times=True, has_segments=True, can_translate=True)
_DIARIZE = ModelTraits("diarized_json", has_segments=True, is_chunked=True)
_KEYWORDS = ModelTraits(vocabulary="keywords")
_PROMPTED = ModelTraits(vocabulary="prompt")
_UNKNOWN = ModelTraits()


def traits_of(model: str) -> ModelTraits:
    """What a model or an Azure deployment can do, from its name; one with a name of its own is asked for plain text."""
    name = model.casefold()
    for mark, traits in (
        ("diarize", _DIARIZE),
        ("whisper", _WHISPER),
        ("gpt-transcribe", _KEYWORDS),
        ("transcribe", _PROMPTED),
    ):
        if mark in name:
            return traits
    return _UNKNOWN


@dataclass(frozen=True)
class _Answer:
    piece: Piece
    utterances: list[Utterance]
    language: str
    charge: Charge


class ApiSpeech:
    """Transcribes over the openai SDK.

    `provider` is `openai` (with a `base_url`: the server there) or `azure`, where `model` is the deployment's
    name and should contain the model's. `price` None means that the owner stated none.
    """

    is_demo = False

    def __init__(
        self,
        provider: Provider,
        *,
        model: str,
        api_key: str = "",
        base_url: str = "",
        api_version: str = "",
        price: Price | None = None,
        timeout_s: float = 300.0,
    ) -> None:
        self.name = f"{provider}/{model}"
        self._provider = provider
        self._model = model
        self._traits = traits_of(model)
        self._price = price
        self._timeout_s = timeout_s
        self._address = {"api_key": api_key, "base_url": base_url, "api_version": api_version}

    @cached_property
    def _client(self) -> openai.OpenAI:
        return build_client(self._provider, timeout_s=self._timeout_s, **self._address)

    def check(self) -> None:
        """See SpeechEngine."""
        check_client(self._client, self._provider, self._model, "speech")

    def transcribe(self, audio: ChannelAudio, hints: SpeechHints, pay: Callable[[Charge], None]) -> Heard:
        """See SpeechEngine. A model that gives no times is asked turn by turn, so that turns have times."""
        if hints.task == "translate" and not self._traits.can_translate:
            raise EngineMisconfigured(
                f"{self._model} cannot translate: set CALLWISE_SPEECH__MODEL to whisper-1", code="unsupported_task"
            )
        if self._traits.has_segments:
            pieces = pack(audio, max_s=TIMED_PIECE_S)
        else:
            pieces = pack_by_turns(audio, max_s=UNTIMED_PIECE_S)
        answers = self._ask_for_all(audio, pieces, hints, pay)
        language = hints.language or next((answer.language for answer in answers if answer.language), "")
        return Heard(in_order([said for answer in answers for said in answer.utterances]), language)

    def _ask_for_all(
        self, audio: ChannelAudio, pieces: Sequence[Piece], hints: SpeechHints, pay: Callable[[Charge], None]
    ) -> list[_Answer]:
        """Every piece's answer, longest first. After an error what is already out is waited for, and paid for."""
        client = self._client
        answers: list[_Answer] = []
        failure: BaseException | None = None
        with ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="speech-api") as pool:
            waiting = [pool.submit(self._ask, client, piece.samples(audio), piece, hints) for piece in pieces]
            for done in as_completed(waiting):
                if done.cancelled():
                    continue
                error = done.exception()
                if error is None:
                    answers.append(done.result())
                    pay(answers[-1].charge)
                    continue
                # A wrong setting matters more than a hiccup beside it, and what is unknown matters most.
                if failure is None or not isinstance(error, CallwiseError) or isinstance(error, EngineMisconfigured):
                    failure = error
                for other in waiting:
                    other.cancel()
        if failure is not None:
            raise failure
        return sorted(answers, key=lambda answer: -answer.piece.duration_s)

    def _ask(self, client: openai.OpenAI, samples: NDArray[np.int16], piece: Piece, hints: SpeechHints) -> _Answer:
        sent = ("speech.flac", to_flac(samples), "audio/flac")
        translates = hints.task == "translate"
        with translated_errors("speech"):
            if translates:
                answer: Any = client.audio.translations.create(
                    file=sent, model=self._model, response_format="verbose_json", **self._prompt(hints)
                )
            else:
                answer = client.audio.transcriptions.create(file=sent, model=self._model, **self._options(hints))
        utterances = _read_answer(answer, piece)
        return _Answer(piece, utterances, _language(answer), self._charge(answer, piece))

    def _prompt(self, hints: SpeechHints) -> dict[str, Any]:
        if not hints.vocabulary or not self._traits.vocabulary:
            return {}
        if self._traits.vocabulary == "keywords":
            return {"keywords": list(hints.vocabulary)}
        return {"prompt": ", ".join(hints.vocabulary)}

    def _options(self, hints: SpeechHints) -> dict[str, Any]:
        traits = self._traits
        options: dict[str, Any] = {"response_format": traits.response_format, **self._prompt(hints)}
        if hints.language:
            options["language"] = hints.language
        if traits.has_word_times:
            options["timestamp_granularities"] = ["word", "segment"]
        if traits.is_chunked:
            options["chunking_strategy"] = "auto"
        return options

    def _charge(self, answer: Any, piece: Piece) -> Charge:
        usage = getattr(answer, "usage", None)
        audio_s = float(getattr(usage, "seconds", None) or piece.duration_s)
        input_tokens = int(getattr(usage, "input_tokens", None) or 0)
        output_tokens = int(getattr(usage, "output_tokens", None) or 0)
        cost = cost_microusd(self._price, input_tokens=input_tokens, output_tokens=output_tokens, audio_s=audio_s)
        return Charge(
            provider=self._provider,
            model=self._model,
            purpose="speech",
            request_id=str(getattr(answer, "_request_id", None) or ""),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            audio_s=round(audio_s, 3),
            cost_microusd=cost,
        )


def to_flac(samples: NDArray[np.int16], rate_hz: int = 16_000) -> bytes:
    """The samples (shape [sample]) as a mono FLAC file: lossless, about half the bytes of a WAV."""
    file = io.BytesIO()
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[np.newaxis]), format="s16", layout="mono")
        frame.sample_rate = rate_hz
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _read_answer(answer: Any, piece: Piece) -> list[Utterance]:
    segments = getattr(answer, "segments", None)
    if not segments:
        tokens = str(getattr(answer, "text", "") or "").split()
        text = " ".join(tokens[index] for index in without_loops(tokens))
        return [place_stretch(piece, 0.0, piece.duration_s, text)] if text else []
    words = list(getattr(answer, "words", None) or [])
    counts = [len(str(segment.text).split()) for segment in segments]
    if sum(counts) != len(words):
        return [said for segment in segments for said in _read_segment(segment, (), piece)]
    starts = accumulate(counts, initial=0)
    return [
        said
        for segment, start, count in zip(segments, starts, counts, strict=False)
        for said in _read_segment(segment, words[start : start + count], piece)
    ]


def _read_segment(segment: Any, words: Sequence[Any], piece: Piece) -> list[Utterance]:
    """The utterances of one segment: its text has the punctuation, `words`, one for each token, have the times."""
    logprob = getattr(segment, "avg_logprob", None)
    if (
        logprob is not None
        and logprob < _UNSURE_LOGPROB
        and (getattr(segment, "no_speech_prob", None) or 0.0) > _NO_SPEECH_PROBABILITY
    ):
        return []
    confidence = None if logprob is None else round(math.exp(min(0.0, logprob)), 4)
    tokens = str(segment.text).split()
    kept = without_loops(tokens)
    if words:
        timed = [Word(f" {tokens[i]}", words[i].start, words[i].end, confidence) for i in kept]
        return place_words(piece, timed)
    text = " ".join(tokens[index] for index in kept)
    return [place_stretch(piece, segment.start, segment.end, text, confidence=confidence)] if text else []


def _language(answer: Any) -> str:
    """The language that the answer names: Whisper's `language`, or the first of gpt-transcribe's `languages`."""
    for detected in getattr(answer, "languages", None) or []:
        return language_code(str(detected.code))
    return language_code(str(getattr(answer, "language", None) or ""))
