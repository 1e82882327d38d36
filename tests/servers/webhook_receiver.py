"""A local HTTP server that takes webhooks as Standard Webhooks asks of a receiver: it believes only what is signed with
its secret, fresh, and not yet known.
"""

import base64
import hmac
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from tests.servers.local_http import Ending, LocalHandler, LocalServer

SECRET = "whsec_" + base64.b64encode(b"planted webhook secret of 32 byte").decode()
TOLERANCE_S = 300


@dataclass(frozen=True)
class Trouble:
    """An answer to one message that is no success; with `after_work` the message was taken all the same."""

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    ending: Ending = "whole"
    after_work: bool = False


class WebhookReceiver(LocalServer):
    """One receiver; `taken` are the messages that it believed, each once, by their ids."""

    def __init__(self, clock: Callable[[], datetime], secret: str = SECRET) -> None:
        super().__init__(_handler_of(self))
        self.taken: dict[str, dict[str, Any]] = {}
        # The ids of all messages that came, again and again.
        self.came: list[str] = []
        self.disbelieved = 0
        self._clock = clock
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._troubles: deque[Trouble] = deque()

    def trouble(self, *troubles: Trouble) -> None:
        """Answer the next messages so, one each, in this order."""
        self._troubles.extend(troubles)

    def answer(self, headers: dict[str, str], body: bytes) -> Trouble:
        """What is answered to a message."""
        message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        self.came.append(message_id)
        told = hmac.new(self._key, f"{message_id}.{stamp}.".encode() + body, sha256).digest()
        signatures = headers.get("webhook-signature", "").split()
        is_mine = any(hmac.compare_digest(f"v1,{base64.b64encode(told).decode()}", one) for one in signatures)
        is_fresh = stamp.isdigit() and abs(int(stamp) - self._clock().timestamp()) <= TOLERANCE_S
        if not (is_mine and is_fresh):
            self.disbelieved += 1
            return Trouble(401)
        trouble = self._troubles.popleft() if self._troubles else None
        if trouble and not trouble.after_work:
            return trouble
        self.taken.setdefault(message_id, json.loads(body))
        return trouble or Trouble(204)


def _handler_of(server: WebhookReceiver) -> type[LocalHandler]:
    class Handler(LocalHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            answer = server.answer({name.lower(): value for name, value in self.headers.items()}, body)
            self.send(answer.status, answer.headers, b"", answer.ending)

    return Handler
