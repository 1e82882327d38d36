"""What a request costs, from the owner's price table: exact, in whole millionths of a dollar."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True)
class Price:
    """One model's price in dollars: per million tokens, and per minute of audio.

    `cached` is the price of input tokens that the server had in its cache; None means the same as `input`.
    """

    input: float = 0.0
    cached: float | None = None
    output: float = 0.0
    minute: float = 0.0


def cost_microusd(
    price: Price | None, *, input_tokens: int = 0, cached_tokens: int = 0, output_tokens: int = 0, audio_s: float = 0.0
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
    return int(exact.to_integral_value(ROUND_HALF_UP))


def _written(number: float) -> Decimal:
    return Decimal(str(number))
