"""What the HTTP servers of the tests share: a start, an end, and answers that come whole, in part or never."""

import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self

# How far an answer comes.
Ending = Literal["whole", "cut", "never"]


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    # A client that never gets its answer must not hold up the end of a test.
    block_on_close = False
    # Many clients may come at once: with the default of five some are turned away before they are heard.
    request_queue_size = 256

    def __init__(self, handler: "type[LocalHandler]") -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.closing = threading.Event()


class LocalServer:
    """One server on a free port of this machine, from `with` until its end."""

    def __init__(self, handler: "type[LocalHandler]") -> None:
        self._http = _Http(handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def closing(self) -> threading.Event:
        """Set when it ends: an answer that waits must wait no longer."""
        return self._http.closing

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"


class LocalHandler(BaseHTTPRequestHandler):
    """Answers one request of a LocalServer; tests read what was asked from the server, not from a log."""

    protocol_version = "HTTP/1.1"
    # Head and body leave in two writes: without this each answer waits 40 ms for a delayed acknowledgement.
    disable_nagle_algorithm = True
    server: _Http

    def serve(self) -> None:
        """Answer this request: what a server is there for."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """See BaseHTTPRequestHandler."""
        self.serve()

    def do_DELETE(self) -> None:
        """See BaseHTTPRequestHandler."""
        self.serve()

    def do_POST(self) -> None:
        """See BaseHTTPRequestHandler."""
        self.serve()

    def do_PATCH(self) -> None:
        """See BaseHTTPRequestHandler."""
        self.serve()

    def send(self, status: int, headers: Mapping[str, str], content: bytes, ending: Ending) -> None:
        """Answer so, as far as `ending` says."""
        if ending == "never":
            self.server.closing.wait()
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if ending == "cut":
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""
