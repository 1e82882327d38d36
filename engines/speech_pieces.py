"""What an engine is given to hear: pieces of speech without the silence, and the way back to the recording's times."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calls.transcript import TURN_GAP_S, Utterance, Word
from engines.speech import ChannelAudio
from engines.speech_pauses import quietest_s
from engines.voice_activity import speech_spans


class Stretch(NamedTuple):
    """A part of one channel's speech, in seconds from the start of the recording.

    It carries a little silence on both sides, so that words of two stretches do not run together.
    """

    channel: int
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Piece:
    """Stretches of speech that are heard one right after the other, in this order; of one channel or of both."""

    stretches: tuple[Stretch, ...]

    @property
    def duration_s(self) -> float:
        """Length of what is heard, in seconds."""
        return sum(stretch.duration_s for stretch in self.stretches)

    def samples(self, audio: ChannelAudio) -> NDArray[np.int16]:
        """The piece's sound, int16 of shape [sample]."""
        return np.concatenate(
            [
                audio.samples[stretch.channel, round(stretch.start_s * audio.rate_hz) : _end(stretch, audio)]
                for stretch in self.stretches
            ]
        )

    def stretch_at(self, heard_s: float) -> int:
        """The index of the stretch that is heard at `heard_s`; a time outside the piece is in its first or last."""
        ends = list(accumulate(stretch.duration_s for stretch in self.stretches))
        return min(bisect_right(ends, heard_s), len(self.stretches) - 1)

    def in_recording(self, heard_s: float, index: int) -> float:
        """Seconds from the start of the recording at `heard_s` of the piece, kept inside the stretch of that index."""
        before_s = sum(stretch.duration_s for stretch in self.stretches[:index])
        _, start_s, end_s = self.stretches[index]
        return round(min(max(start_s + heard_s - before_s, start_s), end_s), 3)


def speech_stretches(audio: ChannelAudio, *, max_s: float) -> list[list[Stretch]]:
    """The speech of each channel, in order; what is longer than `max_s` seconds is cut where it is quietest."""
    return [
        [part for start_s, end_s in spans for part in _cut_to(Stretch(channel, start_s, end_s), audio, max_s)]
        for channel, spans in enumerate(speech_spans(audio))
    ]


def pack(audio: ChannelAudio, *, max_s: float) -> list[Piece]:
    """All speech, in few pieces of at most `max_s` seconds, each of one channel. No speech, no piece."""
    pieces: list[Piece] = []
    for stretches in speech_stretches(audio, max_s=max_s):
        taken: list[Stretch] = []
        for stretch in stretches:
            if taken and _length_s([*taken, stretch]) > max_s:
                pieces.append(Piece(tuple(taken)))
                taken = []
            taken.append(stretch)
        if taken:
            pieces.append(Piece(tuple(taken)))
    return pieces


def pack_by_turns(audio: ChannelAudio, *, max_s: float) -> list[Piece]:
    """All speech, a piece of one channel for what is said before the other speaks or a pause ends the turn.

    For engines that say what was said but not when: the piece's times are all that is known then.
    """
    by_channel = speech_stretches(audio, max_s=max_s)
    pieces: list[Piece] = []
    for channel, stretches in enumerate(by_channel):
        others = [stretch for other, theirs in enumerate(by_channel) if other != channel for stretch in theirs]
        taken: list[Stretch] = []
        for stretch in stretches:
            if taken and not _is_one_turn(taken, stretch, others, max_s):
                pieces.append(Piece(tuple(taken)))
                taken = []
            taken.append(stretch)
        if taken:
            pieces.append(Piece(tuple(taken)))
    return sorted(pieces, key=lambda piece: (piece.stretches[0].start_s, piece.stretches[0].channel))


