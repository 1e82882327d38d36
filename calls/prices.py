"""What a request costs, from the owner's price table: exact, in whole millionths of a dollar."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True)
class Price:
    """One model's price in dollars: per million tokens, and per minute of audio.

    `cached` is the price of input tokens that the server had in its cache; None means the same as `input`. `batch` is
    what the Batch API charges of all this, as a share of 1. `valid_from` is the first day (UTC) on which it counts.
    """

    input: float = 0.0
    cached: float | None = None
    output: float = 0.0
    minute: float = 0.0
    batch: float = 0.5
    valid_from: date = date.min


@dataclass(frozen=True)
class PriceHistory:
    """The prices of one model, in any order; the later one counts from its day on."""

    prices: Sequence[Price]

    def on(self, day: date) -> Price | None:
        """The price that counts on that day (UTC); None before the first one."""
        begun = [price for price in self.prices if price.valid_from <= day]
        return max(begun, key=lambda price: price.valid_from) if begun else None


def price_on(prices: PriceHistory | Price | None, day: date) -> Price | None:
    """The price of that day (UTC) out of what an engine was given: a history, one price for ever, or none."""
    return prices.on(day) if isinstance(prices, PriceHistory) else prices


def cost_microusd(
    price: Price | None,
    *,
    input_tokens: int = 0,
    cached_tokens: int = 0,
    output_tokens: int = 0,
    audio_s: float = 0.0,
    is_batch: bool = False,
) -> int | None:
    """The cost of one request in millionths of a dollar, rounded half up; None where no price is known.

    `cached_tokens` are among the `input_tokens`, the way OpenAI's `usage` counts them. A dollar per million tokens is a
    millionth of a dollar per token, so token prices need no scaling. Prices count as they are written in decimal, not
    as the binary fractions that they are held in: a sum of many small requests is the bill.
    """
    if price is None:
        return None
    cached_tokens = min(cached_tokens, input_tokens)
    cached_price = price.input if price.cached is None else price.cached
    exact = (
        _written(price.input) * (input_tokens - cached_tokens)
        + _written(cached_price) * cached_tokens
        + _written(price.output) * output_tokens
        + _written(price.minute) * 1_000_000 * _written(audio_s) / 60
    )
    if is_batch:
        exact *= _written(price.batch)
    return int(exact.to_integral_value(ROUND_HALF_UP))


def _written(number: float) -> Decimal:
    return Decimal(str(number))
