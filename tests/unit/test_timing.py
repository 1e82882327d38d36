"""Timing metrics, by the definitions of Contact Lens."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from calls.timing import NON_TALK_FROM_S, Timing, merge_spans, time_call
from calls.transcript import Speaker, Utterance

spans = st.lists(
    st.tuples(st.integers(0, 500), st.integers(1, 30)).map(lambda pair: (float(pair[0]), float(sum(pair)))), max_size=15
)


def said(speaker: Speaker, *pairs: tuple[float, float]) -> list[Utterance]:
    return [Utterance(0, start, end, "word", speaker=speaker) for start, end in pairs]


def test_overlap_counts_for_both_and_is_an_interruption_by_who_starts_it():
    call = said(Speaker.AGENT, (0, 10)) + said(Speaker.CUSTOMER, (8, 12))
    assert time_call(call) == Timing(10.0, 4.0, 0.0, 1)


def test_only_silences_of_more_than_three_seconds_are_non_talk_time():
    call = said(Speaker.AGENT, (0, 1), (1 + NON_TALK_FROM_S, 6)) + said(Speaker.CUSTOMER, (11, 12))
    assert time_call(call).non_talk_time_s == 5.0


def test_unknown_speakers_leave_the_figures_per_speaker_open():
    assert time_call(said(Speaker.UNKNOWN, (0, 5))) == Timing(None, None, 0.0, None)


def test_silence_has_no_timing_to_speak_of():
    assert time_call([]) == Timing(None, None, 0.0, None)


@given(spans)
def test_merged_spans_are_disjoint_and_cover_the_same_seconds(given_spans):
    merged = merge_spans(given_spans)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(merged))
    covered = {second for start, end in given_spans for second in range(int(start), int(end))}
    assert sum(end - start for start, end in merged) == len(covered)


@given(spans, spans)
def test_talk_time_never_exceeds_the_time_from_first_to_last_word(agent, customer):
    timing = time_call(said(Speaker.AGENT, *agent) + said(Speaker.CUSTOMER, *customer))
    if agent or customer:
        length = max(end for _, end in agent + customer) - min(start for start, _ in agent + customer)
        assert timing.talk_time_agent_s <= length
        assert timing.talk_time_customer_s <= length
        assert timing.non_talk_time_s <= length
