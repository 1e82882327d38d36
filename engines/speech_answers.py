"""What a speech API answers, as utterances at times of the recording."""

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from calls.transcript import Utterance, Word
from engines.speech_kept import PieceAnswer
from engines.speech_languages import language_code
from engines.speech_pieces import Piece, place_text, place_words, without_loops

# Whisper's own rule for text that it made up over silence.
_NO_SPEECH_PROBABILITY = 0.6
_UNSURE_LOGPROB = -1.0


def read_api_answer(answer: Any, piece: Piece) -> PieceAnswer:
    """What was heard in the piece: `answer` is one of the SDK's objects for transcriptions and translations."""
    return PieceAnswer(_utterances(answer, piece), _language(answer))


def _utterances(answer: Any, piece: Piece) -> list[Utterance]:
    segments = getattr(answer, "segments", None)
    if not segments:
        tokens = str(getattr(answer, "text", "") or "").split()
        text = " ".join(tokens[index] for index in without_loops(tokens))
        confidence = _mean_confidence(getattr(answer, "logprobs", None) or [])
        return [place_text(piece, 0.0, piece.duration_s, text, confidence=confidence)] if text else []
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
    confidence = None if logprob is None else _probability(logprob)
    tokens = str(segment.text).split()
    kept = without_loops(tokens)
    if words:
        timed = [Word(f" {tokens[i]}", words[i].start, words[i].end, confidence) for i in kept]
        return place_words(piece, timed)
    text = " ".join(tokens[index] for index in kept)
    return [place_text(piece, segment.start, segment.end, text, confidence=confidence)] if text else []


def _mean_confidence(logprobs: Sequence[Any]) -> float | None:
    """The geometric mean of the tokens' probabilities; None where the server gave none."""
    stated = [float(token.logprob) for token in logprobs if getattr(token, "logprob", None) is not None]
    return _probability(sum(stated) / len(stated)) if stated else None


def _probability(logprob: float) -> float:
    return round(math.exp(min(0.0, logprob)), 4)


def _language(answer: Any) -> str:
    """The language that the answer names: Whisper's `language`, or the first of gpt-transcribe's `languages`."""
    for detected in getattr(answer, "languages", None) or []:
        return language_code(str(detected.code))
    return language_code(str(getattr(answer, "language", None) or ""))
