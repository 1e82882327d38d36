"""A load of requests to the API over kept connections, in a process of its own, at next to no cost.

`python -m bench.api_load PORT CONNECTIONS SECONDS`, with a token and then paths on stdin, a line each: they are asked
in their order by whichever connection is free, each once and from the first again only where they run out. One thread,
sockets and a selector: what asks must not take the processor from what answers. Prints one JSON document.
"""

import json
import selectors
import socket
import sys
import time
from collections.abc import Iterator
from itertools import cycle


class _Asking:
    """One connection, its request on the way and what came of the answer."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self.answer = b""
        self.missing = -1

    def send(self, request: bytes) -> None:
        """Ask."""
        self.answer, self.missing = b"", -1
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def has_all(self) -> bool:
        """Take what has come; whether that was the rest. Raises RuntimeError for anything but 200."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise RuntimeError("the connection was closed")
        if self.missing >= 0:
            self.missing -= len(part)
            return self.missing == 0
        self.answer += part
        end = self.answer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = self.answer[:end].lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"the API answered {self.answer[:300]!r}")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        self.missing = length - (len(self.answer) - end - 4)
        return self.missing == 0


def main() -> None:
    """Ask, and print what came of it."""
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    token, *paths = sys.stdin.read().splitlines()
    requests = [
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode() for path in paths
    ]
    print(json.dumps(_measure(cycle(requests), port, connections, seconds)))


def _measure(requests: Iterator[bytes], port: int, connections: int, seconds: float) -> dict[str, float]:
    took: list[float] = []
    with selectors.DefaultSelector() as selector:
        asking = [_Asking(port) for _ in range(connections)]
        for one in asking:
            selector.register(one.socket, selectors.EVENT_READ, one)
        started, started_cpu = time.perf_counter(), time.process_time()
        ends_at = started + seconds
        for one in asking:
            one.send(next(requests))
        on_the_way = len(asking)
        while on_the_way:
            for key, _ in selector.select(30):
                one = key.data
                if not one.has_all():
                    continue
                now = time.perf_counter()
                took.append(now - one.sent_at)
                if now < ends_at:
                    one.send(next(requests))
                else:
                    on_the_way -= 1
        wall, cpu = time.perf_counter() - started, time.process_time() - started_cpu
        for one in asking:
            one.socket.close()
    ordered = sorted(took)
    return {
        "requests": len(took),
        "wall_s": round(wall, 3),
        "cpu_s": round(cpu, 3),
        "p50_ms": round(ordered[len(ordered) // 2] * 1000, 2),
        "p95_ms": round(ordered[int(len(ordered) * 0.95)] * 1000, 2),
    }


if __name__ == "__main__":
    main()
