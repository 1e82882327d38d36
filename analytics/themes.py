"""What calls without a reason of the taxonomy have in common: the themes that `theme_groups` finds, as data."""

from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from calls.reasons import Reason

# Fewer calls than this do not make a theme from which a taxonomy should be changed.
MIN_CALLS = 100


@dataclass(frozen=True)
class ThemeCall:
    """A call that no reason fits: the day at the site on which it was, its headline and summary, and each side's words,
    all redacted; where nobody knows who spoke, they are the customer's.
    """

    call_id: UUID
    day: date
    headline: str = field(repr=False)
    customer: tuple[str, ...] = field(repr=False)
    agent: tuple[str, ...] = field(default=(), repr=False)
    summary: str = field(default="", repr=False)


@dataclass(frozen=True)
class WeekCount:
    """The theme's calls of an ISO week, among all calls that were looked at of that week."""

    starts_on: date
    calls: int
    of_calls: int


@dataclass(frozen=True)
class ExampleCall:
    """A call of a theme, and its headline."""

    call_id: UUID
    headline: str


@dataclass(frozen=True)
class Theme:
    """Calls that are about one matter.

    `likeness` is the mean cosine of two of its calls (0..1), `lift` how many times that of one of them with a call of
    another matter that is. `words` tell it from the others, most telling first; `weeks` are in order and without a gap;
    `examples` are the calls nearest the middle, `call_ids` all calls in that order.
    """

    calls: int
    share: float
    likeness: float
    lift: float
    words: tuple[str, ...]
    weeks: tuple[WeekCount, ...]
    examples: tuple[ExampleCall, ...]
    reason: Reason
    call_ids: tuple[UUID, ...] = field(repr=False)


@dataclass(frozen=True)
class Themes:
    """What was found in `looked_at` calls, the largest first; `explained` groups belong to a reason that exists, and
    `too_few` says that there were fewer than MIN_CALLS.
    """

    looked_at: int
    themes: tuple[Theme, ...]
    explained: int = 0

    @property
    def too_few(self) -> bool:
        """Whether there are too few calls to look for themes."""
        return self.looked_at < MIN_CALLS
