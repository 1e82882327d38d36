"""Speech to text by API: OpenAI, Azure OpenAI, and any server that speaks the same protocol.

A request carries speech of one channel only, so every word has its channel for certain, and silence is neither sent nor
paid for. What a model accepts: OpenAI's API description (paths /audio/transcriptions and /audio/translations).
"""

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import av
import numpy as np
import openai
from numpy.typing import NDArray

from calls.errors import CallwiseError, EngineMisconfigured, TransientError
from calls.money import Charge
from calls.prices import Price, PriceHistory, cost_microusd, price_on
from engines.openai_client import ModelServer, Provider, translated_errors
from engines.speech import NOTHING_KEPT, ChannelAudio, Heard, KeptPieces, SpeechHints
from engines.speech_answers import read_api_answer
from engines.speech_kept import PieceAnswer, piece_key, read_answer, write_answer
from engines.speech_pieces import Piece, in_order, pack, pack_by_turns

# 600 s at 16 kHz are 19 MB before FLAC makes them smaller: below the 25 MB of an upload and each model's 1,400 s.
TIMED_PIECE_S = 600.0
UNTIMED_PIECE_S = 30.0
REQUESTS_AT_ONCE = 4
# One request may stumble while the others go through; the second that does is a server in trouble.
_HICCUPS_BORNE = 1
_HICCUPS = frozenset({"server_error", "timed_out", "unreachable", "invalid_response"})


@dataclass(frozen=True)
class ModelTraits:
    """What a family of models takes and gives; `vocabulary` names the field for the owner's words, empty for none."""

    response_format: str = "json"
    vocabulary: str = ""
    has_word_times: bool = False
    has_segments: bool = False
    is_chunked: bool = False
    has_confidences: bool = False
    can_translate: bool = False


_WHISPER = ModelTraits("verbose_json", "prompt", has_word_times=True, has_segments=True, can_translate=True)
_DIARIZE = ModelTraits("diarized_json", has_segments=True, is_chunked=True)
_KEYWORDS = ModelTraits(vocabulary="keywords")
_PROMPTED = ModelTraits(vocabulary="prompt", has_confidences=True)
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
class _Asked:
    """One piece, and what its answer is kept under."""

    piece: Piece
    key: str


class ApiSpeech:
    """Transcribes over the openai SDK.

    `provider` is `openai` (with a `base_url`: the server there), `compatible` (the server at `base_url`) or `azure`,
    where `model` is the deployment's name and should contain the model's. `price` None means that the owner stated
    none.
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
        price: PriceHistory | Price | None = None,
        timeout_s: float = 300.0,
    ) -> None:
        self.name = f"{provider}/{model}"
        self._traits = traits_of(model)
        self.can_translate = self._traits.can_translate
        self._price = price
        self._server = ModelServer(provider, model, api_key, base_url, api_version, timeout_s)

    def check(self) -> None:
        """See SpeechEngine."""
        self._server.check("speech")

    def transcribe(
        self,
        audio: ChannelAudio,
        hints: SpeechHints,
        pay: Callable[[Charge], None],
        kept: KeptPieces = NOTHING_KEPT,
    ) -> Heard:
        """See SpeechEngine. A model that gives no times is asked turn by turn, so that turns have times."""
        if hints.task == "translate" and not self.can_translate:
            raise EngineMisconfigured(
                f"{self._server.model} cannot translate (CALLWISE_SPEECH__TASK): set CALLWISE_SPEECH__MODEL to"
                " whisper-1",
                code="unsupported_task",
            )
        if self._traits.has_segments:
            pieces = pack(audio, max_s=TIMED_PIECE_S)
        else:
            pieces = pack_by_turns(audio, max_s=UNTIMED_PIECE_S)
        answers: dict[Piece, PieceAnswer] = {}
        missing: list[_Asked] = []
        for piece in pieces:
            key = piece_key(self.name, piece, piece.samples(audio), hints)
            known = kept.get(key)
            if known is None:
                missing.append(_Asked(piece, key))
            else:
                answers[piece] = read_answer(known)
        answers |= self._ask_for_all(audio, missing, hints, pay, kept)
        longest_first = sorted(pieces, key=lambda piece: -piece.duration_s)
        named = (answers[piece].language for piece in longest_first)
        language = hints.language or next((language for language in named if language), "")
        return Heard(in_order([said for piece in pieces for said in answers[piece].utterances]), language)

    def _ask_for_all(
        self,
        audio: ChannelAudio,
        missing: Sequence[_Asked],
        hints: SpeechHints,
        pay: Callable[[Charge], None],
        kept: KeptPieces,
    ) -> dict[Piece, PieceAnswer]:
        """The answer to each piece, paid for and kept as soon as it is there.

        After one hiccup the other pieces are asked for all the same, so that the next attempt has one left to ask for.
        After any other failure no more are sent, and what is already out is waited for.
        """
        client = self._server.client
        answers: dict[Piece, PieceAnswer] = {}
        failures: list[BaseException] = []
        with ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="speech-api") as pool:
            asked = {pool.submit(self._ask, client, audio, one.piece, hints): one for one in missing}
            for done in as_completed(asked):
                if done.cancelled():
                    continue
                error = done.exception()
                if error is not None:
                    failures.append(error)
                    if len(failures) > _HICCUPS_BORNE or not _is_hiccup(error):
                        for other in asked:
                            other.cancel()
                    continue
                one = asked[done]
                answers[one.piece], charge = done.result()
                pay(charge)
                kept.put(one.key, write_answer(answers[one.piece]))
        if failures:
            raise max(failures, key=_gravity)
        return answers

    def _ask(
        self, client: openai.OpenAI, audio: ChannelAudio, piece: Piece, hints: SpeechHints
    ) -> tuple[PieceAnswer, Charge]:
        sent = ("speech.flac", to_flac(piece.samples(audio)), "audio/flac")
        translates = hints.task == "translate"
        with translated_errors("speech"):
            if translates:
                answer: Any = client.audio.translations.create(
                    file=sent, model=self._server.model, response_format="verbose_json", **self._prompt(hints)
                )
            else:
                answer = client.audio.transcriptions.create(file=sent, model=self._server.model, **self._options(hints))
        return read_api_answer(answer, piece), self._charge(answer, piece)

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
        if traits.has_confidences and self._server.provider == "openai":
            options["include"] = ["logprobs"]
        if traits.is_chunked:
            options["chunking_strategy"] = "auto"
        return options

    def _charge(self, answer: Any, piece: Piece) -> Charge:
        usage = getattr(answer, "usage", None)
        audio_s = float(getattr(usage, "seconds", None) or piece.duration_s)
        input_tokens = int(getattr(usage, "input_tokens", None) or 0)
        output_tokens = int(getattr(usage, "output_tokens", None) or 0)
        price = price_on(self._price, datetime.now(UTC).date())
        cost = cost_microusd(price, input_tokens=input_tokens, output_tokens=output_tokens, audio_s=audio_s)
        return Charge(
            provider=self._server.provider,
            model=self._server.model,
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


def _is_hiccup(error: BaseException) -> bool:
    return isinstance(error, TransientError) and error.code in _HICCUPS


def _gravity(error: BaseException) -> int:
    """What is unknown matters most, a wrong setting more than a hiccup beside it."""
    if not isinstance(error, CallwiseError):
        return 2
    return int(isinstance(error, EngineMisconfigured))
