"""The other side of the pacing benchmark: the local OpenAI server in a process of its own, one limiter per stream."""

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from tests.servers.openai_answers import Reply, Usage, default_answer, says, truncates
from tests.servers.openai_limits import Bucket, FixedMinute, Limiter, RequestWindows, Verdict
from tests.servers.openai_limits import max_output_tokens as room_of
from tests.servers.openai_limits import prompt_tokens as prompt_of
from tests.servers.openai_requests import SentRequest
from tests.servers.openai_server import OpenAIServer

# One request in so many is checked against OpenAI's description: checking each would take more time than all else.
CHECK_EVERY = 25
# Answering: a first token, then 60 a second, as models of this size do; in seconds of the minute that is counted in.
FIRST_TOKEN_S, TOKENS_PER_S = 0.6, 60.0


@dataclass(frozen=True)
class Sizes:
    """What the deployment behind a limiter may take in its minute, and how long that minute is."""

    tokens_per_minute: int
    requests_per_minute: int
    minute_s: float

    @property
    def tokens_per_s(self) -> float:
        """By the clock."""
        return self.tokens_per_minute / self.minute_s

    @property
    def stated(self) -> int:
        """The same as tokens per 60 seconds: what a client is told in settings and headers."""
        return round(self.tokens_per_s * 60)


LIMITERS: Mapping[str, Callable[[Sizes], Limiter]] = {
    "fixed_minute": lambda sizes: FixedMinute(sizes.stated, window_s=sizes.minute_s),
    # By the clock: windows of a second do not scale.
    "request_windows": lambda sizes: RequestWindows(sizes.requests_per_minute),
    "micro_burst": lambda sizes: Bucket(sizes.stated, burst_s=sizes.minute_s / 30),
    "provisioned": lambda sizes: Bucket(sizes.stated, burst_s=sizes.minute_s / 6, returns_unused=True),
}


@dataclass(frozen=True)
class Arrival:
    """One admitted request."""

    stream: str
    ident: str
    at: float
    prompt_tokens: int
    room: int
    output_tokens: int


class _Counted:
    """A limiter that begins its windows at `start`, and counts its refusals."""

    def __init__(self, limiter: Limiter, start: float) -> None:
        self._limiter = limiter
        self._start = start
        self.refusals: list[float] = []

    def arrive(self, now: float, prompt_tokens: int, max_output_tokens: int) -> Verdict:
        verdict = self._limiter.arrive(now - self._start, prompt_tokens, max_output_tokens)
        if not verdict.is_admitted:
            self.refusals.append(now)
        return verdict

    def finish(self, now: float, max_output_tokens: int, output_tokens: int) -> None:
        self._limiter.finish(now - self._start, max_output_tokens, output_tokens)


def serve(streams: Mapping[str, str], sizes: Sizes, pipe: Connection) -> None:
    """Serve: first the address goes out and start and end come in, at the end what happened goes out.

    `streams` maps each stream, which is the model that it asks for, to the name of its limiter.
    """
    arrivals: list[Arrival] = []
    with OpenAIServer(check_every=CHECK_EVERY) as server:

        def answer(request: SentRequest) -> Reply:
            if request.method == "GET":
                return default_answer(request)
            ident, output = told_by(request)
            room = room_of(request)
            arrivals.append(
                Arrival(request.model, ident, time.monotonic(), prompt_of(request), room, min(output, room))
            )
            usage = Usage(prompt_of(request), 0, min(output, room))
            reply = (truncates if output > room else says)('{"done": true}', usage=usage)(request)
            scale = sizes.minute_s / 60
            lasts_s = FIRST_TOKEN_S + usage.output_tokens / TOKENS_PER_S
            server.closing.wait(scale * (lasts_s + random.Random(ident).expovariate(1 / 0.3)))
            return reply

        server.reply_always(answer)
        pipe.send(server.base_url)
        start, end = pipe.recv()
        limiters = {stream: _Counted(LIMITERS[name](sizes), start) for stream, name in streams.items()}
        for stream, limiter in limiters.items():
            server.limit(stream, limiter)
        server.closing.wait(max(0.0, end - time.monotonic()))
        pipe.send((arrivals, {stream: limiter.refusals for stream, limiter in limiters.items()}, server.problems[:5]))
        # Clients go without waiting for their answers: what the server says to that is of no interest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        pipe.recv()


def told_by(request: SentRequest) -> tuple[str, int]:
    """The request's number, and how long its answer is to be: both stand at the head of its words."""
    told: Any = request.body["input"]
    _, ident, output, _ = str(told[0]["content"]).split(":", 3)
    return ident, int(output)


def words(ident: str, prompt_tokens: int, output_tokens: int) -> str:
    """A prompt of that many tokens (four bytes each) that says how long its answer is to be."""
    head = f"call:{ident}:{output_tokens}:"
    return head + "x" * max(0, 4 * prompt_tokens - len(head))
