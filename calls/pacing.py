"""When a request may leave for a deployment whose tokens and requests per minute are limited, and how much room its
answer gets: pure decisions on the state of one meter.

The generic cell rate algorithm (ITU-T I.371) needs one moment per limit: when all that was granted will have run off.
A request is granted while that moment lies less than a tolerance ahead, so requests leave evenly, in whatever windows
the server counts. Times are seconds on the clock of who keeps the meter; no limit is 0.
"""

from dataclasses import replace

from calls.meter import Grant, Limits, Meter, Told, Used, Wait, Wanted, lower_limit
from calls.output_room import expected_output, note_output, output_room
from calls.pipeline import Lane
from calls.request_seconds import forget_misses, in_second, note_second

# Of what the owner or the server says: what clocks and estimates differ by must not end as a refusal. Requests may be
# judged by the second, where a network's whims weigh more.
USED_SHARE = 0.985
USED_REQUESTS_SHARE = 0.978
# How far ahead of an even flow old work may be, as a share of the window: what is made up for after a short pause.
TOLERANCE_SHARE = 1 / 120
# How far ahead old work is promised its moment, as a share of the window: nobody need ask at the very moment.
AHEAD_SHARE = 1 / 120
# What old work leaves of a fixed window for calls that just end.
HEADROOM_SHARE = 0.01
# Those who wait for old work try a little sooner than the flow lets them: capacity that turns up is taken at once.
TRY_AHEAD = 0.9
# A live call that was sent back to its turn is due then; old work stands back for so long, until it comes.
LIVE_GRACE_S = 3.0
LONGEST_WAIT_S = 300.0
UNTOLD_WAIT_S = 1.0
# A refusal that the meter did not foresee: a little slower, much more evenly; taken back by degrees.
SLOWER, FASTER, SLOWEST = 0.97, 0.002, 0.5
EVENER, COARSER = 0.5, 0.005
LEARNING_RATE = 0.05
# How long an answer that was cut off is taken to have wanted to be.
CUT_OFF_FACTOR = 1.5


def ask_leave(
    meter: Meter, limits: Limits, wanted: Wanted, now: float, *, patience_s: float = 0.0
) -> tuple[Meter, Grant | Wait]:
    """The meter afterwards, and leave for the request or the moment to ask again.

    A live request whose turn comes within `patience_s` gets its leave for that moment, before all old work. Old work
    gets leave for now or soon only: else it waits for one of the tries within `patience_s`, one every so often that
    just more than the capacity is asked for, or is sent away until its turn in the same measure.
    """
    grant, cost_s, apart_s = _priced(meter, limits, wanted)
    is_live = wanted.lane is Lane.LIVE
    otherwise_at = max(now, _earliest(meter, limits, wanted, grant, now))
    start = max(otherwise_at, meter.requests_until)
    at = max(otherwise_at, in_second(meter, limits, start))
    if start <= now + (patience_s if is_live else min(patience_s, AHEAD_SHARE * limits.window_s)):
        left = meter.window_left
        meter = replace(
            meter,
            tokens_until=max(meter.tokens_until, start) + cost_s,
            requests_until=max(meter.requests_until, start) + apart_s,
            granted=meter.granted + grant.tokens,
            window_left=None if left is None else left - grant.tokens,
            held_until=0.0 if is_live else meter.held_until,
        )
        return meter, replace(grant, at=at, granted=meter.granted)
    if is_live:
        until = min(start, now + LONGEST_WAIT_S)
        return replace(meter, held_until=until + LIVE_GRACE_S), Wait(until)
    between_s = TRY_AHEAD * max(cost_s, apart_s)
    next_try = max(start, meter.next_try_at)
    if next_try <= now + patience_s:
        return replace(meter, next_try_at=next_try + between_s), Wait(next_try)
    turn = min(max(start, meter.next_turn_at, now + patience_s), now + LONGEST_WAIT_S)
    return replace(meter, next_turn_at=turn + between_s), Wait(turn)


def soonest(meter: Meter, limits: Limits, wanted: Wanted, now: float) -> float:
    """When the request could leave; among deployments the one with the most left says the least, in the past even."""
    grant, _, _ = _priced(meter, limits, wanted)
    return max(meter.requests_until, _earliest(meter, limits, wanted, grant, now))


def answered(meter: Meter, limits: Limits, grant: Grant, used: Used, *, told: Told, sent_at: float) -> Meter:
    """The meter after an answer: what was counted too much or too little is set right, and the server's word kept."""
    meter = _heed(meter, limits, told, grant, sent_at)
    off = used.input_tokens - grant.prompt_tokens
    if meter.returns_unused:
        off += used.output_tokens - grant.output_tokens
    rate = _tokens_per_s(meter, limits)
    per_byte = used.input_tokens / grant.prompt_bytes if grant.prompt_bytes else meter.tokens_per_byte
    needed = dict(meter.needed)
    if grant.kind:
        took = CUT_OFF_FACTOR * grant.max_output_tokens if used.was_cut_off else used.output_tokens
        needed[grant.kind] = note_output(needed.get(grant.kind, ()), int(took))
    return replace(
        meter,
        tokens_until=meter.tokens_until + (off / rate if rate else 0.0),
        tokens_per_byte=meter.tokens_per_byte + LEARNING_RATE * (per_byte - meter.tokens_per_byte),
        needed=needed,
        pace=min(1.0, meter.pace + FASTER),
        burst=min(1.0, meter.burst + COARSER),
        second_misses=forget_misses(meter),
    )


