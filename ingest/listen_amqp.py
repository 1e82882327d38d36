"""Storage events out of an AMQP queue: MinIO, RustFS and Ceph publish theirs to RabbitMQ."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from time import monotonic
from typing import Any

import structlog
from amqp.exceptions import NotFound
from kombu import Connection, Consumer, Exchange, Queue
from kombu.exceptions import OperationalError

from calls.errors import EngineMisconfigured, TransientError
from ingest.intake import BATCH, Intake, take_messages

log = structlog.get_logger()

PREFETCH = BATCH
HEARTBEAT_S = 10
# How long one look at the queue waits: an order to stop is heard within it.
LOOK_S = 0.5
# How long the first message of a batch waits for others, however steadily they drip in.
FILL_S = 0.5
FIRST_PAUSE_S = 0.2
# A broker that is back is consumed from again within this time.
LONGEST_PAUSE_S = 1.0
# How long messages stay with us that the store or the database cannot take now, before they go back into the queue.
HELD_S = 3.0


class AmqpListener:
    """Consumes the queue at `url`; a message is acknowledged when what it announced is durable.

    The queue is made when it is not there and, where `exchange` is named, bound to it with `routing_key`.
    """

    def __init__(self, intake: Intake, *, url: str, queue: str, exchange: str = "", routing_key: str = "#") -> None:
        self.name = f"amqp {queue}"
        self._intake = intake
        self._url = url
        self._queue = queue
        self._exchange = exchange
        self._routing_key = routing_key

    def run(self, stop: Event) -> None:
        """Consume until `stop` is set, through every loss of the broker, the store or the database."""
        pause_s = FIRST_PAUSE_S
        while not stop.is_set():
            try:
                with self._consuming() as (connection, inbox):
                    log.info("listening", source=self.name)
                    pause_s = FIRST_PAUSE_S
                    while not stop.is_set():
                        self._take(self._fill(connection, inbox), stop)
            except TransientError as error:
                log.warning("listener_waits", source=self.name, code=error.code, detail=error.detail, pause_s=pause_s)
                stop.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def drain(self) -> int:
        """Take what is in the queue now; returns the number of new calls. Raises TransientError."""
        new_count = 0
        with self._consuming() as (connection, inbox):
            while messages := self._fill(connection, inbox):
                new_count += self._take(messages, stop=None)
        return new_count

    @contextmanager
    def _consuming(self) -> Iterator[tuple[Connection, list[Any]]]:
        """A connection whose messages arrive, undecoded, in a list. The broker's errors become TransientError."""
        inbox: list[Any] = []
        connection = Connection(self._url, heartbeat=HEARTBEAT_S, connect_timeout=5)
        lost = (*connection.connection_errors, *connection.channel_errors, OperationalError, OSError)
        try:
            # Its own way to connect sleeps for seconds between two tries.
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0)
            channel = connection.channel()
            queue = self._declare(connection)
            # Raw messages: what a store calls its content type is of no use to us, and decoding it could fail.
            consumer = Consumer(
                channel,
                [queue],
                on_message=inbox.append,
                # Such as one that claims to be compressed and is not: it is read as it came, and found unreadable.
                on_decode_error=lambda message, _: inbox.append(message),
                auto_declare=False,
            )
            consumer.qos(prefetch_count=PREFETCH)
            with consumer:
                yield connection, inbox
        except lost as error:
            raise TransientError(f"{self.name}: {type(error).__name__}", code="broker_unreachable") from error
        finally:
            connection.close()

    def _declare(self, connection: Connection) -> Queue:
        """The queue as somebody made it, whatever its arguments, or a durable one of ours."""
        queue = Queue(self._queue, durable=True)
        with connection.channel() as channel:
            try:
                queue(channel).queue_declare(passive=True)
            except NotFound:
                queue(connection.channel()).queue_declare()
        if self._exchange:
            try:
                with connection.channel() as channel:
                    queue(channel).bind_to(Exchange(self._exchange), routing_key=self._routing_key)
            except NotFound:
                raise EngineMisconfigured(
                    f"the broker has no exchange {self._exchange!r} (events[].exchange): the store makes it, or you"
                ) from None
        return queue

    def _fill(self, connection: Connection, inbox: list[Any]) -> list[Any]:
        """What has arrived: waits for the first message, and takes what came with it, for FILL_S at most."""
        timeout_s, ends_at = LOOK_S, monotonic() + LOOK_S + FILL_S
        while len(inbox) < PREFETCH and monotonic() < ends_at:
            try:
                connection.drain_events(timeout=timeout_s)
            except TimeoutError:
                connection.heartbeat_check()
                break
            if timeout_s == LOOK_S:
                timeout_s, ends_at = 0.01, monotonic() + FILL_S
        messages = inbox[:]
        inbox.clear()
        return messages

    def _take(self, messages: list[Any], stop: Event | None) -> int:
        """Take the messages and acknowledge them; those that have to come again go back into the queue."""
        if not messages:
            return 0
        try:
            new_count = take_messages(self._intake, self.name, [_body(message) for message in messages])
        except TransientError as error:
            log.warning("messages_wait", source=self.name, code=error.code, message_count=len(messages))
            if stop is not None:
                stop.wait(HELD_S)
            for message in messages:
                message.requeue()
            if stop is None:
                raise
            return 0
        # All up to the last of them in one frame: they were delivered in this order, and nobody else has the channel.
        messages[-1].ack(multiple=True)
        return new_count


def _body(message: Any) -> bytes | str:
    body = message.body
    return body if isinstance(body, str) else bytes(body)
