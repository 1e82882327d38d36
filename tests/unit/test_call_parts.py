"""Laws of a call's page as plain values: what is looked for, the history in words, the pictures."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.reasons import Reason, Taxonomy
from calls.unsure import Run
from crm.reviews import Review
from web.call_parts import history_of
from web.finding import find_words, mark_words
from web.timeline import draw_moods, draw_talk

NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
SAID = Review(UUID(int=1), 1, "v", "reason", "delivery", "repair", "maria", NOW)
TAXONOMY = Taxonomy("v", (Reason("delivery", "Delivery", "?"), Reason("repair", "Repair", "?")))

runs = st.lists(st.builds(Run, st.text(alphabet="ab \n", min_size=1, max_size=6), st.booleans()), max_size=5)


@given(runs, st.text(alphabet='ab "', max_size=4))
def test_marking_changes_no_word_and_marks_just_what_is_found(given_runs, words):
    shown = mark_words(given_runs, words)
    whole = "".join(run.text for run in given_runs)
    assert "".join(run.text for run in shown) == whole
    marked, at = set(), 0
    for run in shown:
        if run.is_found:
            marked |= set(range(at, at + len(run.text)))
        at += len(run.text)
    assert marked == {place for start, end in find_words(whole, words) for place in range(start, end)}


@given(runs)
def test_marking_keeps_what_the_engine_was_unsure_of(given_runs):
    def unsure(some):
        return "".join("?" * len(run.text) if run.is_unsure else run.text for run in some)

    assert unsure(mark_words(given_runs, "a")) == unsure(given_runs)


@pytest.mark.parametrize(
    ("text", "words", "places"),
    [
        ("The Oven does not heat", "oven  DOES", [(4, 13)]),
        ("a.b and axb", "a.b", [(0, 3)]),
        ("nothing", "", []),
        ("nothing", '" "', []),
        ("say (now", "(now", [(4, 8)]),
    ],
)
def test_words_are_found_as_they_are_typed(text, words, places):
    assert find_words(text, words) == places


def history(**facts):
    found = SimpleNamespace(reviews=(replace(SAID, **facts),))
    return history_of(found, TAXONOMY)[0]


def test_the_history_is_in_words():
    assert (history().what, history().before, history().after) == ("Reason", "Delivery", "Repair")
    confirmed = history(after="delivery")
    assert (confirmed.what, confirmed.before, confirmed.after) == ("Reason confirmed", "", "Delivery")
    steps = history(field="next_steps", before="[]", after='[{"text": "Ring"}, {"text": "Send"}]')
    assert (steps.before, steps.after) == ("none", "Ring; Send")
    assert (history(field="customer", after=str(UUID(int=2))).after, history(field="approval").before) == ("", "")


def test_steps_that_a_mark_has_cut_are_left_out_and_break_nothing():
    assert history(field="next_steps", before=None, after='[{"text": "Ring [NUMBER]').after == ""


def test_the_parts_of_the_talk_fill_the_bar():
    drawn = draw_talk(30.0, 60.0, 10.0)
    assert drawn is not None
    assert [(part.kind, part.x, part.width) for part in drawn.parts] == [
        ("agent", 0.0, 300.0),
        ("customer", 300.0, 600.0),
        ("nobody", 900.0, 100.0),
    ]
    assert drawn.label == "agent 30%, customer 60%, nobody 10%"
    assert draw_talk(None, 1.0, 1.0) is None
    assert draw_talk(0.0, 0.0, 5.0) is None


def test_moods_are_drawn_from_two_on_within_the_picture():
    assert draw_moods([3.0]) is None
    drawn = draw_moods([-5.0, 0.0, 5.0])
    assert drawn is not None
    assert [(dot.x, dot.y, dot.tone) for dot in drawn.dots] == [(6, 40, "low"), (100, 22, "even"), (194, 4, "high")]
