"""What a paid request costs, one charge per request, in millionths of a dollar, and what may be spent in a day."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from calls.pipeline import Lane

Service = Literal["speech", "language"]

# The purpose of what a speech engine is paid for; all others are a language model's.
SPEECH = "speech"


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


@dataclass(frozen=True)
class Budget:
    """What may be spent on one service in a day, in dollars; `live_share` (0..1) of it is kept for the live lane."""

    usd_per_day: float
    live_share: float = 0.0

    def room_microusd(self, spent_microusd: int, lane: Lane) -> int:
        """What work of that lane may still spend, in millionths of a dollar; not below 0."""
        share = 1 - Decimal(str(self.live_share)) if lane is Lane.BACKFILL else Decimal(1)
        return max(0, int(Decimal(str(self.usd_per_day)) * 1_000_000 * share) - spent_microusd)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When the day begins in that zone."""
    return datetime.combine(day, time.min, zone)


def day_of(moment: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The beginning and the end of the moment's day in that zone."""
    day = moment.astimezone(zone).date()
    return midnight(day, zone), midnight(day + timedelta(days=1), zone)
