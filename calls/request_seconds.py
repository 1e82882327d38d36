"""Requests that are judged by the second: where the server's seconds end, and when in one of them to send.

Servers hand out a minute's requests in parts (OpenAI, "Rate limits"; Azure judges over 1 and 10 seconds). An even flow
just fits, and is refused whenever the network bunches it. Who knows where the seconds end need not fear that.
"""

from dataclasses import replace
from math import ceil

from calls.meter import Grant, Limits, Meter, lower_limit

# A refusal that says to a part of a second when to come back tells when the server's seconds end. So many more,
# but for those that each answer makes forgotten, show that it has no such seconds; once all are forgotten it may have.
SECOND_S, LONGEST_REQUEST_WINDOW_S = 1.0, 10.0
MISSES_ALLOWED, MISSES_FORGOTTEN = 4.0, 0.01
# Requests leave in the first half of the second that they are meant for.
FIRST_SLOT_S, SLOTS_SHARE = 0.04, 0.5
ROUNDING = 1e-3
# Between leave and refusal.
PROMPT_S = 0.4


def in_second(meter: Meter, limits: Limits, start: float) -> float:
    """When to send what an even flow lets go at `start`: where the server's seconds are known, early in the second that
    it belongs to, so that it is still counted there when it comes late. What is late meets no others: they have their
    places in the next second.
    """
    if meter.second_ends_at is None or not (slot_s := _slot_s(meter, limits)):
        return start
    slots = round(SECOND_S / slot_s)
    second, slot = divmod(ceil((start - meter.second_ends_at) / slot_s - ROUNDING), slots)
    return meter.second_ends_at + second * SECOND_S + FIRST_SLOT_S + slot * slot_s * SLOTS_SHARE


def note_second(meter: Meter, limits: Limits, grant: Grant, retry_after_s: float | None, now: float) -> Meter:
    """The meter with what the refusal of this request tells of the server's seconds: it may be heard late, and never
    early. One that was long on its way tells nothing.
    """
    is_exact = retry_after_s is not None and retry_after_s % 1 and retry_after_s < LONGEST_REQUEST_WINDOW_S
    if retry_after_s is None or not is_exact or now - grant.at > PROMPT_S or not _slot_s(meter, limits):
        return meter
    ends_at = now + retry_after_s
    if meter.second_ends_at is None:
        return meter if meter.second_misses else replace(meter, second_ends_at=ends_at)
    misses = meter.second_misses + 1
    if misses >= MISSES_ALLOWED:
        return replace(meter, second_ends_at=None, second_misses=misses)
    is_earlier = (ends_at - meter.second_ends_at) % SECOND_S > SECOND_S / 2
    return replace(meter, second_ends_at=ends_at if is_earlier else meter.second_ends_at, second_misses=misses)


def forget_misses(meter: Meter) -> float:
    """What is left of the misses after another answer."""
    return max(0.0, meter.second_misses - MISSES_FORGOTTEN)


def _slot_s(meter: Meter, limits: Limits) -> float:
    """How long each of the even slots is that a second has for requests; 0 without a limit of requests."""
    per_minute = lower_limit(limits.requests_per_minute, meter.requests_limit)
    return SECOND_S / ceil(per_minute / 60) if per_minute else 0.0
