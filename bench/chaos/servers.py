"""The set-ups with servers: RabbitMQ, Redis or SQS, and PostgreSQL."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from bench.chaos.messages import is_carried_as_text
from bench.chaos.proxy import Proxy
from bench.chaos.sites import QUEUE, AmqpEvents, EmbeddedServers, Servers, Site, amqp_source
from tests.servers.aws import Aws, AwsServer
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer


class PostgresSite(Site):
    """A site whose database is PostgreSQL behind a proxy."""

    def __init__(self, scratch: Path, postgres: PostgresServer) -> None:
        self._postgres = postgres
        super().__init__(scratch)
        self.proxies["database"] = Proxy(postgres.port)
        self.restarts["database"] = postgres.restart

    def make_database(self) -> str:
        """A database of its own."""
        return self._postgres.url(self._postgres.create_database())

    def database_setting(self) -> str:
        """The URL by which Callwise comes in."""
        url = make_url(self._postgres.url(str(self.database.url.database)))
        return url.set(port=self.proxies["database"].port).render_as_string(hide_password=False)


class RabbitSite(PostgresSite):
    """RabbitMQ carries the store's events and Celery's bells."""

    name = "rabbitmq"

    def __init__(self, scratch: Path, postgres: PostgresServer, rabbit: RabbitServer) -> None:
        super().__init__(scratch, postgres)
        self._vhost = rabbit.create_vhost()
        self.proxies["broker"] = Proxy(rabbit.port)
        self.restarts["broker"] = rabbit.restart
        self.broker_port = rabbit.port
        self._events = AmqpEvents(rabbit.port, self._vhost)

    def settings(self) -> Mapping[str, str]:
        """See Site."""
        port = self.proxies["broker"].port
        return {
            "CALLWISE_DATABASE__URL": self.database_setting(),
            "CALLWISE_BROKER__URL": f"amqp://guest:guest@127.0.0.1:{port}/{self._vhost}",
            "CALLWISE_EVENTS": amqp_source(port, self._vhost),
        }

    def send(self, body: bytes) -> None:
        """See Site."""
        self._events.send(body)

    def events_waiting(self) -> int:
        """See Site."""
        return self._events.waiting()

    def close(self) -> None:
        """See Site."""
        self._events.close()
        super().close()


class RedisSite(RabbitSite):
    """Redis carries Celery's bells; the store's events come over AMQP, as those of a store that speaks it."""

    name = "redis"

    def __init__(self, scratch: Path, postgres: PostgresServer, rabbit: RabbitServer, redis: RedisServer) -> None:
        super().__init__(scratch, postgres, rabbit)
        redis.forget()
        self.proxies["events"] = self.proxies["broker"]
        self.restarts["events"] = self.restarts["broker"]
        self.proxies["broker"] = Proxy(redis.port)
        self.restarts["broker"] = redis.restart

    def settings(self) -> Mapping[str, str]:
        """See Site."""
        return {
            "CALLWISE_DATABASE__URL": self.database_setting(),
            "CALLWISE_BROKER__URL": f"redis://127.0.0.1:{self.proxies['broker'].port}/0",
            "CALLWISE_EVENTS": amqp_source(self.proxies["events"].port, self._vhost),
        }


class SqsSite(PostgresSite):
    """SQS carries the store's events and Celery's bells. A service of others: it is cut off, never restarted."""

    name = "sqs"

    def __init__(self, scratch: Path, postgres: PostgresServer, aws: Aws, port: int) -> None:
        super().__init__(scratch, postgres)
        self.proxies["broker"] = Proxy(port)
        # A message that a dead listener held comes again within seconds, not after the default half minute.
        self._queue_url = aws.create_queue(QUEUE, VisibilityTimeout="5")
        self._sqs: Any = aws.client("sqs")

    def settings(self) -> Mapping[str, str]:
        """See Site."""
        port = self.proxies["broker"].port
        source = {"kind": "sqs", "url": f"http://127.0.0.1:{port}", "queue": QUEUE}
        return {
            "CALLWISE_DATABASE__URL": self.database_setting(),
            "CALLWISE_BROKER__URL": f"sqs://test:test@127.0.0.1:{port}//",
            "CALLWISE_EVENTS": json.dumps([source | {"access_key": "test", "secret_key": "test"}]),
        }

    def send(self, body: bytes) -> None:
        """See Site; what SQS would refuse, nobody can send."""
        if is_carried_as_text(body):
            self._sqs.send_message(QueueUrl=self._queue_url, MessageBody=body.decode())

    def events_waiting(self) -> int:
        """See Site."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


class RabbitServers(Servers):
    """RabbitMQ and PostgreSQL."""

    def __init__(self) -> None:
        self._postgres = PostgresServer()
        self._rabbit = RabbitServer()

    def site(self, scratch: Path) -> Site:
        """See Servers."""
        return RabbitSite(scratch, self._postgres, self._rabbit)

    def close(self) -> None:
        """See Servers."""
        self._rabbit.close()
        self._postgres.close()


class RedisServers(RabbitServers):
    """Redis, RabbitMQ for the store's events, and PostgreSQL."""

    def __init__(self) -> None:
        super().__init__()
        self._redis = RedisServer()

    def site(self, scratch: Path) -> Site:
        """See Servers."""
        return RedisSite(scratch, self._postgres, self._rabbit, self._redis)

    def close(self) -> None:
        """See Servers."""
        self._redis.close()
        super().close()


class SqsServers(Servers):
    """A local server that speaks SQS, and PostgreSQL."""

    # The local server gives a few messages a second, and fewer the more it holds.
    most_recordings = 2000

    def __init__(self) -> None:
        self._postgres = PostgresServer()
        self._aws = AwsServer()

    def site(self, scratch: Path) -> Site:
        """See Servers."""
        self._aws.forget()
        return SqsSite(scratch, self._postgres, Aws(self._aws.endpoint_url), self._aws.port)

    def close(self) -> None:
        """See Servers."""
        self._aws.close()
        self._postgres.close()


SERVERS: dict[str, Callable[[], Servers]] = {
    "rabbitmq": RabbitServers,
    "redis": RedisServers,
    "sqs": SqsServers,
    "embedded": EmbeddedServers,
}
