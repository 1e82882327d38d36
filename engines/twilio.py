"""Recordings that Twilio keeps: downloaded with the account's token, from Twilio and from nowhere else."""

import ipaddress
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx2

from calls.errors import EngineMisconfigured, TerminalError, TransientError

API_URL = "https://api.twilio.com"
# Two channels of 8 kHz for nine hours; Twilio records a call for at most four.
MAX_BYTES = 1 << 30

_BLOCK = 1 << 16
_MAX_REDIRECTS = 5
_PAGE = 1000
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class TwilioRecordings:
    """The recordings of one account. Nothing is asked of Twilio before the first `fetch`.

    `api_base_url` is Twilio's own, or that of a server which stands in for it.
    """

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        *,
        api_base_url: str = API_URL,
        max_bytes: int = MAX_BYTES,
        timeout_s: float = 60.0,
    ) -> None:
        self._account_sid = account_sid
        self._auth = httpx2.BasicAuth(account_sid, auth_token)
        self._base = httpx2.URL(api_base_url.rstrip("/"))
        self._max_bytes = max_bytes
        self._timeout = httpx2.Timeout(timeout_s, connect=min(timeout_s, 10.0))

    def fetch(self, recording_sid: str, into: Path) -> None:
        """Write the recording to the file `into`, with both channels where it has two.

        Raises TransientError (`recording_gone` while Twilio has no such media, which it may have a moment later;
        `recording_empty`, `telephony_unreachable`, `rate_limited`), EngineMisconfigured (`wrong_auth_token`), and
        TerminalError (`recording_refused`, `recording_too_large`, `redirect_refused`).
        """
        url = self._of_account(f"Recordings/{recording_sid}.wav")
        # Whatever the answer is encoded with would hide its size.
        headers = {"Accept-Encoding": "identity"}
        with _translated(), httpx2.Client(timeout=self._timeout, headers=headers, follow_redirects=False) as client:
            # A recording of one channel has no two to ask for, and Twilio says so (its warning 16113).
            both = self._download(client, url.copy_merge_params({"RequestedChannels": "2"}), into)
            if not both and not self._download(client, url, into):
                raise TerminalError("Twilio does not give out this recording (400)", code="recording_refused")
        if into.stat().st_size == 0:
            raise TransientError("Twilio sent a recording without a byte", code="recording_empty")

    def listed(self, since: date) -> Iterator[Mapping[str, Any]]:
        """Every recording of the account that was made on `since` (UTC) or later, as Twilio describes it, page by page.

        Raises TransientError (`telephony_unreachable`, `rate_limited`) and EngineMisconfigured (`wrong_auth_token`).
        """
        url: httpx2.URL | None = self._of_account("Recordings.json").copy_merge_params(
            # With the sign of equality that follows its name: on that day or later.
            {"DateCreated>": since.isoformat(), "PageSize": str(_PAGE)}
        )
        with _translated(), httpx2.Client(timeout=self._timeout, auth=self._auth, follow_redirects=False) as client:
            while url is not None:
                response = client.get(url)
                if response.status_code != 200:
                    raise _refusal(response, is_twilio=True)
                page = _page(response)
                yield from (one for one in page.get("recordings", ()) if isinstance(one, Mapping))
                following = page.get("next_page_uri")
                url = self._next(url, str(following)) if following else None
                if url is not None and not self._is_own(url):
                    # The token goes with each page.
                    raise TerminalError("Twilio's next page is elsewhere", code="redirect_refused")

    def _of_account(self, name: str) -> httpx2.URL:
        path = f"{self._base.path.rstrip('/')}/2010-04-01/Accounts/{self._account_sid}/{name}"
        return self._base.copy_with(raw_path=path.encode())

    def _download(self, client: httpx2.Client, url: httpx2.URL, into: Path) -> bool:
        """Follow where Twilio sends us and write what is there; False where it says that the question is wrong."""
        auth: httpx2.Auth | None = self._auth
        for _ in range(_MAX_REDIRECTS + 1):
            with client.stream("GET", url, auth=auth) as response:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    url = self._next(url, response.headers["location"])
                    # The media's address carries its own right; the token is for Twilio alone.
                    auth = None
                    continue
                if response.status_code == 400:
                    return False
                if response.status_code != 200:
                    raise _refusal(response, is_twilio=auth is not None)
                self._write(response, into)
                return True
        raise TransientError("Twilio's redirects have no end", code="telephony_unreachable")

    def _next(self, url: httpx2.URL, location: str) -> httpx2.URL:
        """Where a redirect leads. Raises TerminalError when that is neither Twilio nor a public place over TLS."""
        try:
            wanted = url.join(location)
        except httpx2.InvalidURL:
            raise TerminalError("Twilio's redirect leads nowhere", code="redirect_refused") from None
        if wanted.userinfo or not (self._is_own(wanted) or (wanted.scheme == "https" and _is_public(wanted.host))):
            raise TerminalError("a redirect to a place that is not fetched from", code="redirect_refused")
        return wanted

    def _is_own(self, url: httpx2.URL) -> bool:
        return (url.scheme, url.host, url.port) == (self._base.scheme, self._base.host, self._base.port)

    def _write(self, response: httpx2.Response, into: Path) -> None:
        declared = response.headers.get("content-length", "")
        size = int(declared) if declared.isascii() and declared.isdigit() else 0
        with into.open("wb") as file:
            if size <= self._max_bytes:
                size = 0
                for block in response.iter_bytes(_BLOCK):
                    size += len(block)
                    if size > self._max_bytes:
                        break
                    file.write(block)
        if size > self._max_bytes:
            raise TerminalError(f"larger than {self._max_bytes} bytes", code="recording_too_large")


def _refusal(response: httpx2.Response, *, is_twilio: bool) -> Exception:
    status = response.status_code
    if status in {404, 410}:
        return TransientError("Twilio has no such recording, or not yet", code="recording_gone")
    if status in {401, 403} and is_twilio:
        return EngineMisconfigured(
            "Twilio refuses telephony.twilio.account_sid with telephony.twilio.auth_token: correct"
            " CALLWISE_TELEPHONY__TWILIO__AUTH_TOKEN",
            code="wrong_auth_token",
        )
    if status == 429:
        wait = response.headers.get("retry-after", "")
        wait_s = float(wait[:4]) if wait.isascii() and wait.isdigit() else None
        return TransientError("Twilio's limit of requests is reached", code="rate_limited", retry_after_s=wait_s)
    if status >= 500 or status == 408 or not is_twilio:
        return TransientError(f"the answer was {status}", code="telephony_unreachable")
    return TerminalError(f"Twilio answered {status}", code="recording_refused")


def _page(response: httpx2.Response) -> Mapping[str, Any]:
    try:
        page = response.json()
    except ValueError:
        page = None
    if not isinstance(page, dict) or not isinstance(page.get("recordings"), list):
        raise TransientError("Twilio's list is none", code="telephony_unreachable")
    return page


def _is_public(host: str) -> bool:
    """Whether every address of the host is a public one: nobody's redirect may look into our own network."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        # Nothing is reached under it from here; where a proxy reaches it, the proxy decides.
        return "." in host and not host.endswith((".local", ".internal", ".localhost"))
    return all(ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in found)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the HTTP client says into our kinds of errors; no address and no token gets into their words."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise TransientError("Twilio took too long", code="telephony_unreachable") from error
    except httpx2.HTTPError as error:
        raise TransientError(f"Twilio: {type(error).__name__}", code="telephony_unreachable") from error
