"""Words that an engine was not sure of: kept as they are, and marked."""

from hypothesis import given
from hypothesis import strategies as st

from calls.transcript import Utterance, Word, group_turns, take_turns
from calls.unsure import Run, mark_unsure


def said(*words: tuple[str, float | None], start_s: float = 0.0) -> Utterance:
    timed = tuple(Word(text, start_s + n, start_s + n + 1, sure) for n, (text, sure) in enumerate(words))
    return Utterance(0, start_s, start_s + len(words), " ".join(text for text, _ in words), words=timed)


def test_only_words_below_the_bound_are_marked() -> None:
    one = said(("My", 0.9), ("name", 0.5), ("is", 0.9), ("Quill,", 0.3), ("Quill.", 0.49))
    assert mark_unsure([one], 0.5) == [
        Run("My name is ", False),
        Run("Quill,", True),
        Run(" ", False),
        Run("Quill.", True),
    ]


def test_the_same_word_is_marked_only_where_it_was_unsure() -> None:
    assert mark_unsure([said(("no", 0.9), ("no", 0.2), ("no", 0.9))], 0.5) == [
        Run("no ", False),
        Run("no", True),
        Run(" no", False),
    ]


def test_an_utterance_without_words_is_marked_as_a_whole() -> None:
    assert mark_unsure([Utterance(0, 0, 1, "Perhaps so.", avg_confidence=0.2)], 0.5) == [Run("Perhaps so.", True)]
    assert mark_unsure([Utterance(0, 0, 1, "Surely.", avg_confidence=None)], 0.5) == [Run("Surely.", False)]


confidences = st.none() | st.floats(0, 1)
utterances = st.lists(
    st.lists(st.tuples(st.sampled_from(["no", "well", "no,", "no."]), confidences), min_size=1, max_size=5),
    min_size=1,
    max_size=5,
).map(lambda all_words: [said(*words, start_s=6.0 * n) for n, words in enumerate(all_words)])


@given(utterances, st.floats(0, 1))
def test_marking_changes_no_letter_and_marks_no_other_word(given_utterances: list[Utterance], below: float) -> None:
    turns = take_turns(given_utterances)
    groups = group_turns(given_utterances)
    assert len(turns) == len(groups)
    for turn, group in zip(turns, groups, strict=True):
        runs = mark_unsure(group, below)
        assert "".join(run.text for run in runs) == turn.text
        marked = [run.is_unsure for run in runs for _ in run.text.split()]
        assert marked == [w.confidence is not None and w.confidence < below for one in group for w in one.words]
