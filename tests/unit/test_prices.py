"""Laws of the price table's arithmetic."""

from hypothesis import given
from hypothesis import strategies as st

from calls.prices import Price, cost_microusd

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
