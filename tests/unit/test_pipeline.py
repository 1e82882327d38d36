"""The pipeline as data."""

from datetime import UTC, datetime, timedelta

import pytest

from calls.pipeline import (
    FETCH,
    FILE,
    PIPELINE,
    READ,
    RECLASSIFY,
    TERMINAL_STAGES,
    TRANSCRIBE,
    UNDERSTAND,
    Lane,
    Stage,
    lane_of,
    next_step,
    step_named,
)

SOUND = (FETCH, TRANSCRIBE, UNDERSTAND, FILE)
TEXT = (READ, UNDERSTAND, FILE)
NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)


def test_each_step_needs_what_the_one_before_it_gives():
    assert [step.needs for step in SOUND[1:]] == [step.gives for step in SOUND[:-1]]
    assert [step.needs for step in TEXT[1:]] == [step.gives for step in TEXT[:-1]]
    assert SOUND[-1].gives is TEXT[-1].gives is Stage.DONE
    assert set(PIPELINE) == {*SOUND, *TEXT, RECLASSIFY}


def test_to_be_asked_about_anew_leaves_a_call_where_it_stands():
    assert RECLASSIFY.needs is RECLASSIFY.gives is Stage.DONE


def test_a_recording_is_heard_unless_intake_says_that_it_is_text():
    assert next_step(Stage.RECEIVED) is TRANSCRIBE


def test_what_was_stored_over_a_day_ago_is_old_work():
    assert lane_of(NOW - timedelta(hours=23), NOW) is Lane.LIVE
    assert lane_of(NOW - timedelta(hours=25), NOW) is Lane.BACKFILL
    assert lane_of(None, NOW) is Lane.LIVE


def test_every_stage_is_either_terminal_or_has_exactly_one_step_out_of_it():
    for stage in Stage:
        assert (stage in TERMINAL_STAGES) == (next_step(stage) is None)


def test_a_step_is_found_by_its_task_name_and_a_wrong_name_is_an_error():
    assert step_named("call.file").needs is Stage.UNDERSTOOD
    with pytest.raises(KeyError):
        step_named("call.flie")
