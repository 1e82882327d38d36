"""The meter's laws, against the limiters of the field on a clock of the test's own: hours in a second."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.meter import Grant, Limits, Meter, Told, Used, Wait, Wanted
from calls.output_room import expected_output, note_output, output_room
from calls.pacing import LIVE_GRACE_S, LONGEST_WAIT_S, answered, ask_leave, refused, returned, soonest, troubled
from calls.pipeline import Lane
from tests.pacing_field import LIMITERS, LIMITS, TPM, Field
from tests.servers.openai_limits import FixedMinute, RequestWindows

OLD = Wanted(9600, 600, "analysis", Lane.BACKFILL)
NEW = replace(OLD, lane=Lane.LIVE)
USED = Used(2400, 300)


@pytest.mark.parametrize("name", LIMITERS)
def test_under_each_limiter_nearly_all_of_the_bound_is_used_and_hardly_anything_refused(name: str) -> None:
    run = Field(LIMITERS[name]()).run(660)
    assert run.share(60, 660, of_used="provisioned" in name) > 0.97
    assert run.refused_per_1000 <= 1
    assert run.p99_live_wait_s < 2


def test_without_priorities_a_call_that_just_ended_waits_behind_old_work() -> None:
    assert Field(FixedMinute(TPM), is_fair=False).run(240).p99_live_wait_s > 10


def test_where_requests_are_judged_by_the_second_they_leave_evenly() -> None:
    run = Field(RequestWindows(240), Limits(requests_per_minute=240), live_share=0.04).run(300, prompt=lambda _: 300)
    assert len(run.admitted) > 0.97 * 240 * 5
    assert run.refused_per_1000 <= 2
    assert run.p99_live_wait_s < 1


@pytest.mark.parametrize("late_s", [0.025, 0.04, 0.06])
@pytest.mark.parametrize("per_minute", [240, 230])
def test_late_arrivals_are_refused_no_more_once_a_refusal_has_told_where_the_second_ends(
    per_minute: int, late_s: float
) -> None:
    limits = Limits(requests_per_minute=per_minute)
    run = Field(RequestWindows(per_minute), limits, live_share=0.24, late_s=late_s)
    run.run(600, prompt=lambda _: 300)
    assert run.refusals <= 2
    assert len(run.admitted) > 0.97 * per_minute * 10
    assert run.p99_live_wait_s < 2


def _refuse(meter: Meter, limits: Limits, now: float, ends_in_s: float, late_s: float = 0.0) -> Meter:
    meter, leave = ask_leave(meter, limits, Wanted(1200, 100), now=now, patience_s=5)
    assert isinstance(leave, Grant)
    return refused(meter, limits, leave, told=Told(), retry_after_s=ends_in_s, now=now + late_s)


def test_seconds_that_do_not_help_are_given_up_until_that_is_forgotten() -> None:
    meter, limits = Meter(), Limits(requests_per_minute=240)
    for number in range(5):
        meter = _refuse(meter, limits, 10.0 + 10 * number, 0.3)
    assert meter.second_ends_at is None
    assert _refuse(meter, limits, 60.0, 0.3).second_ends_at is None
    for number in range(500):
        meter, leave = ask_leave(meter, limits, Wanted(1200, 100), now=100.0 + number)
        assert isinstance(leave, Grant)
        meter = answered(meter, limits, leave, USED, told=Told(), sent_at=100.0 + number)
    assert _refuse(meter, limits, 700.0, 0.25).second_ends_at == pytest.approx(700.25)


def test_a_refusal_that_was_heard_late_does_not_move_the_seconds_an_earlier_word_does() -> None:
    limits = Limits(requests_per_minute=240)
    meter = _refuse(Meter(), limits, 10.0, 0.5)
    assert _refuse(meter, limits, 20.2, 0.5).second_ends_at == pytest.approx(10.5)
    assert _refuse(meter, limits, 20.0, 0.3).second_ends_at == pytest.approx(20.3)


def test_the_refusal_of_a_request_that_was_long_on_its_way_tells_nothing() -> None:
    limits = Limits(requests_per_minute=240)
    assert _refuse(Meter(), limits, 10.0, 0.5, late_s=0.5).second_ends_at is None


def test_a_refusal_in_whole_seconds_tells_nothing_of_where_they_end() -> None:
    limits = Limits(requests_per_minute=240)
    meter, leave = ask_leave(Meter(), limits, Wanted(1200, 100), now=10.0)
    assert isinstance(leave, Grant)
    assert refused(meter, limits, leave, told=Told(), retry_after_s=1.0, now=10.0).second_ends_at is None


def test_a_window_that_is_shorter_than_thought_is_found_in_the_headers() -> None:
    run = Field(FixedMinute(TPM, window_s=10)).run(360)
    assert run.refused_per_1000 <= 5
    assert run.share(60, 360) > 0.9


def test_a_limit_that_is_lower_than_stated_is_learned_from_the_headers() -> None:
    run = Field(FixedMinute(TPM // 2)).run(420)
    assert run.meter.tokens_limit == TPM // 2
    assert run.refused_per_1000 <= 10
    assert run.share(120, 420) > 0.96 / 2


def test_where_nothing_is_known_the_server_says_what_the_limit_is() -> None:
    run = Field(FixedMinute(TPM), Limits(), workers=8).run(300)
    assert run.meter.tokens_limit == TPM
    assert run.share(0, 300) <= 1


def granted(meter: Meter, wanted: Wanted, now: float, limits: Limits = LIMITS) -> tuple[Meter, Grant]:
    meter, leave = ask_leave(meter, limits, wanted, now)
    assert isinstance(leave, Grant)
    return meter, leave


def waiting(meter: Meter, wanted: Wanted, now: float, **given) -> tuple[Meter, float]:
    meter, leave = ask_leave(meter, LIMITS, wanted, now, **given)
    assert isinstance(leave, Wait)
    return meter, leave.until


def full(now: float = 100.0) -> Meter:
    """A meter from which nothing may leave for a while."""
    return Meter(tokens_until=now + 8, tokens_limit=TPM)


def test_nothing_leaves_before_the_time_that_the_server_names() -> None:
    meter, grant = granted(Meter(), NEW, 100.0)
    meter = refused(meter, LIMITS, grant, told=Told(), retry_after_s=7.5, now=101.0)
    for wanted in (OLD, NEW):
        assert waiting(meter, wanted, 102.0)[1] == 108.5
    assert granted(meter, NEW, 108.6)


def test_a_refused_request_is_counted_for_nothing_and_slows_down_what_follows_once() -> None:
    meter, grant = granted(Meter(), NEW, 100.0)
    once = refused(meter, LIMITS, grant, told=Told(), retry_after_s=5, now=100.1)
    assert once.granted == 0
    assert once.tokens_until == pytest.approx(100.0)
    assert once.pace < 1
    assert refused(once, LIMITS, grant, told=Told(), retry_after_s=5, now=100.2).pace == once.pace


@given(st.floats(0, 50), st.booleans(), st.floats(0, 10**6))
def test_leave_that_is_returned_leaves_nothing_behind(backlog_s: float, is_live: bool, left: float) -> None:
    before = Meter(tokens_until=100 + backlog_s, requests_until=100.0, window_left=left)
    limits = Limits(TPM, 1800)
    meter, leave = ask_leave(before, limits, NEW if is_live else OLD, 200.0)
    assert isinstance(leave, Grant)
    after = returned(meter, limits, leave)
    assert after.tokens_until == pytest.approx(200.0)
    assert after.requests_until == pytest.approx(200.0)
    assert (after.window_left, after.granted) == (pytest.approx(left), pytest.approx(0.0))


def test_what_an_answer_did_not_use_comes_back_where_the_server_takes_it_back() -> None:
    kept, grant = granted(Meter(), NEW, 100.0)
    returned = replace(kept, returns_unused=True)
    kept = answered(kept, LIMITS, grant, USED, told=Told(), sent_at=100.0)
    returned = answered(returned, LIMITS, grant, USED, told=Told(), sent_at=100.0)
    spared_s = (600 - 300) / (TPM / 60 * 0.985)
    assert kept.tokens_until - returned.tokens_until == pytest.approx(spared_s)


def test_tokens_per_byte_are_learned_from_what_servers_count() -> None:
    meter = Meter()
    for _ in range(200):
        meter, grant = granted(meter, NEW, meter.tokens_until + 10)
        meter = answered(meter, LIMITS, grant, Used(3200, 300), told=Told(), sent_at=0)
    assert granted(meter, NEW, meter.tokens_until + 10)[1].prompt_tokens == pytest.approx(3200, rel=0.01)


def test_a_live_request_gets_the_next_moment_and_old_work_what_is_left() -> None:
    meter, leave = ask_leave(full(), LIMITS, NEW, 100.0, patience_s=60)
    assert isinstance(leave, Grant)
    assert 100.0 < leave.at < 108.0
    assert waiting(meter, OLD, 100.0)[1] > leave.at


def test_old_work_stands_back_for_a_live_request_that_was_promised_its_turn() -> None:
    meter, until = waiting(full(), NEW, 100.0)
    assert waiting(meter, OLD, until)[1] == pytest.approx(until + LIVE_GRACE_S)
    assert granted(meter, NEW, until)[0].held_until == 0


def test_old_work_is_sent_away_to_turns_that_follow_each_other() -> None:
    meter, turns = full(), []
    for _ in range(10):
        meter, turn = waiting(meter, OLD, 100.0, patience_s=1)
        turns.append(turn)
    assert turns == sorted(set(turns))
    assert min(turns) > 101


def test_no_wait_is_longer_than_the_longest() -> None:
    meter = full()
    for _ in range(2000):
        meter, turn = waiting(meter, OLD, 100.0)
        assert turn <= 100 + LONGEST_WAIT_S


def test_of_two_deployments_the_one_with_more_left_is_sooner() -> None:
    busy, _ = granted(Meter(), NEW, 100.0)
    assert soonest(Meter(), LIMITS, NEW, 100.0) < soonest(busy, LIMITS, NEW, 100.0)
    assert soonest(troubled(Meter(), 30, 100.0), LIMITS, NEW, 100.0) == 130


@given(st.lists(st.integers(1, 50_000), min_size=60, max_size=120))
def test_the_room_that_is_learned_fits_nearly_all_answers(outputs: list[int]) -> None:
    needed: tuple[int, ...] = ()
    for output in outputs:
        needed = note_output(needed, output)
    room = output_room(needed, 10**6)
    fitting = sum(output <= room for output in outputs)
    assert fitting >= 0.99 * len(outputs) - 1
    assert expected_output(needed, room) <= room


def test_room_is_never_more_than_asked_for_and_not_learned_from_a_handful() -> None:
    few = note_output((), 100)
    assert output_room(few, 1200) == 1200
    many: tuple[int, ...] = ()
    for _ in range(100):
        many = note_output(many, 300)
    assert 300 <= output_room(many, 1200) <= 330
    assert output_room(many, 200) == 200


def test_answers_that_are_cut_off_make_room_for_longer_ones() -> None:
    meter = Meter(needed={"analysis": tuple([100] + [0] * 79)})
    assert granted(meter, NEW, 100.0)[1].max_output_tokens == 32
    for _ in range(40):
        meter, grant = granted(meter, NEW, meter.tokens_until + 10)
        meter = answered(meter, LIMITS, grant, Used(2400, grant.max_output_tokens, True), told=Told(), sent_at=0)
    assert granted(meter, NEW, meter.tokens_until + 10)[1].max_output_tokens > 300


def test_a_question_without_a_kind_gets_all_the_room_it_wants() -> None:
    meter = Meter(needed={"analysis": tuple([100] + [0] * 79)})
    assert granted(meter, replace(NEW, kind=""), 100.0)[1].max_output_tokens == 600
