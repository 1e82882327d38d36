"""A signed webhook: each call as one POST that only its receiver's secret could have made, to a public address.

Source of the headers and the signature: Standard Webhooks 1.0 (standardwebhooks.com).
"""

import base64
import binascii
import hmac
import ipaddress
import json
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256

import httpcore2

from calls.errors import EngineMisconfigured, TransientError
from engines.crm_http import wait_of
from engines.handover import Outgoing, Person, Refused, Sent

_TIMEOUT_S = 10.0
_LIMIT_WAIT_S = 60.0
_PREFIX = "whsec_"
# An IPv6 address in which a translator finds one of IPv4.
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Webhook:
    """One receiver. It gets each version of a call once, or again after a failure under the same `webhook-id`.

    Every address of its host has to be public unless `allow_private`; the connection goes to the very address that was
    looked at. Redirects are not followed, and no proxy is used.
    """

    batch_size = 1

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        allow_private: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._url = url
        self._key = _key_of(secret)
        self._clock = clock
        self._timeout = dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)
        self._backend = httpcore2.SyncBackend() if allow_private else PublicNetwork()

    def send(self, calls: Sequence[Outgoing]) -> list[Sent | Refused]:
        """See Destination. The receiver tells by any status of 2xx that it has the call."""
        return [self._send(one) for one in calls]

    def find_contact(self, phone_e164: str) -> Person | None:
        """Nobody is asked: a receiver knows its customers by their numbers."""
        return None

    def find_owner(self, email: str) -> str | None:
        """Nobody is asked."""
        return None

    def check(self) -> None:
        """See Destination: the receiver is sent a signed `ping`, and has to take it."""
        status, _ = self._post("ping", f"ping.{int(self._clock().timestamp())}", {})
        if not 200 <= status < 300:
            raise EngineMisconfigured(
                f"the receiver answered {status} to a signed ping: look at its secret, its clock and its address",
                code="refused_request",
            )

    def tell(self, kind: str, message_id: str, fields: dict[str, object]) -> None:
        """Send something that is no call, once or again under the same id.

        Raises TransientError where it may be taken later, EngineMisconfigured where it will not be.
        """
        status, headers = self._post(kind, message_id, fields)
        if 200 <= status < 300:
            return
        if status == 410:
            raise EngineMisconfigured("the receiver says that it is there no more (410)", code="destination_gone")
        wait_s = wait_of(headers, _LIMIT_WAIT_S) if status == 429 else None
        raise TransientError(f"the receiver answered {status}", code=f"http_{status}", retry_after_s=wait_s)

    def _send(self, call: Outgoing) -> Sent | Refused:
        kind = "call.updated" if call.object_id else "call.completed"
        status, headers = self._post(kind, f"{call.key}.{call.payload_sha256[:16]}", dict(call.payload.fields))
        if 200 <= status < 300:
            # It is known from now on: what comes next is an update.
            return Sent(call.key)
        if status == 410:
            raise EngineMisconfigured("the receiver says that it is there no more (410)", code="destination_gone")
        if status == 429:
            wait_s = wait_of(headers, _LIMIT_WAIT_S)
            raise TransientError("the receiver's limit is reached", code="rate_limited", retry_after_s=wait_s)
        return Refused(f"http_{status}", again=True)

    def _post(self, kind: str, message_id: str, fields: dict[str, object]) -> tuple[int, dict[str, str]]:
        now = self._clock()
        document = {"type": kind, "timestamp": now.astimezone(UTC).isoformat(timespec="seconds"), "data": fields}
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        headers = {"content-type": "application/json", "user-agent": "Callwise"}
        headers |= signed(self._key, message_id, now, body)
        with (
            _translated(),
            httpcore2.ConnectionPool(network_backend=self._backend) as pool,
            # The body of the answer is nobody's business, however long it is: it is not read.
            pool.stream(
                "POST",
                self._url,
                headers=list(headers.items()),
                content=body,
                extensions={"timeout": self._timeout},
            ) as response,
        ):
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return response.status, told


class PublicNetwork(httpcore2.SyncBackend):
    """Connects to public addresses alone: to the first of a host's, when all of them are."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """See httpcore2.NetworkBackend. Raises EngineMisconfigured (`private_address`)."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(is_public(address) for address in addresses):
            raise EngineMisconfigured(
                "the webhook's host has a private address: set allow_private, where that is meant",
                code="private_address",
            )
        # By the address itself: asked again, the name might lead elsewhere. TLS goes on asking for the name.
        return super().connect_tcp(addresses[0], port, timeout, local_address, socket_options)


def is_public(address: str) -> bool:
    """Whether an IP address, also one that holds another in it, is reached over the open net alone."""
    told = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(told, ipaddress.IPv6Address):
        inner = told.ipv4_mapped or told.sixtofour or (told.teredo and told.teredo[1])
        if inner is None and told in _NAT64:
            inner = ipaddress.IPv4Address(int(told) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
    return told.is_global and not told.is_multicast and not told.is_reserved


def signed(key: bytes, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers by which the receiver knows who sent this, when, and that it is whole."""
    stamp = str(int(at.timestamp()))
    told = hmac.new(key, f"{message_id}.{stamp}.".encode() + body, sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(told).decode()}",
    }


def _key_of(secret: str) -> bytes:
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise EngineMisconfigured(
                "a webhook's secret begins with whsec_ and is no base64 after it: correct handover.webhooks",
                code="wrong_credentials",
            ) from None
    return secret.encode()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpcore2.TimeoutException as error:
        raise TransientError("the receiver took too long", code="timed_out") from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as error:
        raise TransientError(f"the receiver: {type(error).__name__}", code="unreachable") from error
