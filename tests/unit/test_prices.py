"""Laws of the price table's arithmetic."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.money import Budget, day_of
from calls.pipeline import Lane
from calls.prices import Price, PriceHistory, cost_microusd, price_on

TOKENS = st.integers(min_value=0, max_value=2_000_000)


def test_a_dollar_per_million_tokens_is_one_millionth_per_token():
    assert cost_microusd(Price(input=1, output=3), input_tokens=2_700, output_tokens=300) == 3_600


def test_a_price_written_in_decimal_costs_exactly_that():
    # 0.1 + 0.2 in binary is not 0.3: three tokens at ten cents a million and the rest must still add up.
    assert cost_microusd(Price(input=0.1, output=0.2), input_tokens=1_000_000, output_tokens=1_000_000) == 300_000
    assert cost_microusd(Price(minute=0.006), audio_s=90) == 9_000


def test_half_a_millionth_is_rounded_up():
    assert cost_microusd(Price(input=0.5), input_tokens=1) == 1
    assert cost_microusd(Price(input=0.49), input_tokens=1) == 0


def test_an_unknown_price_is_not_free():
    assert cost_microusd(None, input_tokens=5) is None
    assert cost_microusd(Price(), input_tokens=5) == 0


@given(TOKENS, TOKENS)
def test_cached_tokens_cost_as_input_where_the_table_says_nothing_else(given_tokens, cached_tokens):
    plain = cost_microusd(Price(input=0.75), input_tokens=given_tokens)
    assert cost_microusd(Price(input=0.75), input_tokens=given_tokens, cached_tokens=cached_tokens) == plain


@given(TOKENS, TOKENS)
def test_cached_tokens_never_make_a_request_dearer(given_tokens, cached_tokens):
    price = Price(input=0.75, cached=0.075)
    assert cost_microusd(price, input_tokens=given_tokens, cached_tokens=cached_tokens) <= cost_microusd(
        price, input_tokens=given_tokens
    )


def test_the_price_of_its_day_counts():
    history = PriceHistory([Price(input=2, valid_from=date(2026, 5, 1)), Price(input=1)])
    assert price_on(history, date(2026, 4, 30)) == Price(input=1)
    assert price_on(history, date(2026, 5, 1)).input == 2
    assert price_on(PriceHistory([Price(input=2, valid_from=date(2026, 5, 1))]), date(2026, 4, 30)) is None
    assert price_on(None, date(2026, 4, 30)) is None


@given(TOKENS, TOKENS)
def test_a_batch_costs_its_share_of_the_whole_request(given_tokens, answered_tokens):
    price = Price(input=0.25, cached=0.025, output=2, batch=0.5)
    asked = {"input_tokens": given_tokens, "cached_tokens": given_tokens // 2, "output_tokens": answered_tokens}
    whole = cost_microusd(price, **asked)
    assert abs(2 * cost_microusd(price, **asked, is_batch=True) - whole) <= 2


@pytest.mark.parametrize(
    ("moment", "begins", "ends"),
    [
        ("2026-03-28T23:30:00+00:00", "2026-03-28T23:00:00+00:00", "2026-03-29T22:00:00+00:00"),
        ("2026-10-25T12:00:00+00:00", "2026-10-24T22:00:00+00:00", "2026-10-25T23:00:00+00:00"),
    ],
)
def test_a_day_of_a_budget_is_one_of_the_zone_summer_time_included(moment, begins, ends):
    found = day_of(datetime.fromisoformat(moment), ZoneInfo("Europe/Berlin"))
    assert found == (datetime.fromisoformat(begins), datetime.fromisoformat(ends))


def test_a_share_of_a_budget_is_kept_for_calls_that_just_ended():
    budget = Budget(10.0, live_share=0.2)
    assert budget.room_microusd(7_999_999, Lane.BACKFILL) == 1
    assert budget.room_microusd(8_000_000, Lane.BACKFILL) == 0
    assert budget.room_microusd(8_000_000, Lane.LIVE) == 2_000_000
    assert budget.room_microusd(11_000_000, Lane.LIVE) == 0
    assert Budget(0.0).room_microusd(0, Lane.LIVE) == 0
