"""Requests to a CRM's API, with every failure as one of our two kinds."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2

from calls.errors import TransientError

CONNECT_TIMEOUT_S = 10.0
MAX_WAIT_S = 24 * 3600.0


def make_client(timeout_s: float) -> httpx2.Client:
    """A client that follows no redirect: a token goes where the settings say, and nowhere else."""
    return httpx2.Client(
        timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S)), follow_redirects=False
    )


@contextmanager
def translated(who: str) -> Iterator[None]:
    """Turn what the HTTP client says into our kinds of errors; no address and no token gets into their words."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise TransientError(f"{who} took too long", code="timed_out") from error
    except httpx2.HTTPError as error:
        raise TransientError(f"{who}: {type(error).__name__}", code="unreachable") from error


def json_of(response: httpx2.Response, who: str) -> Any:
    """The answer's document. Raises TransientError where it is none: what a proxy says is no answer."""
    try:
        return response.json()
    except ValueError:
        raise TransientError(f"{who}'s answer is no JSON", code="invalid_response") from None


def wait_of(headers: Mapping[str, str], otherwise_s: float) -> float:
    """The seconds that the other side asks to wait, at most a day."""
    told = headers.get("retry-after", "")
    return min(float(told), MAX_WAIT_S) if told.isascii() and told.isdigit() else otherwise_s


def passing(response: httpx2.Response, who: str) -> TransientError:
    """The error for an answer that says nothing about the call: a failure of the other side's own."""
    wait_s = wait_of(response.headers, 0.0) or None
    return TransientError(f"{who} answered {response.status_code}", code="server_error", retry_after_s=wait_s)
