"""Answers of a speech API that are kept until the transcript stands: what they are kept under, and as what."""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calls.transcript import Utterance, Word
from engines.speech import SpeechHints
from engines.speech_pieces import Piece


class PieceAnswer(NamedTuple):
    """What was heard in one piece, at times of the recording; `language` is empty where none was named."""

    utterances: list[Utterance]
    language: str = ""


class MemoryPieces:
    """Keeps answers in this process: for tests, and to learn what was kept (`answers`)."""

    def __init__(self) -> None:
        self.answers: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        """See KeptPieces."""
        return self.answers.get(key)

    def put(self, key: str, answer: str) -> None:
        """See KeptPieces."""
        self.answers[key] = answer


def piece_key(engine: str, piece: Piece, samples: NDArray[np.int16], hints: SpeechHints) -> str:
    """What an answer is kept under: it is another one for other sound, other times, another engine or other hints."""
    asked = [engine, piece.stretches, hints.language, hints.vocabulary, hints.task]
    return sha256(json.dumps(asked).encode() + samples.astype("<i2").tobytes()).hexdigest()


def write_answer(answer: PieceAnswer) -> str:
    """The answer as JSON."""
    return json.dumps({"language": answer.language, "utterances": [_row(said) for said in answer.utterances]})


def read_answer(kept: str) -> PieceAnswer:
    """The answer that `write_answer` wrote."""
    document = json.loads(kept)
    return PieceAnswer([_said(row) for row in document["utterances"]], document["language"])


def _row(said: Utterance) -> Sequence[object]:
    words = [[word.text, word.start_s, word.end_s, word.confidence] for word in said.words]
    return [said.channel, said.start_s, said.end_s, said.text, said.avg_confidence, words]


def _said(row: Sequence[Any]) -> Utterance:
    *plain, words = row
    channel, start_s, end_s, text, confidence = plain
    return Utterance(channel, start_s, end_s, text, confidence, words=tuple(Word(*word) for word in words))
