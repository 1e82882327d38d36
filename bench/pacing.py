"""Calls per minute under the limiters of the field, ours beside a plain retry loop and the cookbook's token bucket.

    python -m bench.pacing --json [--minutes 2] [--minute-s 30] [--processes 1 4 16] [--limiters fixed_minute]
                                  [--peers-everywhere]

All streams run at once against one local server over real HTTP, each with a deployment of its own that takes 300,000
tokens in a minute. That minute is `--minute-s` seconds long, for the server, the answers' lengths in time, and for all
clients alike, so that a run ends soon; waits are given in seconds of such a minute. Windows of requests are those of
the clock. Old calls saturate each stream; of ours, LIVE_SHARE of the capacity is asked for by calls that just end.

A live call's wait ends when its request has leave and is sent; what the network and the server take is not counted.
`in_virtual_time` has the same meters and limiters on a clock of their own, where a busy machine delays nothing.

`share_of_bound` is what was admitted of what the limiter could have admitted: tokens as it counts them, or requests.
`calls_vs_two_prompts` compares the last minute, after the room for answers was learned, with two requests a call at
4,096 tokens of room, paced by our own meter.
"""

import argparse
import gc
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.pacing_clients import Client, Stream
from bench.pacing_server import LIMITERS, Arrival, Sizes, serve
from bench.pacing_virtual import virtual_figures
from crm.database import Database
from crm.pacing import DatabaseMeters
from crm.schema import upgrade
from engines.meters import Meters
from engines.pacing_redis import RedisMeters
from tests.servers.process import find_program
from tests.servers.redis import RedisServer

TOKENS_PER_MINUTE = 300_000
REQUESTS_PER_MINUTE = 240
PEERS = ("retry_loop", "token_bucket")
PEER_PROCESSES = 4
# Between the last process's readiness and the first request.
READY_S = 1.0


def main() -> None:
    """Run it and print the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--minutes", type=int, default=2)
    parser.add_argument("--minute-s", type=float, default=30.0)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--limiters", choices=[*LIMITERS], nargs="+", default=[*LIMITERS])
    parser.add_argument(
        "--meters", choices=["redis", "sqlite"], default="redis" if find_program("redis-server") else "sqlite"
    )
    parser.add_argument("--peers-everywhere", action="store_true", help="peers at every number of processes")
    given = parser.parse_args()
    sizes = Sizes(TOKENS_PER_MINUTE, REQUESTS_PER_MINUTE, given.minute_s)
    peer_processes = given.processes if given.peers_everywhere else [PEER_PROCESSES]
    streams = _streams(given.limiters, given.processes, peer_processes)
    with tempfile.TemporaryDirectory() as folder, _meters(given.meters, Path(folder)) as make_meters:
        run = Run(streams, sizes, given.minutes, make_meters)
    document = run.document() | {"meters": given.meters, "load_1min": round(os.getloadavg()[0], 1)}
    json.dump(document, sys.stdout, indent=2)
    print()


def _streams(limiters: list[str], processes: list[int], peer_processes: list[int]) -> list[Stream]:
    ours = [Stream(limiter, "ours", count) for limiter in limiters for count in processes]
    peers = [Stream(limiter, peer, count) for limiter in limiters for peer in PEERS for count in peer_processes]
    others = [Stream("fixed_minute", policy, PEER_PROCESSES) for policy in ("no_priorities", "two_prompts")]
    return ours + peers + (others if "fixed_minute" in limiters else [])


@contextmanager
def _meters(kind: str, folder: Path) -> Iterator[Any]:
    """A way to make the meters' door in each process."""
    if kind == "redis":
        server = RedisServer()
        try:
            yield lambda: RedisMeters(server.url)
        finally:
            server.close()
        return
    url = f"sqlite:///{folder / 'callwise.db'}"
    upgrade(Database(url))
    yield lambda: DatabaseMeters(Database(url))


