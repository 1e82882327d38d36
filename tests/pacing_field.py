"""A deployment in the field on a clock of its own, hours in a second: the meter against a limiter, in virtual time."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from calls.meter import Grant, Limits, Meter, Told, Used, Wait, Wanted
from calls.pacing import answered, ask_leave, refused, returned
from calls.pipeline import Lane
from engines.openai_client import told_by
from tests.servers.openai_limits import Bucket, FixedMinute, Limiter

TPM = 300_000
LIMITS = Limits(tokens_per_minute=TPM)
ROOM = 1200
LIMITERS: dict[str, Callable[[], Limiter]] = {
    "a fixed minute": lambda: FixedMinute(TPM),
    "a fixed minute and its requests": lambda: FixedMinute(TPM, 6 * TPM // 1000),
    "small bursts": lambda: Bucket(TPM, burst_s=2),
    "a provisioned deployment": lambda: Bucket(TPM, burst_s=10, returns_unused=True),
}


@dataclass
class Field:
    """A deployment with workers who have more old work than it can take, and calls that just end, now and then."""

    limiter: Limiter
    limits: Limits = LIMITS
    workers: int = 32
    live_share: float = 0.1
    is_fair: bool = True
    # Seconds between a leave and its request's arrival, on average.
    late_s: float = 0.01
    meter: Meter = field(default_factory=Meter)
    admitted: list[tuple[float, int, int]] = field(default_factory=list)
    refusals: int = 0
    live_waits: list[float] = field(default_factory=list)

    def run(self, until_s: float, *, prompt: Callable[[random.Random], int] | None = None) -> "Field":
        """Let time pass from 0 to there."""
        self._random = random.Random(5)
        self._prompt = prompt or (lambda chance: min(8000, max(300, int(chance.lognormvariate(7.6, 0.6)))))
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        for _ in range(self.workers):
            self._at(self._random.random() / 100, self._begin, Lane.BACKFILL)
        self._at(1.0, self._live)
        self.now = 0.0
        while self._events and self._events[0][0] < until_s:
            self.now, _, what, with_ = heapq.heappop(self._events)
            what(*with_)
        return self

    def _at(self, moment: float, what: Callable[..., None], *with_: Any) -> None:
        heapq.heappush(self._events, (moment, len(self._events) + self._random.randrange(10**9), what, with_))

    def _live(self) -> None:
        self._at(self.now + self._random.expovariate(self.live_share * TPM / 60 / 3000), self._live)
        self._begin(Lane.LIVE)

    def _begin(self, lane: Lane) -> None:
        output = max(40, int(self._random.lognormvariate(5.5, 0.45)))
        self._try(lane, self.now, self._prompt(self._random), output)

    def _try(self, lane: Lane, since: float, prompt: int, output: int) -> None:
        asked = Wanted(4 * prompt, ROOM, "analysis", lane if self.is_fair else Lane.BACKFILL)
        patience_s = 5.0 if asked.lane is Lane.LIVE else 2.5
        self.meter, leave = ask_leave(self.meter, self.limits, asked, self.now, patience_s=patience_s)
        late = self._random.expovariate(1 / self.late_s)
        if isinstance(leave, Wait):
            self._at(max(leave.until, self.now) + late, self._try, lane, since, prompt, output)
        else:
            self._at(max(leave.at, self.now) + late, self._send, leave, lane, since, prompt, output)

    def _send(self, leave: Grant, lane: Lane, since: float, prompt: int, output: int) -> None:
        if self.now < self.meter.closed_until:
            self.meter = returned(self.meter, self.limits, leave)
            self._try(lane, since, prompt, output)
            return
        verdict = self.limiter.arrive(self.now, prompt, leave.max_output_tokens)
        told = told_by(verdict.headers)
        if not verdict.is_admitted:
            self.refusals += 1
            self.meter = refused(
                self.meter, self.limits, leave, told=told, retry_after_s=verdict.retry_after_s, now=self.now
            )
            self._at(self.now + (verdict.retry_after_s or 0), self._try, lane, since, prompt, output)
            return
        taken = min(output, leave.max_output_tokens)
        self.admitted.append((self.now, prompt + leave.max_output_tokens, prompt + taken))
        if lane is Lane.LIVE:
            self.live_waits.append(self.now - since)
        lasts = 0.6 + taken / 60 + self._random.expovariate(1 / 0.3)
        self._at(self.now + lasts, self._finish, leave, lane, told, self.now, (prompt, taken, output > taken))

    def _finish(self, leave: Grant, lane: Lane, told: Told, sent_at: float, used: tuple[int, int, bool]) -> None:
        self.limiter.finish(self.now, leave.max_output_tokens, used[1])
        self.meter = answered(self.meter, self.limits, leave, Used(*used), told=told, sent_at=sent_at)
        if lane is Lane.BACKFILL:
            self._begin(lane)

    def share(self, since_s: float, until_s: float, *, of_used: bool = False) -> float:
        """What was admitted in that time, of what the limit lets pass."""
        tokens = sum(used if of_used else reserved for at, reserved, used in self.admitted if since_s <= at < until_s)
        return tokens / (TPM / 60 * (until_s - since_s))

    @property
    def refused_per_1000(self) -> float:
        return 1000 * self.refusals / (self.refusals + len(self.admitted))

    @property
    def p99_live_wait_s(self) -> float:
        return sorted(self.live_waits)[int(0.99 * len(self.live_waits))]
