"""What a set-up is: servers behind proxies, Callwise's processes as in production, a store that sends its events."""

import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import amqp
import sqlalchemy as sa

from bench.chaos import messages
from bench.chaos.processes import Kept
from bench.chaos.proxy import Proxy
from bench.chaos.sidelog import LOG, POINTS, KillPoints
from bench.chaos.stories import Action, Delete, Put, Send, Touch
from calls.errors import CallwiseError
from crm import tables, waiting
from crm.database import Database
from crm.schema import upgrade
from engines import folder_paths
from engines.objects_folder import FolderStore
from ingest.profiles import why_no_recording

QUEUE = "callwise-events"
# More calls than are let in at once.
BUSY = 1_000_000
WORKERS = frozenset({"speech", "language", "both"})


@dataclass(frozen=True)
class Pace:
    """How long a claim stands without a sign of life, and how often what stands still is looked for. Short, so that a
    proof takes minutes; the settings' own defaults are longer.
    """

    lease_s: float = 2.0
    sweep_s: float = 0.5


class Site(ABC):
    """One run's own world in one set-up: a fresh home, database and broker, and everything that works in it."""

    name: str
    # Where the broker itself answers, past its proxy; 0 where there is none that can be restarted.
    broker_port = 0
    pace = Pace()
    # Whether its processes start warm; see bench.chaos.warm.
    is_warm = False

    def __init__(self, scratch: Path) -> None:
        self.home = scratch / "home"
        self.logs = scratch / "logs"
        self.side_log = scratch / "side.log"
        for folder in (self.home / "objects", self.logs, scratch / "points"):
            folder.mkdir(parents=True)
        self.points = KillPoints(scratch / "points")
        self.store = FolderStore(self.home / "objects", bucket=messages.BUCKET)
        # By name: what can be cut, and what can be restarted.
        self.proxies: dict[str, Proxy] = {}
        self.restarts: dict[str, Callable[[], None]] = {}
        # Recordings that lie in the store.
        self._there: set[str] = set()
        self.database = Database(self.make_database())
        upgrade(self.database)

    @abstractmethod
    def make_database(self) -> str:
        """A fresh database; returns its URL, past every proxy."""

    @abstractmethod
    def settings(self) -> Mapping[str, str]:
        """The settings by which this set-up differs, as the environment has them."""

    @abstractmethod
    def send(self, body: bytes) -> None:
        """Publish one message of the store."""

    def events_waiting(self) -> int:
        """How many messages of the store nobody has taken yet."""
        return 0

    def unfinished(self) -> int:
        """How many calls are on their way, and recordings that nobody has taken yet."""
        try:
            with self.database.read() as connection:
                known = connection.execute(sa.select(sa.func.count()).select_from(tables.call)).scalar_one()
                return waiting.unfinished_count(connection) + max(0, len(self._there) - known)
        except (CallwiseError, sa.exc.SQLAlchemyError):
            return BUSY  # the database is being restarted

    def processes(self) -> list[Kept]:
        """Every process of this set-up, started. Two workers serve each queue, so that one can be thought dead."""
        return [
            self._kept("listen", "bench.chaos.listener"),
            self._kept("speech", "bench.chaos.worker", "speech", "prefork", "2"),
            self._kept("language", "bench.chaos.worker", "language", "threads", "2"),
            self._kept("both", "bench.chaos.worker", "speech,language", "prefork", "2"),
            self._kept("beat", "cli", "beat"),
        ]

    def do(self, action: Action) -> None:
        """One thing that telephony or the store does."""
        match action:
            case Put(key, content, by_hand):
                if why_no_recording(key, len(content)) is None:
                    self._there.add(key)
                if by_hand and folder_paths.is_plain(key):
                    self._drop(key, content)
                else:
                    self.store.put(key, content)
            case Delete(key):
                self._there.discard(key)
                self.store.delete(key)
            case Touch(key):
                os.utime(self._path(key))
            case Send(body):
                self.send(body)

    def environment(self) -> dict[str, str]:
        """What every process is started with."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CALLWISE_")}
        # Without bytecode on disk every start takes two seconds longer.
        kept.pop("PYTHONDONTWRITEBYTECODE", None)
        return kept | {
            "CALLWISE_HOME": str(self.home),
            "CALLWISE_WORK__LEASE_S": str(self.pace.lease_s),
            "CALLWISE_WORK__MAX_ATTEMPTS": "12",
            "CALLWISE_WORK__BACKOFF_S": "0.2",
            "CALLWISE_WORK__SWEEP_S": str(self.pace.sweep_s),
            LOG: str(self.side_log),
            POINTS: str(self.points.folder),
            **self.settings(),
        }

    def close(self) -> None:
        """End what this run alone has used."""
        self.database.dispose()
        for proxy in self.proxies.values():
            proxy.close()

    def _kept(self, name: str, module: str, *arguments: str) -> Kept:
        return Kept(name, module, *arguments, environment=self.environment(), logs=self.logs, is_warm=self.is_warm)

    def _path(self, key: str) -> Path:
        plain = folder_paths.is_plain(key)
        return (folder_paths.plain_path if plain else folder_paths.escaped_path)(self.store.root, key)

    def _drop(self, key: str, content: bytes) -> None:
        """Write under another name and rename, as docs/telephony.md asks programs to."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(content)
        part.replace(path)


