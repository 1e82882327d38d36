"""The pages and the API of a real web process, timed from outside."""

import gzip
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import httpx2

from crm.access import Permission
from crm.database import Database
from crm.tokens import create_token
from crm.users import create_user

_READY_S = 60
_CLIENTS = 4


def call_pages(database: Database, ids: Sequence[UUID], *, rounds: int) -> dict[str, Any]:
    """Server time of a call's page, and what it weighs as it is sent and as HTML."""
    with (
        _served(database, 1) as (base, token),
        httpx2.Client(base_url=base, timeout=60, follow_redirects=True) as client,
    ):
        _sign_in(client, token)
        seconds, sizes, packed = [], [], []
        for place in range(rounds + 5):
            started = time.perf_counter()
            answer = client.get(f"/calls/{ids[place % len(ids)]}")
            took_s = time.perf_counter() - started
            if answer.status_code != 200 or "<h1" not in answer.text:
                raise RuntimeError(f"the page of a call answered {answer.status_code}")
            if place >= 5:
                seconds.append(took_s)
                sizes.append(len(answer.content))
                packed.append(len(gzip.compress(answer.content)))
    ordered = sorted(seconds)
    return {
        "call_page_p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
        "call_page_p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1000, 2),
        "call_page_bytes": max(sizes),
        "call_page_gzip_bytes": max(packed),
    }


def requests_per_s(database: Database, ids: Sequence[UUID], *, seconds: float) -> float:
    """Answers a second of GET /api/v1/calls/{id} by as many processes as there are CPUs, asked by threads over kept
    connections; the asking takes its part of the same CPUs.
    """
    with _served(database, os.cpu_count() or 1) as (base, token):
        port = int(base.rpartition(":")[2])
        counts = [0] * _CLIENTS
        ends_at = time.monotonic() + seconds

        def ask(place: int) -> None:
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                number = place
                while time.monotonic() < ends_at:
                    number += _CLIENTS
                    _ask(connection, f"/api/v1/calls/{ids[number % len(ids)]}", token)
                    counts[place] += 1

        threads = [Thread(target=ask, args=(place,)) for place in range(_CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return round(sum(counts) / seconds, 1)


def _ask(connection: socket.socket, path: str, token: str) -> None:
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token.partition(' ')[0]}\r\n\r\n".encode()
    )
    answer = connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"the API answered {head[:200]!r}")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)


def _sign_in(client: httpx2.Client, token: str) -> None:
    _, name, password = token.split(" ")
    form = client.get("/login").text
    form_token = form.partition('name="form_token" value="')[2].partition('"')[0]
    answer = client.post("/login", data={"form_token": form_token, "name": name, "password": password})
    if answer.status_code != 200:
        raise RuntimeError(f"signing in answered {answer.status_code}")


@contextmanager
def _served(database: Database, processes: int) -> Iterator[tuple[str, str]]:
    """The web on a free port; yields its address, and "token name password" of somebody who may do all."""
    name, password, now = f"bench-{uuid4().hex[:8]}", uuid4().hex, datetime.now(UTC)
    with database.write() as connection:
        user = create_user(connection, name, password, "admin", now)
        _, text = create_token(connection, user, "bench", [*Permission], lifetime=timedelta(days=1), now=now)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryDirectory() as home:
        environment = os.environ | {
            "CALLWISE_HOME": home,
            "CALLWISE_DATABASE__URL": database.url.render_as_string(hide_password=False),
            "CALLWISE_WEB__API_REQUESTS_PER_MINUTE": "0",
            "CALLWISE_WEB__SECRET": uuid4().hex * 2,
        }
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "bench.web_server:app", "--factory", "--port", str(port)),
                *("--workers", str(processes), "--no-access-log", "--log-level", "warning"),
            ],
            env=environment,
            cwd=Path(__file__).parent.parent,
        )
        try:
            _wait(port)
            yield f"http://127.0.0.1:{port}", f"{text} {name} {password}"
        finally:
            server.terminate()
            server.wait(30)


def app() -> Any:
    """The application by the environment's settings, as uvicorn makes it in each process."""
    from runtime.settings import read_settings
    from runtime.wiring import Wiring
    from web.app import create_app

    return create_app(Wiring(read_settings()))


def _wait(port: int) -> None:
    ends_at = time.monotonic() + _READY_S
    while True:
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code < 500:
                return
        except httpx2.TransportError:
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.1)
