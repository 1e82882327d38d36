"""Word and character errors against a plain count of the same thing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.word_errors import Errors, align, character_distance, normalise, rate_over, word_errors

words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=12)


def distance(one, other):
    """Edit distance by its definition."""
    table = {(0, there): there for there in range(len(other) + 1)} | {(at, 0): at for at in range(len(one) + 1)}
    for at in range(1, len(one) + 1):
        for there in range(1, len(other) + 1):
            changed = table[at - 1, there - 1] + (one[at - 1] != other[there - 1])
            table[at, there] = min(changed, table[at - 1, there] + 1, table[at, there - 1] + 1)
    return table[len(one), len(other)]


@given(words, words)
def test_the_errors_are_as_few_as_can_be(reference, heard):
    found = word_errors(reference, heard)
    assert found.count == distance(reference, heard)
    assert found.reference_count == len(reference)
    assert len(heard) == len(reference) - found.deletion_count + found.insertion_count


@given(words, words)
def test_an_alignment_holds_every_word_once_and_in_order(reference, heard):
    pairs = align(reference, heard)
    assert [r for r, _ in pairs if r is not None] == list(range(len(reference)))
    assert [h for _, h in pairs if h is not None] == list(range(len(heard)))


@given(st.text(alphabet="abü €", max_size=15), st.text(alphabet="abü €", max_size=15))
def test_characters_are_counted_the_same_way(reference, heard):
    assert character_distance(reference, heard) == distance(reference, heard)


def test_each_kind_of_error_is_told_apart():
    assert word_errors(["where", "is", "my", "order"], ["here", "is", "order", "please", "now"]) == Errors(4, 1, 1, 2)
    assert word_errors([], ["noise"]) == Errors(0, 0, 0, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don’t KNOW, really.", "i don't know really"),
        ("[noise] a well-known [laughter] fact", "a well known fact"),
        ("It's $134 – at 9:30!", "it's 134 at 9 30"),
        ("'quoted' Straße ﬁve", "quoted straße five"),
        ("  ...  ", ""),
    ],
)
def test_what_is_compared_is_the_words(text, expected):
    assert normalise(text) == expected.split()


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=20))
def test_a_rate_lies_in_its_interval_and_the_interval_in_its_calls(pairs):
    rate = rate_over(pairs)
    rates = [part / whole for part, whole in pairs]
    assert rate.value == round(sum(p for p, _ in pairs) / sum(w for _, w in pairs), 4)
    assert min(rates) - 1e-3 <= rate.low <= rate.high <= max(rates) + 1e-3
    assert rate == rate_over(pairs)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(200):
        drawn = [(random.binomial(100, random.beta(8, 12)), 100) for _ in range(40)]
        rate = rate_over(drawn)
        covered += rate.low <= 0.4 <= rate.high
    assert 0.88 <= covered / 200 <= 0.99


def test_nothing_said_has_no_rate():
    assert rate_over([]) is None
    assert rate_over([(3, 0)]) is None
