"""Honest change: which reasons have moved, by stated tests, with control for there being many of them. Pure functions.

Two questions are asked of each reason. Jump: is its share of the last complete period another one than that of the
periods before it, taken together (two proportions)? Drift: does its share go one way over all the periods
(Cochran-Armitage)? A slow riser differs from no single week before it, and only the second finds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import erfc, exp, lgamma, sqrt

from analytics.measures import wilson

# Below this many calls with a reason, on either side, nothing is said to go up or down.
MIN_N = 30
# Of the reasons that are said to have moved, this share may be said so by chance.
FALSE_SHARE = 0.05
# The periods before the last one that are taken together, and the least number of periods that can drift.
BASELINE_PERIODS = 4
MIN_DRIFT_PERIODS = 6
# Where fewer calls than this are to be expected in a cell, the exact test is asked.
_MIN_EXPECTED = 5


class Test(StrEnum):
    """By which test a reason was found."""

    __test__ = False

    JUMP = "jump"
    DRIFT = "drift"


@dataclass(frozen=True)
class Rate:
    """`count` calls of a reason among `n` calls with any reason."""

    count: int
    n: int

    @property
    def share(self) -> float:
        """0..1; 0 where there are no calls."""
        return self.count / self.n if self.n else 0.0

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the share (Wilson); None where there are no calls."""
        return wilson(self.count, self.n)


@dataclass(frozen=True)
class Mover:
    """One reason under one test.

    `difference` is that of the shares, after less before, in `low` to `high` with 95 % (Newcombe). `adjusted_p` is the
    p-value after the control for many reasons; `direction` is `up` or `down` where it is at most the false share that
    was asked for, and "" where nobody can tell.
    """

    code: str
    test: Test
    before: Rate
    now: Rate
    difference: float
    low: float
    high: float
    p_value: float
    adjusted_p: float
    direction: str


def jumps(before: Mapping[str, int], now: Mapping[str, int], *, false_share: float = FALSE_SHARE) -> list[Mover]:
    """Every reason of either side, by its calls: those least likely to be chance first.

    Empty where one of the sides has less than MIN_N calls.
    """
    n_before, n_now = sum(before.values()), sum(now.values())
    if min(n_before, n_now) < MIN_N:
        return []
    pairs = {
        code: (Rate(before.get(code, 0), n_before), Rate(now.get(code, 0), n_now))
        for code in sorted({*before, *now})
        if before.get(code, 0) + now.get(code, 0)
    }
    tested = {code: (now.share - before.share, two_proportions(before, now)) for code, (before, now) in pairs.items()}
    return _movers(Test.JUMP, pairs, tested, false_share)


