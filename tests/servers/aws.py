"""S3 and SQS over HTTP for the tests: moto's server as a child process. A test double, no store for real data."""

import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import httpx2
from botocore.config import Config

from tests.servers.process import ServerProcess, answers, free_port, missing


@dataclass(frozen=True)
class Aws:
    """Where the server answers, and the credentials that it takes."""

    endpoint_url: str
    region: str = "us-east-1"
    access_key: str = "test"
    secret_key: str = "test"

    @cache  # noqa: B019 - there is one server, and to make a client takes a tenth of a second
    def client(self, service: str) -> Any:
        """A boto3 client of `s3` or `sqs`."""
        return boto3.session.Session().client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(retries={"max_attempts": 2}, proxies={}),
        )

    def create_bucket(self, name: str = "recordings") -> str:
        """A new bucket; returns its name."""
        self.client("s3").create_bucket(Bucket=name)
        return name

    def create_queue(self, name: str = "callwise-events", **attributes: str) -> str:
        """A new queue; returns its URL."""
        return str(self.client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])


class AwsServer(ServerProcess):
    """moto's server on a free port of the loopback interface."""

    def __init__(self) -> None:
        if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
            missing("moto's server", "pip install 'moto[server,s3,sqs]'")
        super().__init__("aws")
        self.port = free_port()
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        self.launch(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            is_ready=lambda: answers(self.port),
        )

    def forget(self) -> None:
        """Drop every bucket, queue and message."""
        httpx2.post(f"{self.endpoint_url}/moto-api/reset", timeout=30, trust_env=False).raise_for_status()