class Servers(ABC):
    """What the runs of one set-up share, since it takes seconds to start.

    `most_recordings` is what they can carry in reasonable time, 0 where that does not matter; `is_watched` says that
    the store's folder is watched, so that nobody can forge, delay or lose an event.
    """

    most_recordings = 0
    is_watched = False

    @abstractmethod
    def site(self, scratch: Path) -> Site:
        """A world for one run."""

    @abstractmethod
    def close(self) -> None:
        """Stop the servers."""


class EmbeddedSite(Site):
    """SQLite, a watched folder, and a worker that rings itself."""

    name = "embedded"

    def make_database(self) -> str:
        """The home's own file."""
        return f"sqlite:///{self.home / 'callwise.db'}"

    def settings(self) -> Mapping[str, str]:
        """The defaults."""
        return {}

    def send(self, body: bytes) -> None:
        """Nobody can send anything."""
        raise RuntimeError("a watched folder has no messages")

    def processes(self) -> list[Kept]:
        """As `callwise up` has them, without the pages."""
        return [
            self._kept("listen", "bench.chaos.listener"),
            self._kept("both", "bench.chaos.worker", "speech,language", "prefork", "2"),
        ]


class EmbeddedServers(Servers):
    """None are needed."""

    is_watched = True

    def site(self, scratch: Path) -> Site:
        """See Servers."""
        return EmbeddedSite(scratch)

    def close(self) -> None:
        """Nothing."""


class AmqpEvents:
    """The store's way to publish: persistent, confirmed, past the proxy, again after the broker was away."""

    def __init__(self, port: int, vhost: str) -> None:
        self._port, self._vhost = port, vhost
        self._connection: Any = None
        self._channel: Any = None

    def send(self, body: bytes) -> None:
        """Publish one message; returns when the broker has it."""
        while True:
            try:
                message = amqp.Message(body, delivery_mode=2)
                self._open().basic_publish_confirm(message, routing_key=QUEUE)
                return
            except (amqp.exceptions.AMQPError, OSError):
                self._connection = None
                time.sleep(0.2)  # it is being restarted

    def waiting(self) -> int:
        """How many messages are ready in the queue."""
        while True:
            try:
                return int(self._open().queue_declare(QUEUE, passive=True).message_count)
            except (amqp.exceptions.AMQPError, OSError):
                self._connection = None
                time.sleep(0.2)  # it is being restarted

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> Any:
        if self._connection is None:
            connection = amqp.Connection(
                f"127.0.0.1:{self._port}", virtual_host=self._vhost, confirm_publish=True, connect_timeout=5
            )
            connection.connect()
            self._channel = connection.channel()
            self._channel.queue_declare(QUEUE, durable=True, auto_delete=False)
            self._connection = connection
        return self._channel


def amqp_source(port: int, vhost: str) -> str:
    """The setting `events` for that queue."""
    url = f"amqp://guest:guest@127.0.0.1:{port}/{vhost}"
    return json.dumps([{"kind": "amqp", "url": url, "queue": QUEUE}])