def refused(
    meter: Meter, limits: Limits, grant: Grant, *, told: Told, retry_after_s: float | None, now: float
) -> Meter:
    """The meter after the server said "too many": nothing leaves before the time that it named.

    What the request was counted for is given back: a refused one uses no tokens.
    """
    meter = _heed(meter, limits, told, grant, now)
    rate = _tokens_per_s(meter, limits)
    is_first = now >= meter.closed_until
    closed_until = max(meter.closed_until, now + (UNTOLD_WAIT_S if retry_after_s is None else retry_after_s))
    meter = note_second(meter, limits, grant, retry_after_s, now)
    return replace(
        meter,
        tokens_until=meter.tokens_until - (grant.tokens / rate if rate else 0.0),
        granted=meter.granted - grant.tokens,
        closed_until=closed_until,
        # The others that were on their way say nothing new.
        pace=max(SLOWEST, meter.pace * SLOWER) if is_first else meter.pace,
        burst=meter.burst * EVENER if is_first else meter.burst,
    )


def returned(meter: Meter, limits: Limits, grant: Grant) -> Meter:
    """The meter after a request that had leave and was not sent."""
    rate, per_s = _tokens_per_s(meter, limits), _requests_per_s(meter, limits)
    return replace(
        meter,
        tokens_until=meter.tokens_until - (grant.tokens / rate if rate else 0.0),
        requests_until=meter.requests_until - (1 / per_s if per_s else 0.0),
        granted=meter.granted - grant.tokens,
        window_left=None if meter.window_left is None else meter.window_left + grant.tokens,
    )


def troubled(meter: Meter, wait_s: float, now: float) -> Meter:
    """The meter of a deployment that answers with errors of its own: others come first for so long.

    What was granted stays counted: servers count requests that failed, too.
    """
    return replace(meter, closed_until=max(meter.closed_until, now + wait_s))


def _heed(meter: Meter, limits: Limits, told: Told, grant: Grant, sent_at: float) -> Meter:
    """The meter with what the server said about its limits when this request came there."""
    meter = replace(
        meter,
        tokens_limit=meter.tokens_limit if told.tokens_limit is None else told.tokens_limit,
        requests_limit=meter.requests_limit if told.requests_limit is None else told.requests_limit,
        returns_unused=meter.returns_unused if told.returns_unused is None else told.returns_unused,
    )
    if told.tokens_left is None or told.tokens_reset_s is None or not meter.tokens_limit:
        return meter
    in_window = meter.tokens_limit * limits.window_s / 60
    spent_share = 1 - told.tokens_left / in_window
    # A bucket that fills by itself is full again when what is spent has come back; a fixed window ends at its end. They
    # differ where it matters, when little is left.
    is_bucket = told.tokens_reset_s >= limits.window_s * spent_share / 2
    window_until = sent_at + told.tokens_reset_s
    if spent_share < 0.5 or is_bucket or window_until < meter.window_until - limits.window_s / 10:
        return meter
    # What left after this request is missing from the server's word.
    left = told.tokens_left - max(0.0, meter.granted - grant.granted)
    if meter.window_left is not None and window_until < meter.window_until + limits.window_s / 10:
        left = min(left, meter.window_left)
    return replace(meter, window_left=left, window_until=window_until)


def _priced(meter: Meter, limits: Limits, wanted: Wanted) -> tuple[Grant, float, float]:
    """The request's grant but for its moment, and for how many seconds it uses up either limit."""
    room = output_room(meter.needed.get(wanted.kind, ()), wanted.max_output_tokens)
    output = expected_output(meter.needed.get(wanted.kind, ()), room) if meter.returns_unused else float(room)
    prompt = wanted.prompt_bytes * meter.tokens_per_byte
    grant = Grant(0.0, room, prompt, output, wanted.prompt_bytes, wanted.kind)
    tokens, requests = _tokens_per_s(meter, limits), _requests_per_s(meter, limits)
    return grant, (prompt + output) / tokens if tokens else 0.0, 1 / requests if requests else 0.0


def _earliest(meter: Meter, limits: Limits, wanted: Wanted, grant: Grant, now: float) -> float:
    tolerance_s = TOLERANCE_SHARE * limits.window_s * meter.burst
    is_live = wanted.lane is Lane.LIVE
    if is_live:
        # What old work is ahead of does not hold up a call that just ended, where the server is known to bear that.
        is_borne = meter.returns_unused or meter.window_left is not None
        tolerance_s *= 5 if is_borne else 3
    start = max(meter.closed_until, meter.tokens_until - tolerance_s)
    if not is_live:
        start = max(start, meter.held_until)
    if meter.window_left is not None and now < meter.window_until:
        window = meter.tokens_limit * limits.window_s / 60
        # A request larger than the window is let through when it is fresh: only the server can say no to it.
        spared = 0.0 if is_live else HEADROOM_SHARE * window
        if meter.window_left < min(grant.tokens, window / 2) + spared:
            start = max(start, meter.window_until)
    return start


def _tokens_per_s(meter: Meter, limits: Limits) -> float:
    return lower_limit(limits.tokens_per_minute, meter.tokens_limit) / 60 * USED_SHARE * meter.pace


def _requests_per_s(meter: Meter, limits: Limits) -> float:
    return lower_limit(limits.requests_per_minute, meter.requests_limit) / 60 * USED_REQUESTS_SHARE * meter.pace
