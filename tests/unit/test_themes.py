"""Themes: planted matters are found, whole and unmixed; what is no matter, or has its reason already, is none."""

from collections import Counter
from datetime import date

import pytest

from analytics.proposals import NoSuchTheme, draft_of
from analytics.theme_groups import MIN_SIZE, find_themes
from analytics.theme_words import sentences, theme_stems
from analytics.themes import MIN_CALLS
from calls.reasons import Reason, Taxonomy
from calls.taxonomy_file import parse_taxonomy
from calls.taxonomy_text import write_taxonomy
from tests.planted_themes import planted

NONE = Taxonomy(version="none", reasons=())
OURS = Taxonomy(
    version="ours", title="Ours", reasons=(Reason("repair", "Repair", "Something is broken and has to be mended."),)
)
SIZES = {"parking": 50, "allergy": 40, "newsletter": 30}


@pytest.mark.parametrize("noise", [0, 60])
def test_planted_matters_are_found_whole_and_unmixed(noise):
    calls, matter = planted(SIZES, noise)
    found = find_themes(calls, OURS)
    mixed = [Counter(matter[call_id] for call_id in theme.call_ids) for theme in found.themes]
    assert found.looked_at == len(calls)
    assert {max(one, key=one.__getitem__) for one in mixed} == set(SIZES)
    assert len(mixed) == len(SIZES)
    right = sum(max(one.values()) for one in mixed)
    assert right / sum(one.total() for one in mixed) >= 0.97
    assert right / sum(SIZES.values()) >= 0.9
    for theme in found.themes:
        assert theme.calls == len(theme.call_ids) >= MIN_SIZE
        assert theme.share == theme.calls / len(calls)
        assert sum(week.calls for week in theme.weeks) == theme.calls
        assert [week.starts_on for week in theme.weeks] == [date(2026, 3, day) for day in (2, 9, 16, 23)]
    assert sum(week.of_calls for week in found.themes[0].weeks) == len(calls)


def test_the_same_calls_in_any_order_give_the_same_themes():
    calls, _ = planted(SIZES)
    assert find_themes(calls, NONE) == find_themes(calls[::-1], NONE)


@pytest.mark.parametrize("seed", range(3))
def test_words_that_have_nothing_to_do_with_each_other_are_no_theme(seed):
    calls, _ = planted({}, noise=150, seed=seed)
    assert find_themes(calls, NONE).themes == ()


def test_silence_and_calls_that_share_no_word_are_no_theme():
    calls, _ = planted({}, noise=MIN_CALLS)
    silent = [type(call)(call.call_id, call.day, "", ()) for call in calls]
    unlike = [
        type(call)(call.call_id, call.day, "", (f"word{'abcdefghij'[n // 10]}{'klmnopqrst'[n % 10]}",))
        for n, call in enumerate(calls)
    ]
    same = [type(call)(call.call_id, call.day, "", ("Where is it?",)) for call in calls]
    assert [find_themes(some, NONE).themes for some in (silent, unlike, same)] == [(), (), ()]


@pytest.mark.filterwarnings("error")
def test_calls_of_the_same_few_words_are_grouped_without_a_warning():
    calls, _ = planted({}, noise=MIN_CALLS)
    texts = ("Parking permit expires", "Gift card is empty", "Lost bicycle found", "Radio plays music", "Lift smells")
    few = [type(call)(call.call_id, call.day, "", (texts[n % len(texts)],)) for n, call in enumerate(calls)]
    assert find_themes(few, NONE).looked_at == MIN_CALLS


def test_fewer_calls_than_a_hundred_are_too_few():
    calls, _ = planted(SIZES)
    found = find_themes(calls[: MIN_CALLS - 1], NONE)
    assert (found.too_few, found.themes) == (True, ())
    assert not find_themes(calls[:MIN_CALLS], NONE).too_few


def test_what_a_reason_explains_already_is_no_theme():
    calls, matter = planted(SIZES)
    parking = Reason(
        "parking",
        "Parking permit",
        "A resident permit or parking badge for a street, garage or car park expired, or the vehicle was towed.",
        ("I got a fine although I have a parking permit", "My car was towed from the street"),
    )
    found = find_themes(calls, Taxonomy("x", (*OURS.reasons, parking)))
    assert {matter[theme.call_ids[0]] for theme in found.themes} == {"allergy", "newsletter"}
    assert found.explained == 1


def test_accepted_themes_are_a_draft_that_can_be_loaded():
    calls, _ = planted(SIZES)
    found = find_themes(calls, OURS)
    read = parse_taxonomy(write_taxonomy(draft_of(OURS, found)))
    assert (read.title, len(read.reasons)) == ("Ours", 1 + len(SIZES))
    for theme in found.themes:
        reason = read.reason(theme.reason.code)
        assert reason == theme.reason
        assert reason.examples
        assert set(theme.reason.label.lower().split()) <= set(theme.words)
    some = found.themes[0].reason.code
    assert [one.code for one in draft_of(OURS, found, [some]).reasons] == ["repair", some]
    # With the draft in force, nothing is left to propose.
    assert find_themes(calls, read).themes == ()
    with pytest.raises(NoSuchTheme, match="nothing_like_it"):
        draft_of(OURS, found, ["nothing_like_it"])


def test_a_code_that_is_taken_is_not_given_twice():
    calls, _ = planted(SIZES)
    codes = [theme.reason.code for theme in find_themes(calls, NONE).themes]
    taken = Taxonomy("x", tuple(Reason(code, "Zzz", "Qqq.") for code in codes))
    again = [theme.reason.code for theme in find_themes(calls, taken).themes]
    assert len(again) == len(codes)
    assert not set(again) & set(codes)


def test_numbers_and_marks_are_neither_words_nor_examples():
    assert theme_stems("My card [CARD_NUMBER] ends with 4711 and is blocked") == ["card", "end", "block"]
    assert sentences(
        [
            "My card is 4711 or so, I think.",
            "It goes to [EMAIL] every day.",
            "Short one.",
            "Why is my card blocked again?",
        ]
    ) == ["Why is my card blocked again?"]
