"""All sources of events of one process: made from their descriptions, run side by side, or emptied once."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import structlog

from calls.errors import SettingsError
from engines.objects_folder import FolderStore
from ingest.intake import Intake
from ingest.listen_amqp import AmqpListener
from ingest.listen_folder import FolderListener
from ingest.listen_sqs import SqsListener

log = structlog.get_logger()

RESTART_PAUSE_S = 2.0
JOIN_S = 15.0


class Listener(Protocol):
    """Takes in what one source announces. `name` is for people and logs."""

    name: str

    def run(self, stop: threading.Event) -> None:
        """Listen until `stop` is set; waits for what is away, and raises nothing that can pass by itself."""

    def drain(self) -> int:
        """Take in what is there now; returns the number of new calls. Raises TransientError."""


@dataclass(frozen=True)
class Source:
    """Where events come from; the fields are those of the setting `events[]`."""

    kind: Literal["folder", "amqp", "sqs", "http"]
    url: str = ""
    queue: str = ""
    exchange: str = ""
    routing_key: str = "#"
    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)


def make_listeners(intake: Intake, sources: Sequence[Source]) -> list[Listener]:
    """One listener for each source but those of kind http: the web process hears them. Nothing is connected yet.

    Raises SettingsError for a source that cannot be.
    """
    return [
        _make_listener(intake, source, f"events.{place}")
        for place, source in enumerate(sources)
        if source.kind != "http"
    ]


def run_listeners(listeners: Sequence[Listener], stop: threading.Event) -> None:
    """Run them side by side until `stop` is set, and return when all have ended; one that breaks is started again."""
    threads = [
        threading.Thread(target=_keep_running, args=(listener, stop), name=listener.name, daemon=True)
        for listener in listeners
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(JOIN_S)


def catch_up(listeners: Sequence[Listener]) -> int:
    """Take in what every source has now; returns the number of new calls. Raises TransientError."""
    return sum(listener.drain() for listener in listeners)


def _make_listener(intake: Intake, source: Source, name: str) -> Listener:
    if source.kind == "folder":
        if not isinstance(intake.objects, FolderStore):
            raise SettingsError(
                f"{name}.kind: only a folder can be watched, and objects.kind is s3: set CALLWISE_EVENTS to amqp or sqs"
            )
        return FolderListener(intake, intake.objects)
    if not source.queue:
        raise SettingsError(f"{name}.queue: {source.kind} needs the name of a queue")
    if source.kind == "amqp":
        if not source.url:
            raise SettingsError(f"{name}.url: amqp needs the broker's URL, amqp://USER:PASSWORD@HOST:PORT/VHOST")
        return AmqpListener(
            intake, url=source.url, queue=source.queue, exchange=source.exchange, routing_key=source.routing_key
        )
    return SqsListener(
        intake,
        queue=source.queue,
        endpoint_url=source.url,
        region=source.region,
        access_key=source.access_key,
        secret_key=source.secret_key,
    )


def _keep_running(listener: Listener, stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            listener.run(stop)
        except Exception:
            # A listener that nobody hears about is worse than one that begins again.
            log.exception("listener_broke", source=listener.name)
            stop.wait(RESTART_PAUSE_S)
