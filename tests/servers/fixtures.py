"""Fixtures of the real servers and of databases. A server starts with the first test that asks for it, once per run."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm.database import Database
from crm.schema import upgrade
from tests.servers.aws import Aws, AwsServer
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL server of this run."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitServer]:
    """The RabbitMQ server of this run; a test may `restart` it."""
    server = RabbitServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The Redis server of this run; a test may `restart` it."""
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def aws_server() -> Iterator[AwsServer]:
    """The S3 and SQS server of this run."""
    server = AwsServer()
    yield server
    server.close()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh, empty PostgreSQL database."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def rabbitmq_url(rabbitmq_server: RabbitServer) -> Iterator[str]:
    """The AMQP URL of a fresh virtual host."""
    name = rabbitmq_server.create_vhost()
    yield rabbitmq_server.url(name)
    rabbitmq_server.drop_vhost(name)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis database."""
    redis_server.forget()
    return redis_server.url


@pytest.fixture
def aws(aws_server: AwsServer) -> Aws:
    """S3 and SQS without any bucket or queue."""
    aws_server.forget()
    return Aws(aws_server.endpoint_url)


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database at the code's version, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "callwise.db"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.dispose()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer) -> str:
    """The name of a PostgreSQL database at the code's version, to be copied."""
    name = postgres_server.create_database()
    database = Database(postgres_server.url(name))
    upgrade(database)
    database.dispose()
    return name


@pytest.fixture
def database(migrated_sqlite_file: Path, tmp_path: Path) -> Iterator[Database]:
    """A fresh SQLite database at the code's version."""
    path = shutil.copy(migrated_sqlite_file, tmp_path / "callwise.db")
    opened = Database(f"sqlite:///{path}")
    yield opened
    opened.dispose()


@pytest.fixture
def postgres_database(postgres_server: PostgresServer, migrated_postgres: str) -> Iterator[Database]:
    """A fresh PostgreSQL database at the code's version."""
    name = postgres_server.create_database(template=migrated_postgres)
    opened = Database(postgres_server.url(name))
    yield opened
    opened.dispose()
    postgres_server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgres"])
def any_database(request: pytest.FixtureRequest) -> Database:
    """A fresh database at the code's version, of each kind in turn."""
    name = "database" if request.param == "sqlite" else "postgres_database"
    found = request.getfixturevalue(name)
    assert isinstance(found, Database)
    return found
