"""A RabbitMQ server for the tests: own node, own ports, own data, a virtual host per test."""

import os
from itertools import count

import httpx2

from tests.servers.process import ServerProcess, answers, find_program, free_port, missing

_INSTALL = "apt-get install rabbitmq-server (macOS: brew install rabbitmq)"


class RabbitServer(ServerProcess):
    """RabbitMQ on free ports of the loopback interface, with the management plugin to make virtual hosts quickly."""

    def __init__(self) -> None:
        # The packaged command in /usr/sbin changes the user and drops the environment: take the one behind it.
        program = find_program("rabbitmq-server", "/usr/lib/rabbitmq/bin")
        epmd = find_program("epmd")
        if program is None or epmd is None:
            missing("RabbitMQ", _INSTALL)
        super().__init__("rabbitmq")
        self._program = program
        self._numbers = count(1)
        self.port = free_port()
        self._management_port = free_port()
        self._epmd_port = free_port()
        (self.folder / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self._management_port}\n"
            "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\n"
            "log.console = true\nlog.file = false\n"
        )
        # A port mapper of our own: the usual one would outlive the tests.
        self._epmd = ServerProcess("epmd")
        epmd_port = str(self._epmd_port)
        self._epmd.launch(
            [epmd, "-port", epmd_port, "-address", "127.0.0.1"], is_ready=lambda: answers(self._epmd_port)
        )
        self.start()

    def start(self) -> None:
        """Start the broker on its data folder, again after a `kill`, too."""
        folder = str(self.folder)
        env = {
            "HOME": folder,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"callwise-{os.getpid()}-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_SCHEMA_DIR": f"{folder}/schema",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{folder}/config",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/no-environment.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        self.launch([self._program], is_ready=self._is_ready, env=env)

    def restart(self) -> None:
        """Kill the broker and start it on the same port and data: durable queues and messages survive."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Stop and remove everything."""
        super().close()
        self._epmd.close()

    def url(self, vhost: str) -> str:
        """The AMQP URL of one virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{vhost}"

    def create_vhost(self) -> str:
        """A fresh virtual host; returns its name."""
        name = f"test-{next(self._numbers)}"
        self._manage("PUT", f"vhosts/{name}")
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self._manage("PUT", f"permissions/{name}/guest", everything)
        return name

    def drop_vhost(self, name: str) -> None:
        """Remove a virtual host with its queues and connections."""
        self._manage("DELETE", f"vhosts/{name}")

    def _manage(self, method: str, path: str, body: object = None) -> None:
        answer = httpx2.request(
            method,
            f"http://127.0.0.1:{self._management_port}/api/{path}",
            json=body,
            auth=("guest", "guest"),
            timeout=20,
            trust_env=False,
        )
        answer.raise_for_status()

    def _is_ready(self) -> bool:
        return answers(self.port) and answers(self._management_port)
