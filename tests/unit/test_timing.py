"""Timing metrics, by the definitions of Contact Lens."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.timing import (
    FLOOR_FROM_S,
    NON_TALK_FROM_S,
    NOT_TIMED,
    Timing,
    merge_spans,
    talk_share,
    time_call,
    words_per_minute,
)
from calls.transcript import Speaker, Utterance

OTHER = {Speaker.AGENT: Speaker.CUSTOMER, Speaker.CUSTOMER: Speaker.AGENT, Speaker.UNKNOWN: Speaker.UNKNOWN}

spans = st.lists(
    st.tuples(st.integers(0, 500), st.integers(1, 30)).map(lambda pair: (float(pair[0]), float(sum(pair)))), max_size=15
)
calls = st.tuples(spans, spans).map(lambda both: said(Speaker.AGENT, *both[0]) + said(Speaker.CUSTOMER, *both[1]))


def said(speaker: Speaker, *pairs: tuple[float, float], text: str = "two words") -> list[Utterance]:
    return [Utterance(0, start, end, text, speaker=speaker) for start, end in pairs]


def seconds_of(call, *speakers):
    return {second for u in call if u.speaker in speakers for second in range(int(u.start_s), int(u.end_s))}


def test_overlap_counts_for_both_and_is_an_interruption_by_who_starts_it():
    timing = time_call(said(Speaker.AGENT, (0, 10)) + said(Speaker.CUSTOMER, (8, 12)))
    assert (timing.talk_time_agent_s, timing.talk_time_customer_s, timing.interruption_count) == (10.0, 4.0, 1)
    assert (timing.interruption_agent_count, timing.interruption_customer_count) == (0, 1)
    assert (timing.interruption_time_agent_s, timing.interruption_time_customer_s) == (0.0, 2.0)


def test_an_overlap_belongs_to_whoever_began_it_also_where_one_talks_over_two_of_the_others_sentences():
    timing = time_call(said(Speaker.AGENT, (0, 8), (10, 12)) + said(Speaker.CUSTOMER, (5, 20)))
    assert (timing.interruption_time_customer_s, timing.interruption_time_agent_s) == (3.0, 2.0)


def test_two_who_begin_at_once_interrupt_nobody():
    timing = time_call(said(Speaker.AGENT, (0, 8)) + said(Speaker.CUSTOMER, (0, 3)))
    assert (timing.interruption_count, timing.interruption_time_agent_s, timing.interruption_time_customer_s) == (
        *(0, 0.0, 0.0),
    )


def test_only_silences_of_more_than_three_seconds_are_non_talk_time():
    call = said(Speaker.AGENT, (0, 1), (1 + NON_TALK_FROM_S, 6)) + said(Speaker.CUSTOMER, (11, 12))
    assert time_call(call).non_talk_time_s == 5.0


def test_a_monologue_goes_on_over_short_pauses_and_over_a_mhm_and_counts_speech_alone():
    agent = said(Speaker.AGENT, (0, 10), (12, 20))
    mhm = said(Speaker.CUSTOMER, (5, 5 + FLOOR_FROM_S / 2), (10.5, 11))
    assert time_call(agent + mhm).longest_monologue_agent_s == 18.0


def test_a_monologue_ends_where_the_other_speaks_and_where_nobody_does():
    agent = said(Speaker.AGENT, (0, 10), (10 + NON_TALK_FROM_S + 0.5, 20))
    assert time_call(agent).longest_monologue_agent_s == 10.0
    assert time_call(agent + said(Speaker.CUSTOMER, (4, 4 + FLOOR_FROM_S))).longest_monologue_agent_s == 6.5
    between = said(Speaker.AGENT, (0, 4), (6, 9)) + said(Speaker.CUSTOMER, (4.5, 5.5))
    assert time_call(between).longest_monologue_agent_s == 4.0


def test_words_are_counted_by_speaker_with_contractions_as_one():
    timing = time_call(
        said(Speaker.AGENT, (0, 30), text="I don't know – 42, perhaps.") + said(Speaker.CUSTOMER, (31, 32))
    )
    assert (timing.word_agent_count, timing.word_customer_count) == (5, 2)
    assert words_per_minute(timing.word_agent_count, timing.talk_time_agent_s) == 10.0


def test_unknown_speakers_leave_the_figures_per_speaker_open():
    assert time_call(said(Speaker.UNKNOWN, (0, 5))) == Timing(non_talk_time_s=0.0, conversation_s=5.0)


def test_silence_has_no_timing_to_speak_of():
    assert time_call([]) == Timing(non_talk_time_s=0.0, conversation_s=0.0)


@pytest.mark.parametrize("timing", [NOT_TIMED, time_call([]), time_call(said(Speaker.UNKNOWN, (0, 5)))])
def test_what_nobody_measured_has_neither_speed_nor_share(timing):
    assert words_per_minute(timing.word_agent_count, timing.talk_time_agent_s) is None
    assert talk_share(timing.talk_time_agent_s, timing.talk_time_customer_s) is None


@given(spans)
def test_merged_spans_are_disjoint_and_cover_the_same_seconds(given_spans):
    merged = merge_spans(given_spans)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(merged))
    covered = {second for start, end in given_spans for second in range(int(start), int(end))}
    assert sum(end - start for start, end in merged) == len(covered)


@given(calls)
def test_talk_and_silence_fit_into_the_time_from_first_to_last_word(call):
    timing = time_call(call)
    if call:
        assert timing.conversation_s == max(u.end_s for u in call) - min(u.start_s for u in call)
        assert timing.talk_time_agent_s == len(seconds_of(call, Speaker.AGENT)) <= timing.conversation_s
        assert timing.talk_time_customer_s == len(seconds_of(call, Speaker.CUSTOMER)) <= timing.conversation_s
        someone = len(seconds_of(call, Speaker.AGENT, Speaker.CUSTOMER))
        assert timing.non_talk_time_s + someone <= timing.conversation_s


@given(calls)
def test_every_second_of_overlap_is_begun_by_one_unless_both_begin_at_once(call):
    timing = time_call(call)
    both = seconds_of(call, Speaker.AGENT) & seconds_of(call, Speaker.CUSTOMER)
    begun = (timing.interruption_time_agent_s or 0) + (timing.interruption_time_customer_s or 0)
    by_speaker = [merge_spans([(u.start_s, u.end_s) for u in call if u.speaker == s]) for s in list(OTHER)[:2]]
    at_once = sum(min(a[1], c[1]) - a[0] for a in by_speaker[0] for c in by_speaker[1] if a[0] == c[0])
    assert begun + at_once == len(both)


@given(calls)
def test_a_monologue_is_part_of_its_speakers_talk(call):
    timing = time_call(call)
    if call:
        assert timing.longest_monologue_agent_s <= timing.talk_time_agent_s
        assert timing.longest_monologue_customer_s <= timing.talk_time_customer_s


@given(spans)
def test_who_speaks_alone_holds_the_floor_for_a_whole_stretch_at_least(given_spans):
    timing = time_call(said(Speaker.AGENT, *given_spans))
    if given_spans:
        assert timing.longest_monologue_agent_s >= max(end - start for start, end in merge_spans(given_spans))


@given(calls)
def test_swapping_the_speakers_swaps_their_figures_and_changes_no_other(call):
    there, back = time_call(call), time_call([replace(u, speaker=OTHER[u.speaker]) for u in call])
    for name, value in vars(there).items():
        twin = name.replace("agent", "\0").replace("customer", "agent").replace("\0", "customer")
        assert getattr(back, twin) == value, name


@given(calls, st.randoms(use_true_random=False))
def test_cutting_utterances_in_two_changes_nothing(call, random):
    cut = []
    for u in call:
        middle = random.choice([u.start_s, (u.start_s + u.end_s) / 2, u.end_s])
        cut += [replace(u, end_s=middle, text="two"), replace(u, start_s=middle, text="words")]
    random.shuffle(cut)
    assert time_call(cut) == time_call(call)


@given(calls)
def test_the_shares_of_both_make_one(call):
    timing = time_call(call)
    agent = talk_share(timing.talk_time_agent_s, timing.talk_time_customer_s)
    customer = talk_share(timing.talk_time_customer_s, timing.talk_time_agent_s)
    assert (agent is None) is (not call)
    if call:
        assert 0 <= agent <= 1
        assert agent + customer == pytest.approx(1, abs=2e-4)