def place_words(piece: Piece, words: Sequence[Word]) -> list[Utterance]:
    """Words at times of the piece, as utterances at times of the recording: one for each stretch that has words.

    A word belongs to the stretch that its middle is heard in. The words' texts bring their own spaces, the way Whisper
    writes them (" How", " are", " you", "?").
    """
    by_stretch: dict[int, list[Word]] = {}
    index = 0
    for word in words:
        index = max(index, piece.stretch_at((word.start_s + word.end_s) / 2))
        said = by_stretch.setdefault(index, [])
        earliest_s = said[-1].end_s if said else 0.0
        start_s = max(piece.in_recording(word.start_s, index), earliest_s)
        end_s = max(piece.in_recording(word.end_s, index), start_s)
        said.append(Word(word.text, start_s, end_s, word.confidence))
    return [
        _utterance(piece.stretches[index].channel, said)
        for index, said in by_stretch.items()
        if "".join(word.text for word in said).strip()
    ]


def place_text(piece: Piece, start_s: float, end_s: float, text: str, *, confidence: float | None = None) -> Utterance:
    """Text without word times, said from `start_s` to `end_s` of the piece, as an utterance of the recording.

    It is of the channel that its middle is heard on.
    """
    end_s = max(start_s, end_s)
    channel = piece.stretches[piece.stretch_at((start_s + end_s) / 2)].channel
    touched = range(piece.stretch_at(start_s), piece.stretch_at(max(start_s, end_s - 1e-6)) + 1)
    own = [index for index in touched if piece.stretches[index].channel == channel]
    begin_s = piece.in_recording(start_s, own[0])
    return Utterance(channel, begin_s, max(begin_s, piece.in_recording(end_s, own[-1])), text.strip(), confidence)


def in_order(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The utterances by start, both channels together."""
    return sorted(utterances, key=lambda said: (said.start_s, said.end_s, said.channel))


def without_loops(texts: Sequence[str]) -> list[int]:
    """The indices of the words that stay when a phrase that an engine got stuck in is kept once.

    A phrase repeated without a break is a loop when it comes three times or more and fills ten words or more: people do
    say "no, no, no" and read out numbers with four zeros.
    """
    plain = [text.strip(" ,.!?").casefold() for text in texts]
    kept = list(range(len(plain)))
    for length in range(1, 33):
        at = 0
        while at + 2 * length <= len(kept):
            phrase = [plain[index] for index in kept[at : at + length]]
            repeats = 1
            while [plain[i] for i in kept[at + repeats * length : at + (repeats + 1) * length]] == phrase:
                repeats += 1
            if repeats >= 3 and repeats * length >= 10:
                del kept[at + length : at + repeats * length]
            at += 1
    return kept


def _utterance(channel: int, said: Sequence[Word]) -> Utterance:
    confidences = [word.confidence for word in said if word.confidence is not None]
    return Utterance(
        channel=channel,
        start_s=said[0].start_s,
        end_s=said[-1].end_s,
        text="".join(word.text for word in said).strip(),
        avg_confidence=round(sum(confidences) / len(confidences), 4) if confidences else None,
        words=tuple(Word(w.text.strip(), w.start_s, w.end_s, w.confidence) for w in said if w.text.strip()),
    )


def _is_one_turn(taken: Sequence[Stretch], following: Stretch, others: Sequence[Stretch], max_s: float) -> bool:
    pause_from_s, pause_to_s = taken[-1].end_s, following.start_s
    if pause_to_s - pause_from_s > TURN_GAP_S or _length_s([*taken, following]) > max_s:
        return False
    return not any(other.start_s < pause_to_s and other.end_s > pause_from_s for other in others)


def _cut_to(whole: Stretch, audio: ChannelAudio, max_s: float) -> list[Stretch]:
    edges = [whole.start_s]
    while whole.end_s - edges[-1] > max_s:
        edges.append(quietest_s(audio, whole.channel, edges[-1] + max_s / 2, edges[-1] + max_s))
    return [Stretch(whole.channel, start_s, end_s) for start_s, end_s in pairwise([*edges, whole.end_s])]


def _length_s(stretches: Sequence[Stretch]) -> float:
    return sum(stretch.duration_s for stretch in stretches)


def _end(stretch: Stretch, audio: ChannelAudio) -> int:
    return round(stretch.end_s * audio.rate_hz)
