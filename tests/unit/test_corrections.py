"""Laws of a person's word on an analysis: it replaces what it speaks of, and nothing else."""

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.analysis import Analysis, Evidence, NextStep, Outcome, SkippedFeature
from calls.corrections import (
    OF_ANALYSIS,
    Changes,
    Field,
    WrongCorrection,
    checked,
    is_number,
    under_reason,
    with_word,
    word_of,
    words_of,
)
from calls.reasons import Reason, Taxonomy

STEPS = (NextStep("Send a van", "agent", date(2026, 3, 24)), NextStep("Pay", "customer"))
GIVEN = Analysis(
    headline="Not there",
    summary="It has not arrived.",
    reason_code="delivery_status",
    reason_confidence=0.8,
    secondary_reason_codes=("repair", "new_order"),
    outcome=Outcome.FOLLOW_UP,
    is_resolved=False,
    next_steps=STEPS,
    evidence=(
        Evidence("reason", 1, "has not arrived"),
        Evidence("summary", 1, "not arrived"),
        Evidence("outcome", 2, "call you"),
        Evidence("next_steps.0", 2, "a van"),
        Evidence("next_steps.1", 3, "I pay"),
    ),
    skipped=(SkippedFeature("outcome", "unsupported"), SkippedFeature("answers.new", "invalid_answer")),
    summary_kind="excerpts",
)
TAXONOMY = Taxonomy("1", reasons=tuple(Reason(code, code, code) for code in ("delivery_status", "repair", "late")))

words = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=60)
steps = st.lists(
    st.builds(NextStep, words, st.sampled_from(["", "agent"]), st.none() | st.dates()), max_size=4, unique=True
).map(tuple)
analyses = st.builds(
    Analysis,
    headline=words,
    summary=words,
    reason_code=st.just("late"),
    outcome=st.sampled_from(Outcome),
    next_steps=steps,
)


@given(analyses, analyses)
def test_the_words_of_one_analysis_put_into_another_are_read_back_from_it(theirs, ours):
    for field in OF_ANALYSIS[1:]:
        ours = with_word(ours, field, word_of(theirs, field))
    assert [word_of(ours, field) for field in OF_ANALYSIS] == [word_of(theirs, field) for field in OF_ANALYSIS]


@given(analyses)
def test_saying_what_is_there_changes_nothing(analysis):
    assert all(with_word(analysis, field, word_of(analysis, field)) is analysis for field in OF_ANALYSIS[1:])
    said = Changes("late", analysis.outcome, analysis.headline, analysis.summary, analysis.next_steps)
    assert said.beyond(analysis).fields == ()


def test_a_word_drops_the_quotes_and_doubts_of_its_field_alone():
    after = with_word(GIVEN, Field.OUTCOME, "resolved")
    assert (after.outcome, after.is_resolved) == (Outcome.RESOLVED, True)
    assert {item.field for item in after.evidence} == {"reason", "summary", "next_steps.0", "next_steps.1"}
    assert after.skipped == (SkippedFeature("answers.new", "invalid_answer"),)
    written = with_word(GIVEN, Field.SUMMARY, "It is late.")
    assert (written.summary, written.summary_kind) == ("It is late.", "written")
    assert {item.field for item in written.evidence} == {"reason", "outcome", "next_steps.0", "next_steps.1"}


def test_next_steps_that_stay_keep_their_quotes_wherever_they_stand():
    said = words_of(Changes(next_steps=(NextStep("Write"), STEPS[1])))[Field.NEXT_STEPS]
    after = with_word(GIVEN, Field.NEXT_STEPS, said)
    assert after.next_steps == (NextStep("Write"), STEPS[1])
    assert [item for item in after.evidence if item.field.startswith("next_steps")] == [
        Evidence("next_steps.1", 3, "I pay")
    ]


def test_another_reason_has_no_quotes_and_no_confidence_and_is_no_second_one():
    after = under_reason(GIVEN, "repair", TAXONOMY)
    assert (after.reason_code, after.reason_confidence, after.secondary_reason_codes) == ("repair", None, ())
    assert "reason" not in {item.field for item in after.evidence}
    same = under_reason(replace(GIVEN, reason_code="gone"), "late", TAXONOMY, {"gone": "late"})
    assert (same.reason_code, same.reason_confidence) == ("late", 0.8)
    assert "reason" in {item.field for item in same.evidence}


def test_every_outcome_says_whether_the_matter_is_settled():
    others = {outcome: Outcome.SALE if outcome is Outcome.RESOLVED else Outcome.RESOLVED for outcome in Outcome}
    said = {
        outcome: with_word(replace(GIVEN, outcome=before), Field.OUTCOME, outcome).is_resolved
        for outcome, before in others.items()
    }
    assert {outcome for outcome, settled in said.items() if settled} == {Outcome.RESOLVED, Outcome.SALE}
    assert {outcome for outcome, settled in said.items() if settled is None} == {Outcome.NO_SALE, Outcome.UNKNOWN}


@pytest.mark.parametrize(
    "changes",
    [
        Changes(summary="\u200e \n"),
        Changes(headline="x" * 91),
        Changes(next_steps=(NextStep("x", "y" * 101),)),
        Changes(agent_channel=-1),
    ],
)
def test_what_says_nothing_or_too_much_is_refused(changes):
    with pytest.raises(WrongCorrection):
        checked(changes)


def test_numbers_are_e164():
    assert [is_number(text) for text in ("+15550100", "+4930123456", "15550100", "+0155", "+1 555 0100", "+1", "")] == [
        *(True, True),
        *([False] * 5),
    ]
