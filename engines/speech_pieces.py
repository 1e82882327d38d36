"""What an engine is given to hear: pieces of speech without the silence, and the way back to the recording's times."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from calls.transcript import TURN_GAP_S, Utterance, Word
from engines.speech import ChannelAudio
from engines.voice_activity import speech_spans

Span = tuple[float, float]

_CUT_FRAME_S = 0.03


@dataclass(frozen=True)
class Piece:
    """Speech of one channel: `spans` of the recording, in order, heard one right after the other.

    Each span carries a little silence on both sides, so that words of two spans do not run together.
    """

    channel: int
    spans: tuple[Span, ...]

    @property
    def duration_s(self) -> float:
        """Length of what is heard, in seconds."""
        return sum(end - start for start, end in self.spans)

    def samples(self, audio: ChannelAudio) -> NDArray[np.int16]:
        """The piece's sound, int16 of shape [sample]."""
        channel = audio.samples[self.channel]
        return np.concatenate(
            [channel[round(start * audio.rate_hz) : round(end * audio.rate_hz)] for start, end in self.spans]
        )

    def span_at(self, heard_s: float) -> int:
        """The index of the span that is heard at `heard_s`; a time outside the piece is in its first or last span."""
        ends = list(accumulate(end - start for start, end in self.spans))
        return min(bisect_right(ends, heard_s), len(self.spans) - 1)

    def in_recording(self, heard_s: float, span: int) -> float:
        """Seconds from the start of the recording at `heard_s` of the piece, kept inside the span of that index."""
        before_s = sum(end - start for start, end in self.spans[:span])
        start, end = self.spans[span]
        return round(min(max(start + heard_s - before_s, start), end), 3)


def pack(audio: ChannelAudio, *, max_s: float) -> list[Piece]:
    """All speech of each channel, in as few pieces of at most `max_s` seconds as its pauses allow.

    A stretch that is longer by itself is cut where it is quietest. A channel without speech has no piece.
    """
    pieces: list[Piece] = []
    for channel, spans in enumerate(speech_spans(audio)):
        taken: list[Span] = []
        for span in _cut_to(spans, audio, channel, max_s):
            if taken and sum(end - start for start, end in [*taken, span]) > max_s:
                pieces.append(Piece(channel, tuple(taken)))
                taken = []
            taken.append(span)
        if taken:
            pieces.append(Piece(channel, tuple(taken)))
    return pieces


def pack_by_turns(audio: ChannelAudio, *, max_s: float) -> list[Piece]:
    """All speech of each channel, a piece for what is said before the other channel speaks or a pause ends the turn.

    For engines that say what was said but not when: the piece's times are all that is known then.
    """
    by_channel = speech_spans(audio)
    pieces: list[Piece] = []
    for channel, spans in enumerate(by_channel):
        others = [span for other, theirs in enumerate(by_channel) if other != channel for span in theirs]
        taken: list[Span] = []
        for span in _cut_to(spans, audio, channel, max_s):
            if taken and not _is_one_turn(taken, span, others, max_s):
                pieces.append(Piece(channel, tuple(taken)))
                taken = []
            taken.append(span)
        if taken:
            pieces.append(Piece(channel, tuple(taken)))
    return sorted(pieces, key=lambda piece: piece.spans[0])


def place_words(piece: Piece, words: Sequence[Word]) -> list[Utterance]:
    """Words at times of the piece, as utterances at times of the recording: one for each span that has words.

    The words' texts bring their own spaces, the way Whisper writes them (" How", " are", " you", "?").
    """
    by_span: dict[int, list[Word]] = {}
    span = 0
    for word in words:
        span = max(span, piece.span_at((word.start_s + word.end_s) / 2))
        said = by_span.setdefault(span, [])
        earliest_s = said[-1].end_s if said else 0.0
        start_s = max(piece.in_recording(word.start_s, span), earliest_s)
        end_s = max(piece.in_recording(word.end_s, span), start_s)
        said.append(Word(word.text, start_s, end_s, word.confidence))
    return [_utterance(piece.channel, said) for said in by_span.values() if "".join(w.text for w in said).strip()]


def place_stretch(
    piece: Piece, start_s: float, end_s: float, text: str, *, confidence: float | None = None
) -> Utterance:
    """Text without word times, said from `start_s` to `end_s` of the piece, as an utterance of the recording."""
    first, last = piece.span_at(start_s), piece.span_at(max(start_s, end_s - 1e-6))
    begin_s = piece.in_recording(start_s, first)
    return Utterance(piece.channel, begin_s, max(begin_s, piece.in_recording(end_s, last)), text.strip(), confidence)


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


def _is_one_turn(taken: Sequence[Span], span: Span, others: Sequence[Span], max_s: float) -> bool:
    pause_from_s, pause_to_s = taken[-1][1], span[0]
    if pause_to_s - pause_from_s > TURN_GAP_S or sum(end - start for start, end in [*taken, span]) > max_s:
        return False
    return not any(start < pause_to_s and end > pause_from_s for start, end in others)


def _cut_to(spans: Sequence[Span], audio: ChannelAudio, channel: int, max_s: float) -> list[Span]:
    cut: list[Span] = []
    for start, end in spans:
        edges = [start]
        while end - edges[-1] > max_s:
            edges.append(_quietest_s(audio, channel, edges[-1] + max_s / 2, edges[-1] + max_s))
        cut += pairwise([*edges, end])
    return cut


def _quietest_s(audio: ChannelAudio, channel: int, from_s: float, to_s: float) -> float:
    """The middle of the quietest frame between the two times."""
    frame = round(_CUT_FRAME_S * audio.rate_hz)
    start = round(from_s * audio.rate_hz)
    stretch = audio.samples[channel, start : round(to_s * audio.rate_hz)].astype(np.float32)
    frames = stretch[: len(stretch) // frame * frame].reshape(-1, frame)
    quietest = int(np.square(frames).mean(axis=1).argmin())
    return round((start + quietest * frame + frame // 2) / audio.rate_hz, 3)
