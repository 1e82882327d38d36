"""Who says each utterance, and what follows from it."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from calls.channels import MAYBE_SWAPPED
from calls.recording import Direction
from calls.sides import take_sides
from calls.timing import NOT_TIMED
from calls.transcript import Speaker, Utterance

CALL = [
    Utterance(1, 0.0, 2.0, "Thank you for calling, how can I help you?"),
    Utterance(0, 2.5, 4.0, "I would like to change my order."),
]
said = st.lists(
    st.builds(
        lambda channel, start, text: Utterance(channel, start, start + 2.0, text),
        st.integers(0, 1),
        st.floats(0, 60).map(lambda value: round(value, 2)),
        st.sampled_from([u.text for u in CALL] + ["Yes."]),
    ),
    max_size=8,
)


def sides_of(utterances, *, channel_count=2, agent_channel=1, direction=Direction.INBOUND, **more):
    return take_sides(utterances, channel_count=channel_count, agent_channel=agent_channel, direction=direction, **more)


def test_two_channels_name_the_speakers_and_are_doubted_where_the_words_are_against_it():
    right, wrong = sides_of(CALL), sides_of(CALL, agent_channel=0)
    assert [u.speaker for u in right.utterances] == [Speaker.AGENT, Speaker.CUSTOMER]
    assert (right.agent_channel, right.doubts, right.turn_count) == (1, (), 2)
    assert (wrong.agent_channel, wrong.doubts, wrong.turn_count) == (0, (MAYBE_SWAPPED,), 2)


def test_one_channel_names_nobody_and_is_not_doubted():
    sides = sides_of(CALL, channel_count=1, agent_channel=0)
    assert {u.speaker for u in sides.utterances} == {Speaker.UNKNOWN}
    assert (sides.agent_channel, sides.doubts, sides.timing.talk_time_agent_s) == (None, (), None)


def test_speakers_that_a_text_names_stand_whatever_the_map_says():
    named = [replace(CALL[0], speaker=Speaker.CUSTOMER), replace(CALL[1], speaker=Speaker.UNKNOWN)]
    sides = sides_of(named)
    assert (list(sides.utterances), sides.agent_channel, sides.doubts) == (named, None, ())


def test_what_has_no_times_is_not_timed():
    assert sides_of(CALL, is_timed=False).timing == NOT_TIMED


@given(said, st.sampled_from([*Direction, None]))
def test_the_other_map_is_the_same_call_seen_from_the_other_side(utterances, direction):
    one, other = (sides_of(utterances, agent_channel=channel, direction=direction) for channel in (0, 1))
    assert one.turn_count == other.turn_count
    assert one.timing.talk_time_agent_s == other.timing.talk_time_customer_s
    assert not (one.doubts and other.doubts)
    assert [u.text for u in one.utterances] == [u.text for u in other.utterances]
