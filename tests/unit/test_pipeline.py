"""The pipeline as data."""

import pytest

from calls.pipeline import PIPELINE, TERMINAL_STAGES, Stage, next_step, step_named


def test_each_step_needs_what_the_one_before_it_gives():
    assert PIPELINE[0].needs is Stage.RECEIVED
    assert PIPELINE[-1].gives is Stage.DONE
    assert [step.needs for step in PIPELINE[1:]] == [step.gives for step in PIPELINE[:-1]]


def test_every_stage_is_either_terminal_or_has_exactly_one_step_out_of_it():
    for stage in Stage:
        assert (stage in TERMINAL_STAGES) == (next_step(stage) is None)


def test_a_step_is_found_by_its_task_name_and_a_wrong_name_is_an_error():
    assert step_named("call.file").needs is Stage.UNDERSTOOD
    with pytest.raises(KeyError):
        step_named("call.flie")