class Run:
    """All streams at once, from processes of their own, and what the server saw of them."""

    def __init__(self, streams: list[Stream], sizes: Sizes, minutes: int, make_meters: Any) -> None:
        self._streams, self._sizes, self._minutes = streams, sizes, minutes
        # Forked, so that each has the SDK without importing it anew; nothing of ours runs a thread yet.
        context = get_context("fork")
        gc.freeze()
        server_pipe, server_end = context.Pipe()
        server = context.Process(
            target=serve, args=({one.name: one.limiter for one in streams}, sizes, server_end), daemon=True
        )
        server.start()
        server_end.close()
        base_url = server_pipe.recv()
        pipes = []
        for count in sorted({one.processes for one in streams}):
            mine = [one for one in streams if one.processes == count]
            for number in range(count):
                pipe, end = context.Pipe()
                arguments = ((mine, number, sizes, base_url), make_meters, end)
                context.Process(target=_be_client, args=arguments, daemon=True).start()
                end.close()
                pipes.append(pipe)
        for pipe in pipes:
            pipe.recv()
        self.start = time.monotonic() + READY_S
        self.end = self.start + minutes * sizes.minute_s
        for pipe in (server_pipe, *pipes):
            pipe.send((self.start, self.end))
        self._live: dict[tuple[str, str], tuple[float, float | None]] = {}
        self._arrivals: list[Arrival]
        self._arrivals, self._refusals, self._problems = server_pipe.recv()
        for pipe in pipes:
            self._live |= pipe.recv()
        server_pipe.send("end")
        server.join()

    def document(self) -> dict[str, Any]:
        """The figures."""
        ours = {one: self._figures(one) for one in self._streams if one.policy == "ours"}
        peers = {one: self._figures(one) for one in self._streams if one.policy in PEERS}
        without = [self._figures(one) for one in self._streams if one.policy == "no_priorities"]
        refused = sum(self._refusal_count(one) for one in ours)
        sent = refused + sum(len(self._of(one)) for one in ours)
        return {
            "share_of_bound": min(found["share_of_bound"] for found in ours.values()),
            "status_429_per_1000": round(1000 * refused / sent, 2),
            "p99_interactive_wait_s": max(found["p99_interactive_wait_s"] for found in ours.values()),
            "p99_interactive_wait_without_priorities_s": without[0]["p99_interactive_wait_s"] if without else None,
            "calls_vs_two_prompts": self._calls_vs_two_prompts(),
            "limiters": _by_limiter(ours),
            "peers": {peer: _by_limiter({one: v for one, v in peers.items() if one.policy == peer}) for peer in PEERS},
            "in_virtual_time": virtual_figures(REQUESTS_PER_MINUTE),
            "requests": sent,
            "tokens_per_minute": TOKENS_PER_MINUTE,
            "minute_s": self._sizes.minute_s,
            "minutes": self._minutes,
            "problems": self._problems,
            "missing": [],
        }

    def _of(self, stream: Stream, since: float | None = None) -> list[Arrival]:
        since = self.start if since is None else since
        return [one for one in self._arrivals if one.stream == stream.name and since <= one.at < self.end]

    def _refusal_count(self, stream: Stream) -> int:
        return sum(1 for at in self._refusals[stream.name] if at < self.end)

    def _figures(self, stream: Stream) -> dict[str, Any]:
        arrived, seconds = self._of(stream), self.end - self.start
        if stream.limiter == "request_windows":
            counted, bound = float(len(arrived)), self._sizes.requests_per_minute / 60 * seconds
        else:
            is_returned = stream.limiter == "provisioned"
            counted = sum(one.prompt_tokens + (one.output_tokens if is_returned else one.room) for one in arrived)
            bound = self._sizes.tokens_per_s * seconds
        refused = self._refusal_count(stream)
        minutes = seconds / (60 if stream.limiter == "request_windows" else self._sizes.minute_s)
        figures = {
            "share_of_bound": round(counted / bound, 3),
            "status_429_per_1000": round(1000 * refused / max(1, refused + len(arrived)), 2),
            "calls_per_minute": round(len(arrived) / minutes, 1),
            "requests": len(arrived) + refused,
        }
        waits = self._waits(stream)
        if waits:
            figures["p99_interactive_wait_s"] = round(waits[int(0.99 * len(waits))], 2)
            figures["interactive_calls"] = len(waits)
        return figures

    def _waits(self, stream: Stream) -> list[float]:
        """How long calls that just ended waited for leave, in seconds of the minute; those who still wait, too."""
        scale = 1.0 if stream.limiter == "request_windows" else 60 / self._sizes.minute_s
        times = [times for (name, _), times in self._live.items() if name == stream.name]
        return sorted(scale * ((self.end if sent_at is None else sent_at) - since) for since, sent_at in times)

    def _calls_vs_two_prompts(self) -> float | None:
        since = self.end - self._sizes.minute_s
        of = {
            policy: len(self._of(Stream("fixed_minute", policy, PEER_PROCESSES), since))
            for policy in ("ours", "two_prompts")
        }
        return round(of["ours"] / (of["two_prompts"] / 2), 2) if of["two_prompts"] else None


def _by_limiter(figures: Mapping[Stream, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        limiter: {str(one.processes): found for one, found in figures.items() if one.limiter == limiter}
        for limiter in {one.limiter: None for one in figures}
    }


def _be_client(who: tuple[list[Stream], int, Sizes, str], make_meters: Any, pipe: Connection) -> None:
    """One process: its part of each stream with as many processes as it is one of."""
    streams, number, sizes, base_url = who
    meters: Meters = make_meters()
    clients = [Client(one, number, sizes, base_url, meters) for one in streams]
    pipe.send("ready")
    times = pipe.recv()
    threads = [threading.Thread(target=client.run, args=times) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipe.send({(one.stream.name, ident): times for one in clients for ident, times in one.live.items()})
    # What is still on its way is of no interest any more.
    os._exit(0)


if __name__ == "__main__":
    main()
