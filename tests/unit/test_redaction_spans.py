"""When something sensitive is said: the sound of it can be silenced, and no more than that."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.redaction import Finding, redact_turns
from calls.redaction_spans import MARGIN_S, SensitiveSpan, sensitive_spans
from calls.transcript import Speaker, Utterance, Word, take_turns

CARD = "four one one one one one one one one one one one one one one one"


def spoken(text: str, start_s: float, channel: int = 0, *, with_words: bool = True, word_s: float = 0.4) -> Utterance:
    """An utterance of which each word takes `word_s` seconds."""
    said = text.split()
    words = tuple(Word(word, start_s + i * word_s, start_s + (i + 1) * word_s) for i, word in enumerate(said))
    speaker = Speaker.AGENT if channel else Speaker.CUSTOMER
    end_s = start_s + len(said) * word_s
    return Utterance(channel, start_s, end_s, text, speaker=speaker, words=words if with_words else ())


def test_a_number_is_silenced_from_its_first_word_to_its_last():
    [span] = sensitive_spans([spoken(f"my card is {CARD} thank you", 10.0)])
    assert (span.channel, span.kind) == (0, "CARD")
    assert span.start_s == pytest.approx(10.0 + 3 * 0.4 - MARGIN_S)
    assert span.end_s == pytest.approx(10.0 + 19 * 0.4 + MARGIN_S)


def test_a_number_in_several_utterances_and_from_both_sides_is_silenced_in_each():
    four = "four one one one"
    said = [spoken("What is the number on the card?", 0.0, 1)]
    for i, group in enumerate((four, "one one one one", "one one one one", "one one one one")):
        said += [spoken(group, 4.0 + i * 6, 0), spoken(f"okay, {group}", 6.5 + i * 6, 1)]
    spans = sensitive_spans(said)
    assert [span.channel for span in spans] == [0, 1] * 4
    assert {span.kind for span in spans} == {"CARD"}
    assert all(span.end_s - span.start_s == pytest.approx(1.6 + 2 * MARGIN_S) for span in spans)


def test_an_utterance_without_times_of_its_words_is_silenced_as_a_whole():
    silent, said = spoken("hello there", 0.0), spoken("my PIN is 3941", 9.0, with_words=False)
    assert sensitive_spans([silent, said]) == [SensitiveSpan(0, said.start_s - MARGIN_S, said.end_s + MARGIN_S, "PIN")]


def test_words_that_are_not_those_of_the_text_are_not_trusted():
    said = spoken("my PIN is 3941", 9.0)
    other = Utterance(0, said.start_s, said.end_s, "my PIN is three nine four one", words=said.words)
    [span] = sensitive_spans([other])
    assert (span.start_s, span.end_s) == (said.start_s - MARGIN_S, said.end_s + MARGIN_S)


def test_what_a_finder_of_ones_own_finds_is_silenced_too():
    def rosa(texts, _speakers=None):
        return [[Finding(at, at + 4, "NAME")] if (at := text.find("Rosa")) >= 0 else [] for text in texts]

    [span] = sensitive_spans([spoken("this is Rosa speaking", 0.0)], rosa)
    assert (span.kind, span.start_s) == ("NAME", pytest.approx(0.8 - MARGIN_S))


WORDS = st.sampled_from([*CARD.split(), "4111", "1111", "my", "card", "PIN", "is", "jane@example.org", "okay,", "born"])


@given(st.lists(st.tuples(st.integers(0, 1), st.lists(WORDS, min_size=1, max_size=8)), max_size=8))
def test_something_is_silenced_in_just_the_turns_that_redaction_changes(said):
    utterances = [spoken(" ".join(words), i * 10.0, channel) for i, (channel, words) in enumerate(said)]
    turns = take_turns(utterances)
    changed = [turn for turn, redacted in zip(turns, redact_turns(turns), strict=True) if turn != redacted]
    spans = sensitive_spans(utterances)
    for turn in turns:
        inside = [s for s in spans if turn.start_s - MARGIN_S <= s.start_s <= turn.end_s]
        assert bool(inside) == (turn in changed)
    assert all(before.start_s <= after.start_s for before, after in pairwise(spans))
