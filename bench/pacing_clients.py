"""The clients of the pacing benchmark: ours, and how others keep to a limit, each as a stream of calls."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import openai

from bench.pacing_server import Sizes, words
from calls.errors import TransientError
from calls.meter import Limits
from calls.pipeline import Lane
from engines.deployments import Deployment, Deployments
from engines.language_requests import Answer, LanguageRequests, Messages
from engines.meters import Meters
from engines.openai_client import build_client
from tests.servers.openai_server import API_KEY

# What an answer may take where nobody has learned how long answers are; what the wasteful peer asks for, twice a call.
ROOM, WASTEFUL_ROOM = 1200, 4096
WORKERS = 32
LIVE_SHARE = 0.1
LIVE_THREADS = 4
SCHEMA = {
    "type": "object",
    "properties": {"done": {"type": "boolean"}},
    "required": ["done"],
    "additionalProperties": False,
}
POLICIES = ("ours", "no_priorities", "retry_loop", "token_bucket", "two_prompts")


@dataclass(frozen=True)
class Stream:
    """Calls under one policy against one limiter, from so many processes; `name` is the model that they ask for."""

    limiter: str
    policy: str
    processes: int

    @property
    def name(self) -> str:
        return f"{self.limiter}.{self.policy}.{self.processes}"


class _Noting(LanguageRequests):
    """Requests that note when those about calls that just ended were sent."""

    def __init__(self, live: dict[str, tuple[float, float | None]], *address: Any, **settings: Any) -> None:
        super().__init__(*address, **settings)
        self._live = live

    def ask(self, system: str, messages: Messages, *asked: Any, **given: Any) -> Answer:
        """See Requests."""
        ident = messages[0]["content"].split(":", 2)[1]
        if ident in self._live:
            self._live[ident] = (self._live[ident][0], time.monotonic())
        return super().ask(system, messages, *asked, **given)


@dataclass
class Client:
    """One process's part of a stream."""

    stream: Stream
    number: int
    sizes: Sizes
    base_url: str
    meters: Meters
    start: float = 0.0
    ends_at: float = 0.0
    # When each call that just ended was there to be asked about, and when its request was sent at last; by its number.
    live: dict[str, tuple[float, float | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.stream.name} {self.number}")
        self._lock = threading.Lock()
        self._count = 0
        self._ask: Callable[[str, Lane], None] = getattr(self, f"_make_{self.stream.policy}")()

    def run(self, start: float, ends_at: float) -> None:
        """Work from the start to the end, with this process's share of WORKERS."""
        self.start, self.ends_at, ask = start, ends_at, self._ask
        threads = [
            threading.Thread(target=self._work, args=(ask,), daemon=True)
            for _ in range(WORKERS // self.stream.processes)
        ]
        if self.stream.policy in {"ours", "no_priorities"} and self.number == 0:
            threads += [threading.Thread(target=self._end_calls, args=(ask,), daemon=True) for _ in range(LIVE_THREADS)]
        for thread in threads:
            thread.start()
        _sleep_until(self.ends_at)

    def _work(self, ask: Callable[[str, Lane], None]) -> None:
        _sleep_until(self.start)
        while time.monotonic() < self.ends_at:
            ask(self._call()[1], Lane.BACKFILL)

    def _end_calls(self, ask: Callable[[str, Lane], None]) -> None:
        """Calls that just end, now and then, whatever else is to be done: LIVE_SHARE of what the limiter lets pass."""
        is_ours = self.stream.policy == "ours"
        random_ = random.Random(f"{self.stream.name} live {threading.get_ident()}")
        per_s = LIVE_SHARE * self._calls_per_s() / LIVE_THREADS
        at = self.start
        while True:
            at += random_.expovariate(per_s)
            _sleep_until(min(at, self.ends_at))
            if at >= self.ends_at:
                return
            ident, text = self._call()
            self.live[ident] = (time.monotonic(), None)
            ask(text, Lane.LIVE if is_ours else Lane.BACKFILL)

    def _calls_per_s(self) -> float:
        if self.stream.limiter == "request_windows":
            return self.sizes.requests_per_minute / 60
        return self.sizes.tokens_per_s / (2400 + ROOM)

    def _call(self) -> tuple[str, str]:
        """Another call: its number, and its words; prompts of 2,400 tokens and answers of 270 on average."""
        with self._lock:
            self._count += 1
            ident = f"{self.number}-{self._count}"
            prompt, output = self._random.lognormvariate(7.6, 0.6), self._random.lognormvariate(5.5, 0.45)
        if self.stream.limiter == "request_windows":
            # Where requests are what is limited, calls are short.
            prompt, output = 300, 30
        return ident, words(ident, max(300, int(prompt)), max(30, int(output)))

    def _make_ours(self) -> Callable[[str, Lane], None]:
        """What a worker does, down to going back to its turn."""
        requests = _Noting(self.live, "openai", model=self.stream.name, api_key=API_KEY, base_url=self.base_url)
        if self.stream.limiter == "request_windows":
            limits = Limits(0, self.sizes.requests_per_minute)
        else:
            limits = Limits(self.sizes.stated, 0, self.sizes.minute_s)
        room, kind = (WASTEFUL_ROOM, "") if self.stream.policy == "two_prompts" else (ROOM, "analysis")
        deployments = Deployments([Deployment(self.stream.name, requests, limits)], self.meters)
        deployments.check()

        def ask(text: str, lane: Lane) -> None:
            while time.monotonic() < self.ends_at:
                try:
                    deployments.ask("", [{"role": "user", "content": text}], SCHEMA, room, lane=lane, kind=kind)
                    return
                except TransientError as error:
                    _sleep_until(min(self.ends_at, time.monotonic() + (error.retry_after_s or 0.0)))

        return ask

    _make_no_priorities = _make_ours

    def _make_two_prompts(self) -> Callable[[str, Lane], None]:
        """A summary and a reason each in its own request with ample room, paced as well as we can."""
        ask_once = self._make_ours()

        def ask(text: str, lane: Lane) -> None:
            ask_once(text, lane)
            ask_once(text, lane)

        return ask

    def _make_retry_loop(self) -> Callable[[str, Lane], None]:
        """Send at once; after a refusal wait a random part of 1, 2, 4, ... up to 60 s, and try again."""
        send = self._sender()

        def ask(text: str, _lane: Lane) -> None:
            refusals = 0
            while time.monotonic() < self.ends_at and not send(text):
                refusals += 1
                wait_s = random.random() * min(60.0, 2.0 ** min(refusals, 6)) * self.sizes.minute_s / 60
                _sleep_until(min(self.ends_at, time.monotonic() + wait_s))

        return ask

    def _make_token_bucket(self) -> Callable[[str, Lane], None]:
        """The algorithm of OpenAI's cookbook (api_request_parallel_processor.py): a bucket that starts full, and 15
        seconds of silence after a refusal; of several processes each has its part of the limit.
        """
        send, lock = self._sender(), threading.Lock()
        scale = self.sizes.minute_s / 60
        is_of_requests = self.stream.limiter == "request_windows"
        full = (
            self.sizes.requests_per_minute if is_of_requests else self.sizes.tokens_per_minute
        ) / self.stream.processes
        rate = full / (60 if is_of_requests else self.sizes.minute_s)
        left, at, quiet_until = full, 0.0, 0.0

        def ask(text: str, _lane: Lane) -> None:
            nonlocal left, at, quiet_until
            need = 1 if is_of_requests else len(text) // 4 + ROOM
            while time.monotonic() < self.ends_at:
                with lock:
                    while time.monotonic() < self.ends_at:
                        now = time.monotonic()
                        left, at = min(full, left + rate * (now - (at or now))), now
                        wait_s = max(quiet_until - now, (need - left) / rate)
                        if wait_s <= 0:
                            left -= need
                            break
                        _sleep_until(min(self.ends_at, now + wait_s))
                if send(text):
                    return
                quiet_until = time.monotonic() + 15 * scale

        return ask

    def _sender(self) -> Callable[[str], bool]:
        """One request as the SDK sends it; False when it was refused."""
        client = build_client("openai", api_key=API_KEY, base_url=self.base_url)
        client.models.list()
        text_format: Any = {"type": "json_schema", "name": "analysis", "schema": SCHEMA, "strict": True}

        def send(text: str) -> bool:
            try:
                client.responses.create(
                    model=self.stream.name,
                    input=[{"role": "user", "content": text}],
                    text={"format": text_format},
                    max_output_tokens=ROOM,
                    store=False,
                )
            except openai.RateLimitError:
                return False
            return True

        return send


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))
