"""The state of a deployment's meter, and the words in which leave to send is asked for and given (calls.pacing).

Times are seconds on the clock of who keeps the meter; no limit is 0.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from calls.output_room import Needed
from calls.pipeline import Lane

FIRST_TOKENS_PER_BYTE = 0.25


@dataclass(frozen=True)
class Limits:
    """What the owner says that a deployment may take, 0 where only the server knows; it counts in `window_s`."""

    tokens_per_minute: int = 0
    requests_per_minute: int = 0
    window_s: float = 60.0


@dataclass(frozen=True)
class Told:
    """What a server's answer says about its limits (`x-ratelimit-*`); None where it says nothing.

    `returns_unused` is True for a deployment that takes back what a request reserved and did not use.
    """

    tokens_limit: int | None = None
    tokens_left: int | None = None
    tokens_reset_s: float | None = None
    requests_limit: int | None = None
    returns_unused: bool | None = None


@dataclass(frozen=True)
class Meter:
    """The state of one deployment, shared by all who send to it.

    `tokens_until` and `requests_until`: when what was granted will have run off. `closed_until`: the server wants
    nothing before. `granted`: tokens, all there ever were. `next_try_at`: when the next one of those tries who wait for
    old work; `next_turn_at`: end of the queue of old work that was sent away until its turn. `held_until`: a live call
    was promised its turn before that. `window_left`: tokens that a fixed window has left until `window_until`; None
    when nobody said. `second_ends_at`: an end of one of the seconds that the server counts requests in, None where
    unknown; `second_misses`: how often that did not help. `pace` (a share of the limit) and `burst` (of the
    tolerance) fall with refusals.
    """

    tokens_until: float = 0.0
    requests_until: float = 0.0
    closed_until: float = 0.0
    granted: float = 0.0
    next_try_at: float = 0.0
    next_turn_at: float = 0.0
    held_until: float = 0.0
    window_left: float | None = None
    window_until: float = 0.0
    second_ends_at: float | None = None
    second_misses: float = 0.0
    tokens_limit: int = 0
    requests_limit: int = 0
    returns_unused: bool = False
    pace: float = 1.0
    burst: float = 1.0
    tokens_per_byte: float = FIRST_TOKENS_PER_BYTE
    needed: Mapping[str, Needed] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The meter as a JSON object."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> "Meter":
        """The meter that such an object says; names of another version are left out."""
        known = {one.name for one in fields(cls)}
        found = {name: value for name, value in document.items() if name in known}
        needed = {kind: tuple(counts) for kind, counts in found.pop("needed", {}).items()}
        return cls(**found, needed=needed)


@dataclass(frozen=True)
class Wanted:
    """A request that wants to leave: the bytes of its prompt, the most that its answer may take, and what it is.

    Where `kind` is empty, the answer gets all of `max_output_tokens`.
    """

    prompt_bytes: int
    max_output_tokens: int
    kind: str = ""
    lane: Lane = Lane.LIVE


@dataclass(frozen=True)
class Grant:
    """Leave to send at `at`, with that much room for the answer; the tokens are what the meter counts for it.

    `granted` is what the meter had granted with this one.
    """

    at: float
    max_output_tokens: int
    prompt_tokens: float
    output_tokens: float
    prompt_bytes: int
    kind: str = ""
    granted: float = 0.0

    @property
    def tokens(self) -> float:
        """What is counted for it in all."""
        return self.prompt_tokens + self.output_tokens


@dataclass(frozen=True)
class Wait:
    """No leave yet: ask again at `until`, which is within the patience of who asks or far beyond it."""

    until: float


@dataclass(frozen=True)
class Used:
    """What an answered request took, in the server's own count; `was_cut_off` when its answer wanted more room."""

    input_tokens: int
    output_tokens: int
    was_cut_off: bool = False


def lower_limit(stated: int, told: int) -> int:
    """The smaller one of two limits, where 0 is none."""
    return min(stated, told) if stated and told else stated or told
