"""The limiters that stand before models in the field, and what their servers say in headers. Times are seconds on a
clock of the caller's, so that a test can let hours pass.

Sources: Azure OpenAI, "Manage quota" (tokens are estimated from prompt and max_tokens as a request arrives, counted up
to the minute's end; requests are judged over 1 or 10 seconds) and "Provisioned throughput" (a leaky bucket that is
corrected as the call ends); OpenAI, "Rate limits" (quantised limits: 60 a minute may mean 1 a second; headers).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Protocol

from tests.servers.openai_answers import Reply
from tests.servers.openai_requests import SentRequest

TOO_MANY = {"error": {"message": "too many", "type": "requests", "param": None, "code": "rate_limit_exceeded"}}


@dataclass(frozen=True)
class Verdict:
    """Whether a request may pass, and the headers that say so; `retry_after_s` where it may not."""

    retry_after_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_admitted(self) -> bool:
        """Whether it may."""
        return self.retry_after_s is None


class Limiter(Protocol):
    """One deployment's limiter."""

    def arrive(self, now: float, prompt_tokens: int, max_output_tokens: int) -> Verdict:
        """Judge a request as it arrives, before anybody knows how long its answer will be."""

    def finish(self, now: float, max_output_tokens: int, output_tokens: int) -> None:
        """The answer to an admitted one is there."""


class FixedMinute:
    """Counts what requests reserve (prompt and the most that they may answer) up to the end of the window."""

    def __init__(self, tokens_per_minute: int, requests_per_minute: int = 0, *, window_s: float = 60.0) -> None:
        self._per_minute = tokens_per_minute, requests_per_minute
        self._tokens = tokens_per_minute * window_s / 60
        self._requests = requests_per_minute * window_s / 60 or float("inf")
        self._window_s = window_s
        self._window = -1
        self._used, self._count = 0, 0

    def arrive(self, now: float, prompt_tokens: int, max_output_tokens: int) -> Verdict:
        """See Limiter."""
        window = int(now // self._window_s)
        if window != self._window:
            self._window, self._used, self._count = window, 0, 0
        ends_in_s = (window + 1) * self._window_s - now
        is_full = self._used + prompt_tokens + max_output_tokens > self._tokens or self._count >= self._requests
        if not is_full:
            self._used += prompt_tokens + max_output_tokens
            self._count += 1
        headers = {
            "x-ratelimit-limit-tokens": f"{self._per_minute[0]}",
            "x-ratelimit-remaining-tokens": f"{int(self._tokens - self._used)}",
            "x-ratelimit-reset-tokens": f"{ends_in_s:.3f}s",
        }
        if self._per_minute[1]:
            headers["x-ratelimit-limit-requests"] = f"{self._per_minute[1]}"
            headers["x-ratelimit-remaining-requests"] = f"{int(self._requests - self._count)}"
            headers["x-ratelimit-reset-requests"] = f"{ends_in_s:.3f}s"
        return _refusal(ends_in_s, headers) if is_full else Verdict(None, headers)

    def finish(self, now: float, max_output_tokens: int, output_tokens: int) -> None:
        """Nothing comes back."""


class RequestWindows:
    """Requests are judged in windows of 1 and of 10 seconds, each with its part of the minute's number."""

    def __init__(self, requests_per_minute: int, *, windows_s: tuple[float, ...] = (1.0, 10.0)) -> None:
        self._per_minute = requests_per_minute
        self._allowed = {window_s: max(1, ceil(requests_per_minute * window_s / 60)) for window_s in windows_s}
        self._counts: dict[float, tuple[int, int]] = dict.fromkeys(windows_s, (-1, 0))

    def arrive(self, now: float, prompt_tokens: int, max_output_tokens: int) -> Verdict:
        """See Limiter."""
        headers = {"x-ratelimit-limit-requests": f"{self._per_minute}"}
        for window_s, allowed in self._allowed.items():
            number, count = self._counts[window_s]
            if number == int(now // window_s) and count >= allowed:
                return _refusal((number + 1) * window_s - now, headers)
        for window_s in self._allowed:
            number, count = self._counts[window_s]
            current = int(now // window_s)
            self._counts[window_s] = (current, count + 1 if number == current else 1)
        return Verdict(None, headers)

    def finish(self, now: float, max_output_tokens: int, output_tokens: int) -> None:
        """Nothing comes back."""


class Bucket:
    """A bucket that drains evenly and takes a request as long as it is not full.

    `burst_s` is how many seconds' worth it holds: few for a limiter that minds bursts. `returns_unused`: a provisioned
    deployment, which takes back what an answer did not use and states its utilization instead of what is left.
    """

    def __init__(self, tokens_per_minute: int, *, burst_s: float, returns_unused: bool = False) -> None:
        self._per_minute = tokens_per_minute
        self._rate = tokens_per_minute / 60
        self._capacity = self._rate * burst_s
        self._returns_unused = returns_unused
        self._level, self._at = 0.0, 0.0

    def arrive(self, now: float, prompt_tokens: int, max_output_tokens: int) -> Verdict:
        """See Limiter."""
        self._drain(now)
        is_full = self._level >= self._capacity
        over_s = (self._level - self._capacity) / self._rate + 0.001
        if not is_full:
            self._level += prompt_tokens + max_output_tokens
        if self._returns_unused:
            headers = {"azure-openai-deployment-utilization": f"{100 * self._level / self._capacity:.1f}%"}
        else:
            headers = {
                "x-ratelimit-limit-tokens": f"{self._per_minute}",
                # Of the minute: that bursts are minded is told by the refusal alone.
                "x-ratelimit-remaining-tokens": f"{max(0, int(self._per_minute - self._level))}",
                "x-ratelimit-reset-tokens": f"{1000 * self._level / self._rate:.0f}ms",
            }
        return _refusal(over_s, headers) if is_full else Verdict(None, headers)

    def finish(self, now: float, max_output_tokens: int, output_tokens: int) -> None:
        """See Limiter."""
        self._drain(now)
        if self._returns_unused:
            self._level = max(0.0, self._level - max_output_tokens + output_tokens)

    def _drain(self, now: float) -> None:
        self._level = max(0.0, self._level - (now - self._at) * self._rate)
        self._at = now


def _refusal(wait_s: float, headers: Mapping[str, str]) -> Verdict:
    wait_s = max(0.001, wait_s)
    return Verdict(wait_s, {**headers, "retry-after-ms": f"{1000 * wait_s:.0f}", "retry-after": f"{ceil(wait_s)}"})


def prompt_tokens(request: SentRequest) -> int:
    """What a server counts for the prompt: a quarter of its characters' bytes."""
    return -(-len("".join(_texts(request.body)).encode()) // 4)


def max_output_tokens(request: SentRequest) -> int:
    """The most that the answer may take."""
    named = (request.body.get(name) for name in ("max_output_tokens", "max_completion_tokens", "max_tokens"))
    return next((int(value) for value in named if value), 0)


def output_tokens(reply: Reply) -> int:
    """What an answer says that it took; 0 for one that says nothing."""
    usage = reply.body.get("usage") if isinstance(reply.body, dict) else None
    return int(usage.get("output_tokens", usage.get("completion_tokens", 0))) if usage else 0


def _texts(body: Mapping[str, Any]) -> list[str]:
    told = body.get("input", body.get("messages", ""))
    parts = [told] if isinstance(told, str) else told
    messages = [part if isinstance(part, str) else str(part.get("content", "")) for part in parts]
    return [str(body.get("instructions", "")), *messages]
