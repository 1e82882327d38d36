"""Windows of both channels: as few as the seconds take, nothing lost, nothing cut in mid-word, and the way back."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.transcript import Word
from engines.speech import SPEECH_RATE_HZ, ChannelAudio
from engines.speech_pauses import pauses, quietest_s
from engines.speech_pieces import Piece, Stretch, in_order, place_text, place_words
from engines.speech_windows import WINDOW_S, fill_windows, pack_windows
from engines.voice_activity import speech_spans
from tests.recordings import silence, two_voices


def random_calls(longest_s: float) -> st.SearchStrategy[list[Stretch]]:
    """The stretches of two people's calls, each up to `longest_s` long, with a pause after each."""
    channel = st.lists(st.tuples(st.floats(0.05, 15), st.floats(0.66, longest_s)), max_size=60)
    return st.tuples(channel, channel).map(
        lambda both: [stretch for number, lengths in enumerate(both) for stretch in one_after_another(number, lengths)]
    )


def one_after_another(channel: int, lengths: Sequence[tuple[float, float]]) -> list[Stretch]:
    moment_s, stretches = 0.0, []
    for pause_s, length_s in lengths:
        start_s = round(moment_s + pause_s, 3)
        moment_s = round(start_s + length_s, 3)
        stretches.append(Stretch(channel, start_s, moment_s))
    return stretches


def every_two_seconds(stretch: Stretch) -> list[float]:
    """Somebody who takes a breath every two seconds."""
    return [round(at_s, 3) for at_s in np.arange(stretch.start_s + 2, stretch.end_s - 0.5, 2)]


def never(_: Stretch) -> list[float]:
    return []


def optimum(stretches: Sequence[Stretch]) -> int:
    return ceil((sum(stretch.duration_s for stretch in stretches) - 1e-6) / WINDOW_S)


@given(random_calls(longest_s=WINDOW_S))
def test_windows_are_within_a_tenth_of_what_the_seconds_take(stretches: list[Stretch]) -> None:
    windows = fill_windows(stretches, max_s=WINDOW_S, find_pauses=every_two_seconds)
    assert len(windows) <= ceil(1.1 * optimum(stretches))


@given(random_calls(longest_s=6))
def test_whole_stretches_of_a_conversation_fit_into_as_few_windows_as_their_seconds_take(
    stretches: list[Stretch],
) -> None:
    # Some room must be left: stretches that fill their windows to the last tenth of a second do not come in life.
    seconds = sum(stretch.duration_s for stretch in stretches)
    windows = fill_windows(stretches, max_s=WINDOW_S, find_pauses=never)
    assert len(windows) <= ceil(1.05 * seconds / WINDOW_S)


@given(random_calls(longest_s=WINDOW_S), st.sampled_from([never, every_two_seconds]))
def test_every_moment_of_speech_is_in_one_window_and_none_is_too_long(stretches: list[Stretch], find_pauses) -> None:
    windows = fill_windows(stretches, max_s=WINDOW_S, find_pauses=find_pauses)
    assert all(window.duration_s <= WINDOW_S + 1e-6 for window in windows)
    packed = sorted(part for window in windows for part in window.stretches)
    joined: list[Stretch] = []
    for part in packed:
        if joined and joined[-1].channel == part.channel and joined[-1].end_s == part.start_s:
            joined[-1] = joined[-1]._replace(end_s=part.end_s)
        else:
            joined.append(part)
    assert joined == sorted(stretches)


@given(random_calls(longest_s=WINDOW_S))
def test_stretches_are_cut_in_pauses_alone_and_no_part_is_a_scrap(stretches: list[Stretch]) -> None:
    whole = set(stretches)
    for window in fill_windows(stretches, max_s=WINDOW_S, find_pauses=every_two_seconds):
        for part in window.stretches:
            if part in whole:
                continue
            (around,) = [s for s in stretches if s.channel == part.channel and s.start_s <= part.start_s < s.end_s]
            breaths = {around.start_s, around.end_s, *every_two_seconds(around)}
            assert {part.start_s, part.end_s} <= breaths
            assert part.duration_s >= 1.0


@given(random_calls(longest_s=WINDOW_S))
def test_a_window_reads_in_the_order_of_the_conversation(stretches: list[Stretch]) -> None:
    windows = fill_windows(stretches, max_s=WINDOW_S, find_pauses=never)
    for window in windows:
        starts = [part.start_s for part in window.stretches]
        assert starts == sorted(starts)
    firsts = [window.stretches[0].start_s for window in windows]
    assert firsts == sorted(firsts)


def test_nothing_is_cut_where_whole_stretches_take_no_more_windows() -> None:
    stretches = [Stretch(0, 0, 18), Stretch(1, 19, 37), Stretch(0, 40, 50), Stretch(1, 51, 61)]
    windows = fill_windows(stretches, max_s=WINDOW_S, find_pauses=every_two_seconds)
    assert sorted(part for window in windows for part in window.stretches) == sorted(stretches)
    assert len(windows) == 2


def test_a_long_stretch_is_cut_in_its_pauses_where_that_saves_a_window() -> None:
    stretches = [Stretch(0, 0, 20), Stretch(1, 20, 40), Stretch(0, 40, 58)]
    assert len(fill_windows(stretches, max_s=WINDOW_S, find_pauses=every_two_seconds)) == 2
    assert len(fill_windows(stretches, max_s=WINDOW_S, find_pauses=never)) == 3


