"""A Redis server for the tests."""

import socket

from tests.servers.process import ServerProcess, answers, find_program, free_port, missing

_INSTALL = "apt-get install redis-server (macOS: brew install redis)"


class RedisServer(ServerProcess):
    """Redis on a free port of the loopback interface, with an append-only file: a restart keeps what was written."""

    def __init__(self) -> None:
        program = find_program("redis-server")
        if program is None:
            missing("Redis", _INSTALL)
        super().__init__("redis")
        self._program = program
        self.port = free_port()
        self.start()

    @property
    def url(self) -> str:
        """The URL of database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server on its folder, again after a `kill`, too."""
        self.launch(
            [
                self._program,
                "--port",
                str(self.port),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
                "--dir",
                self.folder,
            ],
            is_ready=lambda: answers(self.port),
        )

    def restart(self) -> None:
        """Kill the server and start it on the same port and data."""
        self.kill()
        self.start()

    def forget(self) -> None:
        """Drop every key."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            assert connection.recv(64).startswith(b"+OK")
