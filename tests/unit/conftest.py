"""Unit tests talk to nobody: a socket that leaves the process is refused."""

import socket
import sys
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

_refusing = Event()
_NETWORK_EVENTS = {"socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}


# Bound here: at the interpreter's end the module is empty before the hook is gone.
def _refuse(event: str, arguments: tuple[Any, ...], refusing: Event = _refusing) -> None:
    if not refusing.is_set() or event not in _NETWORK_EVENTS:
        return
    first = arguments[0]
    if isinstance(first, socket.socket) and first.family == socket.AF_UNIX:
        return
    raise RuntimeError("a unit test must not use the network: pass a fake, or make it an integration test")


# The interpreter itself reports the calls, so nothing has to be replaced; a hook stays for the life of the process.
sys.addaudithook(_refuse)


@pytest.fixture(autouse=True)
def refuse_sockets() -> Iterator[None]:
    """Refuse every connection but those to a Unix socket while a unit test runs."""
    _refusing.set()
    yield
    _refusing.clear()
