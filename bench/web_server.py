"""The pages and the API of a real web process, timed from outside."""

import gzip
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import httpx2

from bench.processor import cpu_s, tree
from crm.access import Permission
from crm.database import Database
from crm.tokens import create_token
from crm.users import create_user
from runtime.program import spare_the_program

_READY_S = 240
_CONNECTIONS = 16
_QUIET = ("--no-access-log", "--log-level", "warning")
_ROOT = Path(__file__).parent.parent
_CPU_MS, _CLOCK_MS = "x-bench-cpu-ms", "x-bench-clock-ms"


@dataclass(frozen=True)
class _Served:
    """A web process, and somebody who may do all."""

    pid: int
    port: int
    token: str
    name: str
    password: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def call_pages(database: Database, ids: Sequence[UUID], *, rounds: int) -> dict[str, Any]:
    """Server time of the pages of different calls, one after another, and what they weigh as they are sent and as HTML.

    By the clock and by the processor: from when the application gets the request until its answer has left.
    """
    clock: list[float] = []
    cpu: list[float] = []
    sizes, packed = [], []
    with (
        _served(database, [sys.executable, "-m", "uvicorn", "bench.web_server:app", "--factory", *_QUIET]) as web,
        httpx2.Client(base_url=web.url, timeout=60, follow_redirects=True) as client,
    ):
        _sign_in(client, web)
        for place in range(rounds + 5):
            answer = client.get(f"/calls/{ids[place % len(ids)]}")
            if answer.status_code != 200 or "<h1" not in answer.text:
                raise RuntimeError(f"the page of a call answered {answer.status_code}")
            if place >= 5:
                clock.append(float(answer.headers[_CLOCK_MS]))
                cpu.append(float(answer.headers[_CPU_MS]))
                sizes.append(len(answer.content))
                packed.append(len(gzip.compress(answer.content)))
    return {
        "call_page_p50_ms": _percentile(clock, 0.5),
        "call_page_p95_ms": _percentile(clock, 0.95),
        "call_page_cpu_p50_ms": _percentile(cpu, 0.5),
        "call_page_cpu_p95_ms": _percentile(cpu, 0.95),
        "call_page_different_calls": min(rounds, len(ids)),
        "call_page_bytes": max(sizes),
        "call_page_gzip_bytes": max(packed),
    }


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2)


def requests_per_s(database: Database, ids: Sequence[UUID], *, seconds: float) -> dict[str, Any]:
    """Answers a second of GET /api/v1/calls/{id} by `callwise web` with as many processes as there are CPUs, while
    bench.api_load asks for one call after another, so that each is read for the first time: the audit log is written
    for every request. What asks, what answers and the database take their part of the same CPUs; `by_cpu` is what
    these would give if they had nothing else to do.
    """
    cpus = os.cpu_count() or 1
    with _served(database, [sys.executable, "-m", "cli", "web"], processes=cpus) as web:
        paths = [f"/api/v1/calls/{one}" for one in ids]
        warm = min(len(paths) // 10, 200)
        _load(web, 2, paths[:warm])
        server = tree(web.pid)
        before = cpu_s(server), cpu_s(_backends(database))
        found = _load(web, seconds, paths[warm:])
        # Of those connections to the database that were opened meanwhile, all that they took is counted.
        after = cpu_s(server), cpu_s(_backends(database))
    asked = found["requests"]
    took_ms = {
        "server": (after[0] - before[0]) * 1000 / asked,
        "database": (after[1] - before[1]) * 1000 / asked,
        "client": found["cpu_s"] * 1000 / asked,
    }
    return {
        "api_requests_per_s": round(asked / found["wall_s"], 1),
        "api_requests_per_s_by_cpu": round(cpus * 1000 / sum(took_ms.values()), 1),
        "api_p50_ms": found["p50_ms"],
        "api_p95_ms": found["p95_ms"],
        "api_requests": asked,
        "api_different_calls": min(asked, len(paths) - warm),
        **{f"api_{name}_cpu_ms": round(value, 3) for name, value in took_ms.items()},
    }


def _load(web: _Served, seconds: float, paths: Sequence[str]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.api_load", str(web.port), str(_CONNECTIONS), str(seconds)],
        input="\n".join([web.token, *paths]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=_ROOT,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _backends(database: Database) -> list[int]:
    """The processes of PostgreSQL that serve this database; SQLite works in the processes that use it."""
    if database.is_sqlite:
        return []
    asked = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with database.read() as connection:
        return list(connection.exec_driver_sql(asked).scalars())


def _sign_in(client: httpx2.Client, web: _Served) -> None:
    form = client.get("/login").text
    form_token = form.partition('name="form_token" value="')[2].partition('"')[0]
    answer = client.post("/login", data={"form_token": form_token, "name": web.name, "password": web.password})
    if answer.status_code != 200:
        raise RuntimeError(f"signing in answered {answer.status_code}")


@contextmanager
def _served(database: Database, command: Sequence[str], *, processes: int = 1) -> Iterator[_Served]:
    """The web by this command on a free port."""
    name, password, now = f"bench-{uuid4().hex[:8]}", uuid4().hex, datetime.now(UTC)
    with database.write() as connection:
        user = create_user(connection, name, password, "admin", now)
        _, token = create_token(connection, user, "bench", [*Permission], lifetime=timedelta(days=1), now=now)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryDirectory() as home:
        environment = os.environ | {
            "CALLWISE_HOME": home,
            "CALLWISE_DATABASE__URL": database.url.render_as_string(hide_password=False),
            "CALLWISE_WEB__API_REQUESTS_PER_MINUTE": "0",
            "CALLWISE_WEB__PROCESSES": str(processes),
            "CALLWISE_WEB__SECRET": uuid4().hex * 2,
            "PYTHONPATH": str(_ROOT),
        }
        server = subprocess.Popen([*command, "--port", str(port)], env=environment, cwd=_ROOT, stdout=sys.stderr)
        try:
            _wait(port)
            yield _Served(server.pid, port, token, name, password)
        finally:
            server.terminate()
            server.wait(30)


def app() -> Any:
    """The application by the environment's settings, which tells in each answer how long it took."""
    from runtime.settings import read_settings
    from runtime.wiring import Wiring
    from web.app import create_app

    inner = create_app(Wiring(read_settings()))
    # As `callwise web` does.
    spare_the_program()

    async def timed(scope: Any, receive: Any, send: Any) -> None:
        started, started_cpu = time.perf_counter(), time.process_time()
        messages = []

        async def keep(message: Any) -> None:
            messages.append(message)

        await inner(scope, receive, keep if scope["type"] == "http" else send)
        took = {_CLOCK_MS: time.perf_counter() - started, _CPU_MS: time.process_time() - started_cpu}
        for message in messages:
            if message["type"] == "http.response.start":
                message["headers"] += [(key.encode(), f"{value * 1000:.3f}".encode()) for key, value in took.items()]
            await send(message)

    return timed


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
