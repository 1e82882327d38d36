"""Where people sign in elsewhere: what the pages ask of a provider, whatever it speaks."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from calls.errors import CallwiseError


class SignInRefused(CallwiseError):
    """The provider did not let this person in, or its answer cannot be trusted; the text says which."""

    code = "sign_in_refused"


@dataclass(frozen=True)
class Begun:
    """A sign-in that has begun: what the browser keeps until it comes back, and nobody else may know."""

    state: str
    nonce: str
    verifier: str


class IdentityProvider(Protocol):
    """A provider; `issuer` is its URL."""

    issuer: str

    def begin(self, redirect_uri: str, now: datetime) -> tuple[str, Begun]:
        """Where to send the browser, and what it has to bring back. Raises TransientError, SignInRefused."""

    def finish(self, begun: Begun, answer: Mapping[str, str], redirect_uri: str, now: datetime) -> dict[str, Any]:
        """What the provider says of the person who came back with `answer` (the query's fields): claims, of which `sub`
        is always there. Raises SignInRefused, TransientError.
        """
