"""A proxy before the SQS server of the tests, which counts what is asked of it and can spoil or refuse a request."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import httpx2


class SqsProxy(ThreadingHTTPServer):
    """Passes SQS's JSON requests on; `counts` holds how often each action was asked for."""

    daemon_threads = True

    def __init__(self, target_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target_url = target_url
        self.endpoint_url = f"http://127.0.0.1:{self.server_port}"
        self.counts: Counter[str] = Counter()
        self._spoilt: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._lock = Lock()
        self.client = httpx2.Client(trust_env=False, timeout=60)

    def spoil_receipts(self, action: str, times: int) -> None:
        """Make the first entry of the next `times` requests of this batch action name a message that is not there."""
        with self._lock:
            self._spoilt[action] += times

    def refuse(self, action: str, times: int) -> None:
        """Answer the next `times` requests of this action as SQS does when it cannot: 503."""
        with self._lock:
            self._refused[action] += times

    def refused_count(self, action: str) -> int:
        """How many requests of this action will still be refused."""
        with self._lock:
            return self._refused[action]

    def is_refused(self, action: str) -> bool:
        """Whether this request is one of those."""
        with self._lock:
            if not self._refused[action]:
                return False
            self._refused[action] -= 1
            return True

    def on_the_way(self, action: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Count the request, and spoil it where a test wants it so."""
        with self._lock:
            self.counts[action] += 1
            if self._spoilt[action]:
                self._spoilt[action] -= 1
                asked["Entries"][0]["ReceiptHandle"] = "of-no-message"
        return asked


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SqsProxy

    def do_POST(self) -> None:
        """Pass one request on, and its answer back."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        action = self.headers["X-Amz-Target"].rpartition(".")[2]
        if self.server.is_refused(action):
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        asked = json.dumps(self.server.on_the_way(action, json.loads(body))).encode()
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in {"host", "content-length"}
        }
        answer = self.server.client.post(self.server.target_url + self.path, content=asked, headers=headers)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers["content-type"])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the tests read the counts."""


@contextmanager
def sqs_proxy(target_url: str) -> Iterator[SqsProxy]:
    """A running proxy before the server at `target_url`."""
    proxy = SqsProxy(target_url)
    thread = Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join(10)
        proxy.server_close()
        proxy.client.close()
