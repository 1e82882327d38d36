"""What asking about many calls will take."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calls.forecast import Basis, Forecast, Tokens, bound_of_one, forecast
from calls.prices import Price

PRICES = {"small": Price(input=0.75, cached=0.075, output=4.5), "large": Price(input=5, cached=0.5, output=30)}
BOUND = Tokens(3000, 0, 1200)


def ask(call_count, observed=(), observed_count=0, models=("small",), **more):
    return forecast(
        call_count,
        models=models,
        price_of=PRICES.get,
        observed=dict(observed),
        observed_count=observed_count,
        upper_bound=BOUND,
        **more,
    )


def test_what_asking_took_before_it_takes_again():
    found = ask(500, {"small": Tokens(20_000, 10_000, 3_000)}, 10)
    assert (found.basis, found.tokens) == (Basis.OBSERVED, Tokens(1_000_000, 500_000, 150_000))
    # Half a million at 0.75 dollars, half a million at 0.075, and 150,000 at 4.5.
    assert found.cost_microusd == 375_000 + 37_500 + 675_000


def test_a_batch_is_half_the_price():
    observed = {"small": Tokens(20_000, 0, 3_000)}
    assert 2 * ask(10, observed, 10, is_batch=True).cost_microusd == ask(10, observed, 10).cost_microusd


def test_tiers_are_priced_each_by_its_own_table_and_a_model_that_is_gone_by_that_of_the_first():
    observed = {"small": Tokens(10_000, 0, 1_000), "large": Tokens(1_000, 0, 100)}
    both = ask(10, observed, 10, models=("small", "large"))
    assert both.cost_microusd == 7_500 + 4_500 + 5_000 + 3_000
    assert ask(10, observed, 10, models=("small",)).cost_microusd == 8_250 + 4_950


def test_without_anything_observed_the_most_that_it_can_be_is_told():
    found = ask(100)
    assert (found.basis, found.tokens) == (Basis.UPPER_BOUND, Tokens(300_000, 0, 120_000))


def test_an_unknown_price_is_not_a_price_of_nothing():
    found = ask(10, models=("unheard_of",))
    assert (found.cost_microusd, found.unpriced_models) == (None, ("unheard_of",))


@pytest.mark.parametrize(("count", "models"), [(0, ("small",)), (10, ())])
def test_nobody_is_paid_for_nothing_or_by_an_engine_without_a_price(count, models):
    assert ask(count, models=models) == Forecast(Basis.FREE, Tokens(), 0)


@given(st.integers(1, 10_000), st.integers(1, 100), st.integers(0, 10**6), st.integers(0, 10**5))
def test_a_forecast_is_never_below_its_share_of_what_was_observed(calls, asked, given_tokens, answered):
    found = ask(calls, {"small": Tokens(given_tokens, 0, answered)}, asked)
    assert found.tokens.input * asked >= given_tokens * calls
    assert (found.tokens.input - 1) * asked < given_tokens * calls or found.tokens.input == 0


def test_the_bound_of_one_grows_with_what_is_fixed_said_and_allowed():
    assert bound_of_one(2000, 4000, 1200) == Tokens(2000 + 2200, 0, 1200)
