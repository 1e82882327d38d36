"""Laws of the AMQP listener, over a real RabbitMQ: every message ends once, whatever happens to the broker."""

import json

import kombu
import pytest

from calls.errors import EngineMisconfigured
from engines.objects_memory import MemoryStore
from ingest.listen_amqp import AmqpListener
from tests.integration.listening import EVENTS, keys, make_intake, running, s3_event, unreadable
from tests.servers.process import wait_until
from tests.servers.rabbitmq import RabbitServer

QUEUE = "callwise-events"


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    for number in range(50):
        store.put(f"calls/{number} +%.wav", b"sound %d" % number)
    store.put("calls/one two.wav", b"sound")
    return store


def publish(url: str, *bodies: object, exchange: str = "", routing_key: str = QUEUE, **properties: object) -> None:
    with kombu.Connection(url, transport_options={"confirm_publish": True}) as connection:
        producer = connection.Producer()
        for body in bodies:
            options = {"content_type": "application/json", "content_encoding": "utf-8", **properties}
            text = body if isinstance(body, str | bytes) else json.dumps(body)
            producer.publish(text, exchange=exchange, routing_key=routing_key, delivery_mode=2, **options)


def depth(url: str) -> int:
    with kombu.Connection(url) as connection, connection.channel() as channel:
        return int(kombu.Queue(QUEUE, channel=channel).queue_declare(passive=True).message_count)


def listening_at(url: str) -> bool:
    try:
        with kombu.Connection(url) as connection, connection.channel() as channel:
            return int(kombu.Queue(QUEUE, channel=channel).queue_declare(passive=True).consumer_count) == 1
    except connection.channel_errors:
        return False


def test_events_become_calls_and_duplicates_nothing(any_database, store, rabbitmq_url):
    listener = AmqpListener(make_intake(any_database, store), url=rabbitmq_url, queue=QUEUE)
    with running(listener):
        wait_until(lambda: listening_at(rabbitmq_url), what="the queue is consumed")
        for _ in range(3):
            publish(rabbitmq_url, *[s3_event(ref.key) for ref in store.list()])
        wait_until(lambda: len(keys(any_database)) == 51, what="all calls")
    # What it held when it was stopped has come back into the queue, and adds nothing.
    assert listener.drain() == 0
    assert depth(rabbitmq_url) == 0


def test_a_store_may_publish_to_an_exchange_and_as_text_or_bytes(database, store, rabbitmq_url):
    listener = AmqpListener(
        make_intake(database, store), url=rabbitmq_url, queue=QUEUE, exchange="amq.topic", routing_key="recordings"
    )
    minio = (EVENTS / "minio.json").read_text()
    with running(listener):
        wait_until(lambda: listening_at(rabbitmq_url), what="the queue is consumed")
        publish(rabbitmq_url, minio, exchange="amq.topic", routing_key="recordings")
        publish(
            rabbitmq_url,
            s3_event("calls/1 +%.wav").encode(),
            content_type="application/octet-stream",
            content_encoding="binary",
            exchange="amq.topic",
            routing_key="recordings",
        )
        publish(
            rabbitmq_url,
            s3_event("calls/2 +%.wav"),
            content_type="text/plain",
            exchange="amq.topic",
            routing_key="recordings",
        )
        wait_until(lambda: len(keys(database)) == 3, what="three calls")
    assert keys(database) == ["calls/1 +%.wav", "calls/2 +%.wav", "calls/one two.wav"]


def test_garbage_goes_to_the_table_and_the_listener_lives_on(database, store, rabbitmq_url):
    with running(AmqpListener(make_intake(database, store), url=rabbitmq_url, queue=QUEUE)):
        wait_until(lambda: listening_at(rabbitmq_url), what="the queue is consumed")
        publish(
            rabbitmq_url, "no json", b"\xff\xfe", {"task": "foreign"}, content_type="application/x-python-serialize"
        )
        publish(rabbitmq_url, b"\x1f\x8b\x00", content_encoding="gzip", headers={"compression": "application/x-gzip"})
        publish(rabbitmq_url, s3_event("calls/1 +%.wav"))
        wait_until(lambda: keys(database) == ["calls/1 +%.wav"], what="the good call")
        wait_until(lambda: len(unreadable(database)) == 4, what="four kept messages")
    assert unreadable(database) == ["not_json", "not_utf8", "not_utf8", "unknown_shape"]
    assert depth(rabbitmq_url) == 0


def test_a_restart_of_the_broker_is_survived(database, store, rabbitmq_url, rabbitmq_server: RabbitServer):
    with running(AmqpListener(make_intake(database, store), url=rabbitmq_url, queue=QUEUE)):
        wait_until(lambda: listening_at(rabbitmq_url), what="the queue is consumed")
        publish(rabbitmq_url, s3_event("calls/1 +%.wav"))
        wait_until(lambda: len(keys(database)) == 1, what="the first call")
        rabbitmq_server.restart()
        publish(rabbitmq_url, s3_event("calls/2 +%.wav"))
        wait_until(lambda: len(keys(database)) == 2, what="the second call")


def test_events_wait_for_a_database_that_is_away(database, store, rabbitmq_url):
    class Gate(MemoryStore):
        """A store that is away until it is opened."""

        is_open = False
        asked_count = 0

        def head(self, key, version_id=""):
            self.asked_count += 1
            if not self.is_open:
                raise EngineMisconfigured("away")
            return store.head(key, version_id)

    gate = Gate()
    with running(AmqpListener(make_intake(database, gate), url=rabbitmq_url, queue=QUEUE)):
        wait_until(lambda: listening_at(rabbitmq_url), what="the queue is consumed")
        publish(rabbitmq_url, s3_event("calls/1 +%.wav"), "no json")
        wait_until(lambda: gate.asked_count >= 2, what="a second try")
        assert keys(database) == []
        gate.is_open = True
        wait_until(lambda: len(keys(database)) == 1, what="the call")
        # Once, however often the message came.
        wait_until(lambda: unreadable(database) == ["not_json"], what="the garbage is kept")


def test_a_queue_with_arguments_of_its_own_is_used_as_it_is(database, store, rabbitmq_url):
    with kombu.Connection(rabbitmq_url) as connection:
        arguments = {"x-queue-type": "quorum", "x-delivery-limit": 20}
        kombu.Queue(QUEUE, durable=True, queue_arguments=arguments, channel=connection.channel()).queue_declare()
    publish(rabbitmq_url, s3_event("calls/1 +%.wav", "calls/2 +%.wav"))
    listener = AmqpListener(make_intake(database, store), url=rabbitmq_url, queue=QUEUE)
    assert listener.drain() == 2
    assert listener.drain() == 0


def test_an_exchange_that_nobody_made_is_a_wrong_setting(database, store, rabbitmq_url):
    listener = AmqpListener(make_intake(database, store), url=rabbitmq_url, queue=QUEUE, exchange="nowhere")
    with pytest.raises(EngineMisconfigured, match="nowhere"):
        listener.drain()
