"""A local HTTP server that keeps recordings as Twilio does: behind Basic auth, of one channel or two, now and then
elsewhere, not yet, or not at all.
"""

import base64
import json
import re
from collections import deque
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import parse_qs, urlsplit

from tests.servers.local_http import Ending, LocalHandler, LocalServer

ACCOUNT = "AC" + "a1" * 16
TOKEN = "planted-twilio-token-6d1f"

_API = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-f]{32})/Recordings/(RE[0-9a-f]{32})\.wav")
_LIST = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-f]{32})/Recordings\.json")
_MEDIA = re.compile(r"/media/(RE[0-9a-f]{32})\.wav")


@dataclass(frozen=True)
class Asked:
    """One request: its path, the channels it asked for, and whether it showed the account's token."""

    path: str
    channels: str
    has_token: bool


@dataclass(frozen=True)
class Trouble:
    """An answer that is no recording; `ending` is how far it comes."""

    status: int = 200
    location: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ending: Ending = "whole"


class TwilioServer(LocalServer):
    """What stands in for https://api.twilio.com, from `with` until its end.

    `keep` gives it a recording; `trouble` lets the next requests fail, each in its own way. With `sends_elsewhere` it
    answers as Twilio does where media lie at another host: with a redirect to an address that takes no token.
    """

    def __init__(self, *, sends_elsewhere: bool = False) -> None:
        super().__init__(_handler_of(self))
        self.sends_elsewhere = sends_elsewhere
        self.asked: list[Asked] = []
        # What the list of recordings says, newest first, and how many are on a page of it.
        self.listed: list[dict[str, object]] = []
        self.page_size = 2
        self._kept: dict[str, tuple[bytes, int]] = {}
        self._troubles: deque[Trouble] = deque()

    def keep(self, recording_sid: str, sound: bytes, *, channels: int = 2) -> None:
        """Keep a recording."""
        self._kept[recording_sid] = (sound, channels)

    def trouble(self, *troubles: Trouble) -> None:
        """Answer the next requests so, one each, in this order."""
        self._troubles.extend(troubles)

    def answer(self, target: str, authorization: str) -> Trouble:
        """What is answered to a GET."""
        url = urlsplit(target)
        channels = parse_qs(url.query).get("RequestedChannels", [""])[0]
        right = "Basic " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        self.asked.append(Asked(url.path, channels, authorization == right))
        if self._troubles:
            return self._troubles.popleft()
        if media := _MEDIA.fullmatch(url.path):
            # An address that carries its own right takes no other beside it, as S3 has it.
            return Trouble(400) if authorization else Trouble(body=self._kept[media[1]][0])
        if _LIST.fullmatch(url.path):
            return self._page(parse_qs(url.query)) if authorization == right else Trouble(401)
        asked = _API.fullmatch(url.path)
        if asked is None or asked[1] != ACCOUNT:
            return Trouble(404)
        if authorization != right:
            return Trouble(401)
        if asked[2] not in self._kept:
            return Trouble(404)
        sound, kept_channels = self._kept[asked[2]]
        if channels and int(channels) > kept_channels:
            return Trouble(400, body=json.dumps({"code": 16113, "status": 400}).encode())
        if self.sends_elsewhere:
            return Trouble(302, location=f"{self.url}/media/{asked[2]}.wav?X-Signature=abc")
        return Trouble(body=sound)

    def _page(self, query: dict[str, list[str]]) -> Trouble:
        since = date.fromisoformat(query["DateCreated>"][0])
        number = int(query.get("Page", ["0"])[0])
        start = number * self.page_size
        following = f"/2010-04-01/Accounts/{ACCOUNT}/Recordings.json?DateCreated%3E={since}&Page={number + 1}"
        has_more = len(self.listed) > start + self.page_size
        shown = self.listed[start : start + self.page_size]
        page = {"recordings": shown, "next_page_uri": following if has_more else None}
        return Trouble(body=json.dumps(page).encode())


def _handler_of(server: TwilioServer) -> type[LocalHandler]:
    class Handler(LocalHandler):
        def serve(self) -> None:
            answer = server.answer(self.path, self.headers.get("authorization", ""))
            headers = {"content-type": "audio/x-wav" if answer.status == 200 else "application/json"}
            headers |= ({"location": answer.location} if answer.location else {}) | answer.headers
            self.send(answer.status, headers, answer.body, answer.ending)

    return Handler
