"""Laws of the test servers: fresh for every test, and what they keep survives a restart."""

import kombu
import pytest
import redis
import sqlalchemy as sa

from crm.schema import versions
from tests.servers.aws import Aws
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_gets_an_empty_postgres_database(postgres_url, turn):
    with sa.create_engine(postgres_url, poolclass=sa.NullPool).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE mark (turn text)")
        connection.exec_driver_sql("INSERT INTO mark VALUES (%s)", (turn,))


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_gets_an_empty_redis(redis_url, turn):
    client = redis.Redis.from_url(redis_url)
    assert client.dbsize() == 0
    client.set("turn", turn)


@pytest.mark.parametrize("turn", ["first", "second"])
def test_every_test_gets_an_empty_object_store(aws: Aws, turn):
    s3 = aws.client("s3")
    assert s3.list_buckets()["Buckets"] == []
    aws.create_bucket(turn)


def test_a_redis_key_survives_a_restart(redis_url, redis_server: RedisServer):
    redis.Redis.from_url(redis_url).set("kept", "yes")
    redis_server.restart()
    assert redis.Redis.from_url(redis_url).get("kept") == b"yes"


def test_a_durable_message_survives_a_restart_of_the_broker(rabbitmq_url, rabbitmq_server: RabbitServer):
    with kombu.Connection(rabbitmq_url, transport_options={"confirm_publish": True}) as connection:
        connection.SimpleQueue("kept").put({"n": 1})
    rabbitmq_server.restart()
    with kombu.Connection(rabbitmq_url) as connection:
        assert connection.SimpleQueue("kept").get(timeout=10).payload == {"n": 1}


def test_both_kinds_of_database_stand_at_the_version_of_the_code(any_database):
    found, wanted = versions(any_database)
    assert found == wanted
