"""How much room answers of one kind need, learned from how long they were: counts in classes that grow by a tenth."""

from collections.abc import Sequence
from math import ceil, log

Needed = Sequence[int]

SMALLEST = 32
GROWTH = 1.1
CLASSES = 80
# One answer in a hundred is cut off and asked for again: a bound that cuts none reserves twice as much for all.
FITTING_SHARE = 0.99
MIN_ANSWERS = 50
# Beyond this many the old ones fade: prompts and models change.
REMEMBERED = 1000


def note_output(needed: Needed, output_tokens: int) -> tuple[int, ...]:
    """The counts with one more answer of that length."""
    counts = list(needed) or [0] * CLASSES
    counts[_class_of(output_tokens)] += 1
    if sum(counts) > REMEMBERED:
        counts = [count // 2 for count in counts]
    return tuple(counts)


def output_room(needed: Needed, at_most: int) -> int:
    """Tokens of room that FITTING_SHARE of such answers fit in, `at_most` where more is needed or too few are known."""
    total = sum(needed)
    if total < MIN_ANSWERS:
        return at_most
    seen = 0
    for number, count in enumerate(needed):
        seen += count
        if seen >= FITTING_SHARE * total:
            return min(at_most, ceil(_edge(number)))
    return at_most


def expected_output(needed: Needed, room: int) -> float:
    """The mean length of such answers, `room` where too few are known."""
    total = sum(needed)
    if total < MIN_ANSWERS:
        return float(room)
    # The middle of a class in the logarithm, as its edges are.
    used = sum(count * _edge(number) for number, count in enumerate(needed)) / float(GROWTH**0.5)
    return min(float(room), used / total)


def _class_of(output_tokens: int) -> int:
    if output_tokens <= SMALLEST:
        return 0
    number = ceil(log(output_tokens / SMALLEST, GROWTH))
    # The logarithm is off by an epsilon at the very edges.
    return min(CLASSES - 1, number - 1 if output_tokens <= _edge(number - 1) else number)


def _edge(number: int) -> float:
    """The longest answer of that class, in tokens."""
    return SMALLEST * float(GROWTH**number)
