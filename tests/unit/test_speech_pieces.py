"""Packing speech and the way back: nothing is lost, nothing overlaps, every time stays inside what was said."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.transcript import TURN_GAP_S, Word
from engines.speech import ChannelAudio
from engines.speech_pieces import Piece, Stretch, in_order, pack, pack_by_turns, place_text, place_words, without_loops
from engines.voice_activity import speech_spans
from tests.recordings import silence, two_voices


@st.composite
def pieces(draw: st.DrawFn) -> Piece:
    """Pieces of one to six stretches, with pauses between them."""
    moment_s, stretches = 0.0, []
    for _ in range(draw(st.integers(1, 6))):
        start_s = moment_s + draw(st.floats(0.05, 20))
        moment_s = start_s + draw(st.floats(0.24, 12))
        stretches.append(Stretch(1, round(start_s, 3), round(moment_s, 3)))
    return Piece(tuple(stretches))


words = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 3)), max_size=12).map(
    lambda times: [Word(" so", start_s, start_s + length_s, 0.5) for start_s, length_s in sorted(times)]
)


@pytest.mark.parametrize("max_s", [2.0, 5.0, 30.0])
@pytest.mark.parametrize("packing", [pack, pack_by_turns])
def test_packing_keeps_all_speech_once_and_no_piece_is_too_long(packing, max_s: float) -> None:
    audio = two_voices()
    packed = packing(audio, max_s=max_s)
    assert all(piece.duration_s <= max_s + 1e-6 for piece in packed)
    for channel, spans in enumerate(speech_spans(audio)):
        kept = sorted(part for piece in packed for part in piece.stretches if part.channel == channel)
        assert sum(part.duration_s for part in kept) == pytest.approx(sum(end - start for start, end in spans))
        assert all(earlier.end_s <= later.start_s for earlier, later in pairwise(kept))
    assert all(len({part.channel for part in piece.stretches}) == 1 for piece in packed)


def test_silence_has_no_piece() -> None:
    assert pack(silence(), max_s=30) == pack_by_turns(silence(), max_s=30) == []


def test_a_piece_of_a_turn_has_no_pause_that_ends_a_turn() -> None:
    for piece in pack_by_turns(two_voices(), max_s=30):
        pauses = [later.start_s - earlier.end_s for earlier, later in pairwise(piece.stretches)]
        assert all(pause <= TURN_GAP_S for pause in pauses)


def test_a_long_stretch_is_cut_where_it_is_quietest() -> None:
    audio = two_voices()
    channel, (start_s, end_s) = max(
        ((channel, span) for channel, spans in enumerate(speech_spans(audio)) for span in spans),
        key=lambda found: found[1][1] - found[1][0],
    )
    limit_s = (end_s - start_s) * 0.7
    parts = [part for piece in pack(audio, max_s=limit_s) for part in piece.stretches if part.channel == channel]
    edges = {edge for part in parts for edge in part[1:]}
    (cut_s,) = [edge for edge in edges if start_s + 0.01 < edge < end_s - 0.01]

    def power(at_s: float) -> float:
        frame = audio.samples[channel, round((at_s - 0.015) * 16_000) : round((at_s + 0.015) * 16_000)]
        return float(np.square(frame.astype(np.float64)).mean())

    elsewhere = [power(at_s) for at_s in np.arange(start_s + limit_s / 2 + 0.02, start_s + limit_s - 0.02, 0.03)]
    assert power(cut_s) <= np.median(elsewhere)


def test_a_piece_sounds_like_its_stretches_one_after_the_other() -> None:
    samples = np.arange(32_000, dtype=np.int16)[np.newaxis]
    piece = Piece((Stretch(0, 0.5, 0.75), Stretch(0, 1.5, 1.75)))
    heard = piece.samples(ChannelAudio(samples))
    assert heard.tolist() == [*range(8_000, 12_000), *range(24_000, 28_000)]


@given(pieces(), st.floats(0, 200))
def test_a_moment_of_a_piece_is_a_moment_of_its_stretch(piece: Piece, heard_s: float) -> None:
    index = piece.stretch_at(heard_s)
    _, start_s, end_s = piece.stretches[index]
    assert start_s <= piece.in_recording(heard_s, index) <= end_s


@given(pieces(), st.data())
def test_a_moment_goes_to_the_recording_and_back(piece: Piece, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(piece.stretches) - 1))
    _, start_s, end_s = piece.stretches[index]
    moment_s = data.draw(st.floats(start_s + 0.01, end_s - 0.01))
    heard_s = sum(part.duration_s for part in piece.stretches[:index]) + moment_s - start_s
    assert piece.stretch_at(heard_s) == index
    assert piece.in_recording(heard_s, index) == pytest.approx(moment_s, abs=0.001)


@given(pieces(), words)
def test_placed_words_are_in_order_and_inside_their_stretches(piece: Piece, said: list[Word]) -> None:
    placed = place_words(piece, said)
    assert placed == in_order(placed)
    assert sum(len(utterance.words) for utterance in placed) == len(said)
    for utterance in placed:
        edges = [edge for word in utterance.words for edge in (word.start_s, word.end_s)]
        assert edges == sorted(edges)
        assert any(part.start_s <= edges[0] and edges[-1] <= part.end_s for part in piece.stretches)
        assert (utterance.start_s, utterance.end_s) == (edges[0], edges[-1])


def test_words_bring_their_own_spaces() -> None:
    said = [Word(" How", 0, 0.1), Word(" are", 0.1, 0.2), Word(" you", 0.2, 0.3), Word("?", 0.3, 0.3)]
    (utterance,) = place_words(Piece((Stretch(0, 5.0, 6.0),)), said)
    assert utterance.text == "How are you?"
    assert utterance.avg_confidence is None


@given(pieces(), st.floats(0, 100), st.floats(0, 100))
def test_text_without_word_times_stays_within_its_piece(piece: Piece, start_s: float, end_s: float) -> None:
    said = place_text(piece, start_s, end_s, " Well. ")
    assert piece.stretches[0].start_s <= said.start_s <= said.end_s <= piece.stretches[-1].end_s
    assert said.text == "Well."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("no no no please", "no no no please"),
        ("it is zero zero zero zero four", "it is zero zero zero zero four"),
        ("thank you very much thank you very much", "thank you very much thank you very much"),
        ("so " + "thank you " * 30 + "bye", "so thank you bye"),
        ("Okay. " * 12 + "Right.", "Okay. Right."),
        ("I see, I see. I see! I see I see", "I see,"),
        ("", ""),
    ],
)
def test_what_people_repeat_stays_and_a_loop_is_kept_once(text: str, kept: str) -> None:
    tokens = text.split()
    assert " ".join(tokens[index] for index in without_loops(tokens)) == kept


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=60))
def test_cutting_loops_keeps_the_order_and_every_word_that_occurs(tokens: list[str]) -> None:
    kept = without_loops(tokens)
    assert kept == sorted(set(kept))
    assert {tokens[index] for index in kept} == set(tokens)
