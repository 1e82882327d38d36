"""Utterances become turns, channels become speakers."""

from hypothesis import given
from hypothesis import strategies as st

from calls.transcript import TURN_GAP_S, Speaker, Utterance, name_speakers, take_turns

seconds = st.floats(0, 600, allow_nan=False).map(lambda value: round(value, 2))
utterances = st.lists(
    st.builds(
        lambda channel, start, length, text, speaker: Utterance(channel, start, start + length, text, speaker=speaker),
        st.integers(0, 1),
        seconds,
        st.floats(0.1, 20).map(lambda value: round(value, 2)),
        st.text(alphabet="abc ", max_size=8),
        st.sampled_from(Speaker),
    ),
    max_size=12,
)


@given(utterances)
def test_turns_keep_every_word_and_its_speaker(given_utterances):
    turns = take_turns(given_utterances)
    for speaker in Speaker:
        said = sorted(word for u in given_utterances if u.speaker == speaker for word in u.text.split())
        assert sorted(word for turn in turns if turn.speaker == speaker for word in turn.text.split()) == said


@given(utterances)
def test_turns_are_numbered_in_order_of_start_and_never_empty(given_utterances):
    turns = take_turns(given_utterances)
    assert [turn.index for turn in turns] == list(range(len(turns)))
    assert [turn.start_s for turn in turns] == sorted(turn.start_s for turn in turns)
    assert all(turn.text for turn in turns)


def test_a_long_pause_ends_a_turn_and_a_short_one_does_not():
    first = Utterance(0, 0.0, 1.0, "hello")
    soon = Utterance(0, 1.0 + TURN_GAP_S, 4.0, "again")
    late = Utterance(0, 1.5 + TURN_GAP_S, 4.0, "again")
    assert len(take_turns([first, soon])) == 1
    assert len(take_turns([first, late])) == 2


def test_speakers_are_named_by_channel_only_where_two_are_recorded():
    said = [Utterance(0, 0, 1, "a"), Utterance(1, 1, 2, "b")]
    named = name_speakers(said, channel_count=2, agent_channel=1)
    assert [u.speaker for u in named] == [Speaker.CUSTOMER, Speaker.AGENT]
    assert {u.speaker for u in name_speakers(said[:1], channel_count=1, agent_channel=1)} == {Speaker.UNKNOWN}
    assert {u.speaker for u in name_speakers(said, channel_count=2, agent_channel=None)} == {Speaker.UNKNOWN}