def test_both_channels_of_a_call_share_its_windows() -> None:
    audio = two_voices()
    (window,) = pack_windows(audio)
    assert {part.channel for part in window.stretches} == {0, 1}
    spans = [span for channel in speech_spans(audio) for span in channel]
    assert sorted(part[1:] for part in window.stretches) == sorted(spans)


def test_silence_has_no_window() -> None:
    assert pack_windows(silence()) == []


@given(random_calls(longest_s=12).filter(bool), st.data())
def test_a_word_is_placed_where_it_was_heard(stretches: list[Stretch], data: st.DataObject) -> None:
    windows = fill_windows(stretches, max_s=WINDOW_S, find_pauses=every_two_seconds)
    window = data.draw(st.sampled_from(windows))
    said: list[Word] = []
    expected: list[tuple[int, float, float, str]] = []
    before_s = 0.0
    for part in window.stretches:
        # Between the pads of its stretch, wherever that is.
        edges = sorted(data.draw(st.lists(st.floats(0.1, part.duration_s - 0.1), min_size=2, max_size=2)))
        name = f" w{len(said)}"
        said.append(Word(name, before_s + edges[0], before_s + edges[1], 0.9))
        expected.append((part.channel, part.start_s + edges[0], part.start_s + edges[1], name.strip()))
        before_s += part.duration_s
    placed = place_words(window, said)
    found = {u.words[0].text: u for u in placed}
    assert len(placed) == len(said)
    for channel, start_s, end_s, name in expected:
        assert found[name].channel == channel
        assert (found[name].start_s, found[name].end_s) == pytest.approx((start_s, end_s), abs=0.002)
    for channel in (0, 1):
        edges = [edge for u in in_order(placed) if u.channel == channel for edge in (u.start_s, u.end_s)]
        assert edges == sorted(edges)


def test_a_word_that_reaches_over_a_joint_belongs_to_the_speaker_who_said_most_of_it() -> None:
    window = Piece((Stretch(0, 10.0, 12.0), Stretch(1, 12.5, 14.0)))
    placed = place_words(window, [Word(" goodbye", 1.2, 2.1), Word(" Bye", 1.9, 2.5)])
    assert [(u.channel, u.text) for u in placed] == [(0, "goodbye"), (1, "Bye")]
    assert placed[0].end_s <= 12.0
    assert placed[1].start_s >= 12.5


def test_text_without_word_times_keeps_to_one_speaker() -> None:
    window = Piece((Stretch(0, 10.0, 12.0), Stretch(1, 12.5, 16.5), Stretch(0, 20.0, 21.0)))
    said = place_text(window, 1.5, 6.5, "Mostly the second's.")
    assert (said.channel, said.start_s, said.end_s) == (1, 12.5, 16.5)


def voice(length_s: float) -> np.ndarray:
    """Loud noise, as a stand-in for somebody who talks without a break."""
    return np.random.default_rng(5).normal(0, 3000, round(length_s * SPEECH_RATE_HZ))


def quiet(length_s: float) -> np.ndarray:
    return np.random.default_rng(6).normal(0, 20, round(length_s * SPEECH_RATE_HZ))


def test_a_cut_prefers_a_pause_to_a_shorter_and_deeper_gap_in_a_word() -> None:
    closure = np.zeros(round(0.09 * SPEECH_RATE_HZ))
    sound = np.concatenate([voice(2), closure, voice(2), quiet(0.3), voice(2)])
    audio = ChannelAudio(sound.astype(np.int16)[np.newaxis])
    assert 4.09 < quietest_s(audio, 0, 1.0, 6.0) < 4.39
    assert pauses(audio, 0, 0.0, 6.39) == [pytest.approx(4.24, abs=0.02)]


def test_without_a_pause_a_cut_falls_into_the_longest_gap() -> None:
    sound = np.concatenate([voice(2), quiet(0.1), voice(2)])
    audio = ChannelAudio(sound.astype(np.int16)[np.newaxis])
    assert 2.0 < quietest_s(audio, 0, 0.5, 3.5) < 2.1
    assert pauses(audio, 0, 0.0, 4.1) == []


def test_the_silence_around_a_stretch_is_no_pause_in_it() -> None:
    audio = ChannelAudio(np.concatenate([quiet(0.5), voice(3), quiet(0.5)]).astype(np.int16)[np.newaxis])
    assert pauses(audio, 0, 0.0, 4.0) == []


def test_a_long_talk_is_cut_into_windows_in_its_pauses() -> None:
    parts = [part for _ in range(20) for part in (voice(4.3), quiet(0.4))]
    audio = ChannelAudio(np.concatenate(parts).astype(np.int16)[np.newaxis])
    whole = Stretch(0, 0.0, audio.duration_s)
    edges = [quietest_s(audio, 0, from_s, from_s + 15) for from_s in np.arange(0, 75, 5)]
    breaths = pauses(audio, *whole)
    assert len(breaths) == 19
    assert all(min(abs(edge - breath) for breath in breaths) < 0.2 for edge in edges)
    for earlier, later in pairwise(breaths):
        assert later - earlier == pytest.approx(4.7, abs=0.02)
