"""Windows for Whisper: the speech of both channels in as few windows as it fits into, cut in pauses alone.

Whisper pays for a whole window of 30 s, whatever is in it. Stretches stand in a window in the order in which they were
said, whoever said them, so that a window reads like the conversation.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from math import ceil

from engines.speech import ChannelAudio
from engines.speech_pauses import pauses
from engines.speech_pieces import Piece, Stretch, speech_stretches

# Whisper hears windows of 30 s.
WINDOW_S = 30.0
# What is cut in its pauses when whole stretches do not fit: first what is longer than half a window.
_CUT_ABOVE = (1 / 2, 1 / 4, 1 / 8)
# Less than this on either side of a cut is too little to be understood.
_LEAST_S = 1.0
# Times are whole milliseconds: their sums err by far less.
_ROUNDING_S = 1e-6

FindPauses = Callable[[Stretch], Sequence[float]]


def pack_windows(audio: ChannelAudio, *, max_s: float = WINDOW_S) -> list[Piece]:
    """All speech of all channels in as few pieces of at most `max_s` seconds as its pauses allow. No speech, no
    piece.
    """
    stretches = [stretch for channel in speech_stretches(audio, max_s=max_s) for stretch in channel]
    return fill_windows(stretches, max_s=max_s, find_pauses=lambda stretch: pauses(audio, *stretch))


def fill_windows(stretches: Sequence[Stretch], *, max_s: float, find_pauses: FindPauses) -> list[Piece]:
    """The stretches, none longer than `max_s`, in as few windows as are found: whole if that takes no more windows.

    Looked for are as many windows as the seconds take; where these cannot be had, the fewest that were found.
    """
    fewest = ceil((sum(stretch.duration_s for stretch in stretches) - _ROUNDING_S) / max_s)
    best: list[list[Stretch]] = []
    for parts in _ever_shorter(stretches, max_s, find_pauses):
        for in_turn in (sorted(parts, key=_by_time), sorted(parts, key=lambda part: -part.duration_s)):
            windows = _fill(in_turn, max_s)
            if not best or len(windows) < len(best):
                best = windows
            if len(best) <= fewest:
                return _as_pieces(best)
    return _as_pieces(best)


def _ever_shorter(stretches: Sequence[Stretch], max_s: float, find_pauses: FindPauses) -> Iterator[Sequence[Stretch]]:
    """The stretches as they are, then cut into ever shorter parts."""
    yield stretches
    found = {stretch: find_pauses(stretch) for stretch in stretches if stretch.duration_s > _CUT_ABOVE[-1] * max_s}
    for share in _CUT_ABOVE:
        yield [part for stretch in stretches for part in _cut_in_pauses(stretch, found.get(stretch, ()), share * max_s)]


def _cut_in_pauses(stretch: Stretch, moments: Sequence[float], above_s: float) -> list[Stretch]:
    """The stretch in parts of at most `above_s` seconds as far as its pauses allow, in no more parts than that
    takes.
    """
    edges = [stretch.start_s]
    usable = [at_s for at_s in moments if stretch.start_s + _LEAST_S <= at_s <= stretch.end_s - _LEAST_S]
    for index, at_s in enumerate(usable):
        following_s = usable[index + 1] if index + 1 < len(usable) else stretch.end_s
        if following_s - edges[-1] > above_s and at_s - edges[-1] >= _LEAST_S:
            edges.append(at_s)
    return [Stretch(stretch.channel, start_s, end_s) for start_s, end_s in pairwise([*edges, stretch.end_s])]


def _fill(stretches: Sequence[Stretch], max_s: float) -> list[list[Stretch]]:
    """Each stretch into the latest window that has room for it, or a new one: neighbours stay together."""
    windows: list[list[Stretch]] = []
    rooms: list[float] = []
    open_windows: list[int] = []
    shortest_s = min((stretch.duration_s for stretch in stretches), default=0.0)
    for stretch in stretches:
        for index in reversed(open_windows):
            if stretch.duration_s <= rooms[index] + _ROUNDING_S:
                break
        else:
            index = len(windows)
            windows.append([])
            rooms.append(max_s)
            open_windows.append(index)
        windows[index].append(stretch)
        rooms[index] -= stretch.duration_s
        if rooms[index] + _ROUNDING_S < shortest_s:
            open_windows.remove(index)
    return windows


def _as_pieces(windows: Sequence[Sequence[Stretch]]) -> list[Piece]:
    pieces = [Piece(tuple(sorted(window, key=_by_time))) for window in windows]
    return sorted(pieces, key=lambda piece: _by_time(piece.stretches[0]))


def _by_time(stretch: Stretch) -> tuple[float, float, int]:
    return stretch.start_s, stretch.end_s, stretch.channel
