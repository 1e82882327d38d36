"""Laws of what is looked for: words, phrases, places, excerpts."""

from hypothesis import given
from hypothesis import strategies as st

from calls.search_terms import MAX_TERMS, Excerpt, excerpt, read_terms


def test_words_in_quotes_and_words_that_no_space_parts_belong_together():
    assert read_terms('refund "Order Number" let%up').runs == (("refund",), ("order", "number"), ("let", "up"))
    assert read_terms('"open quote').runs == (("open", "quote"),)
    assert read_terms("% -- ''").runs == ()


def test_places_are_whole_words_in_any_case_and_overlapping_ones_are_one():
    terms = read_terms('up "look up"')
    assert terms.places("Look UP, then cup; up") == [(0, 7), (19, 21)]


def test_what_a_call_was_about_weighs_more_than_what_was_said_in_it():
    terms = read_terms("oven")
    assert terms.score("Oven is dead", "") > terms.score("", "My oven is dead") > terms.score("", "Nothing")
    assert terms.score("", "oven oven") < 2 * terms.score("", "oven")


def test_an_excerpt_is_cut_at_words_and_keeps_its_places():
    text = "word " * 60 + "needle in the hay " + "word " * 60
    part = excerpt(text, read_terms("needle").places(text))
    [(begin, end)] = part.places
    assert part.text[begin:end] == "needle"
    assert part.is_cut == (True, True)
    assert set(part.text.split()) == {"word", "needle", "in", "the", "hay"}
    assert excerpt("short", []) == Excerpt("short", ())


@given(st.text(max_size=300))
def test_whatever_is_typed_is_read_as_words_that_are_found_in_itself(typed):
    terms = read_terms(typed)
    assert len(terms.runs) <= MAX_TERMS
    for begin, end in terms.places(typed):
        assert 0 <= begin < end <= len(typed)