def drifts(periods: Sequence[Mapping[str, int]], *, false_share: float = FALSE_SHARE) -> list[Mover]:
    """Every reason over periods in order, each with its calls by reason: those least likely to be chance first.

    `before` and `now` are the first and the last BASELINE_PERIODS taken together, or halves of fewer: a reason whose
    ends differ the other way than the test says has no direction. Empty for less than MIN_DRIFT_PERIODS, and where one
    of these ends has less than MIN_N calls.
    """
    if len(periods) < MIN_DRIFT_PERIODS:
        return []
    ends = min(BASELINE_PERIODS, len(periods) // 2)
    first, last = pooled(periods[:ends]), pooled(periods[-ends:])
    n_first, n_last = sum(first.values()), sum(last.values())
    if min(n_first, n_last) < MIN_N:
        return []
    ns = [sum(period.values()) for period in periods]
    codes = sorted({code for period in periods for code, count in period.items() if count})
    pairs = {code: (Rate(first.get(code, 0), n_first), Rate(last.get(code, 0), n_last)) for code in codes}
    tested = {code: cochran_armitage([period.get(code, 0) for period in periods], ns) for code in codes}
    return _movers(Test.DRIFT, pairs, tested, false_share)


def pooled(periods: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """The calls by reason of several periods as one."""
    codes = {code for period in periods for code in period}
    return {code: sum(period.get(code, 0) for period in periods) for code in codes}


def two_proportions(before: Rate, now: Rate) -> float:
    """The two-sided p-value that both shares are the same.

    Pearson's test of two proportions (pooled z, no correction) where every cell may expect 5 calls, else Fisher's exact
    test. 1 where there is nothing to compare.
    """
    n, count = before.n + now.n, before.count + now.count
    if min(before.n, now.n) == 0 or count in {0, n}:
        return 1.0
    if min(before.n, now.n) * min(count, n - count) < _MIN_EXPECTED * n:
        return _fisher(before, now)
    pooled_share = count / n
    z = (now.share - before.share) / sqrt(pooled_share * (1 - pooled_share) * (1 / before.n + 1 / now.n))
    return erfc(abs(z) / sqrt(2))


def cochran_armitage(counts: Sequence[int], ns: Sequence[int]) -> tuple[float, float]:
    """Whether a share goes one way over periods in order: z, above 0 for up, and its two-sided p-value.

    Cochran 1954, Armitage 1955, with the periods' places as scores; 0 and 1 where there is nothing to tell.
    """
    n, count = sum(ns), sum(counts)
    if n == 0 or count in {0, n}:
        return 0.0, 1.0
    mean = sum(place * size for place, size in enumerate(ns)) / n
    spread = sum(size * (place - mean) ** 2 for place, size in enumerate(ns))
    if spread == 0:
        return 0.0, 1.0
    share = count / n
    lean = sum((place - mean) * found for place, found in enumerate(counts))
    z = lean / sqrt(share * (1 - share) * spread)
    return z, erfc(abs(z) / sqrt(2))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted so that those at most q hold a share of at most q of false ones; in the order given.

    Source: Benjamini and Hochberg 1995.
    """
    adjusted = [1.0] * len(p_values)
    least = 1.0
    for rank, place in sorted(enumerate(sorted(range(len(p_values)), key=p_values.__getitem__), 1), reverse=True):
        least = min(least, p_values[place] * len(p_values) / rank)
        adjusted[place] = least
    return adjusted


def difference_interval(before: Rate, now: Rate) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares, after less before, from their Wilson intervals.

    Source: Newcombe 1998, method 10. Both sides need calls.
    """
    before_low, before_high = wilson(before.count, before.n) or (0.0, 1.0)
    now_low, now_high = wilson(now.count, now.n) or (0.0, 1.0)
    difference = now.share - before.share
    down = sqrt((now.share - now_low) ** 2 + (before_high - before.share) ** 2)
    up = sqrt((now_high - now.share) ** 2 + (before.share - before_low) ** 2)
    return difference - down, difference + up


def _movers(
    test: Test,
    pairs: Mapping[str, tuple[Rate, Rate]],
    tested: Mapping[str, tuple[float, float]],
    false_share: float,
) -> list[Mover]:
    """`tested` has, by reason, what is above 0 for up, and its p-value."""
    p_values = {code: p_value for code, (_, p_value) in tested.items()}
    adjusted = dict(zip(p_values, benjamini_hochberg(list(p_values.values())), strict=True))
    found = []
    for code, (before, now) in pairs.items():
        difference = now.share - before.share
        low, high = difference_interval(before, now)
        has_moved = adjusted[code] <= false_share and difference * tested[code][0] > 0
        direction = ("up" if difference > 0 else "down") if has_moved else ""
        found.append(Mover(code, test, before, now, difference, low, high, p_values[code], adjusted[code], direction))
    return sorted(found, key=lambda mover: (mover.p_value, -abs(mover.difference), mover.code))


def _fisher(before: Rate, now: Rate) -> float:
    """Fisher's exact test, two-sided: the chance of all tables that are no likelier than this one."""
    n, count = before.n + now.n, before.count + now.count
    every = _log_choose(n, count)

    def chance(found: int) -> float:
        return exp(_log_choose(now.n, found) + _log_choose(before.n, count - found) - every)

    # Equal chances differ by rounding.
    limit = chance(now.count) * (1 + 1e-7)
    chances = (chance(found) for found in range(max(0, count - before.n), min(count, now.n) + 1))
    return min(1.0, sum(one for one in chances if one <= limit))


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
