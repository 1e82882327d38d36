"""What a paid request costs: one charge per request, in millionths of a dollar."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Charge:
    """One paid request, as the bill will count it. Tokens are 0 for speech, `audio_s` is 0 for language.

    `cost_microusd` is None when the price table has no price for the model: unknown is not free.
    `is_booked` says that the ledger has it already, beside the answer that it paid for.
    """

    provider: str
    model: str
    purpose: str
    request_id: str = ""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    audio_s: float = 0.0
    cost_microusd: int | None = None
    is_batch: bool = False
    is_booked: bool = False
