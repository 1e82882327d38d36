"""The scripts of deploy/, run as the containers run them."""

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from crm.database import Database
from crm.status import beat
from tests.servers.aws import Aws

ROOT = Path(__file__).parents[2]


def run(script: str, home: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, ROOT / "deploy" / script],
        cwd=home,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "CALLWISE_HOME": str(home), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_prepared_bucket_announces_what_is_put_into_it_and_preparing_it_twice_is_the_same(aws: Aws, tmp_path: Path):
    queue_url = aws.create_queue()
    settings = {
        "CALLWISE_OBJECTS__ENDPOINT_URL": aws.endpoint_url,
        "CALLWISE_OBJECTS__ACCESS_KEY": aws.access_key,
        "CALLWISE_OBJECTS__SECRET_KEY": aws.secret_key,
        "CALLWISE_STORE_TARGET": "arn:aws:sqs:us-east-1:123456789012:callwise-events",
    }
    for _ in range(2):
        prepared = run("prepare_bucket.py", tmp_path, **settings)
        assert prepared.returncode == 0, prepared.stderr
    aws.client("s3").put_object(Bucket="recordings", Key="a call.wav", Body=b"RIFF")
    events = [
        json.loads(message["Body"])
        for _ in range(5)
        for message in aws.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
    ]
    keys = [record["s3"]["object"]["key"] for event in events for record in event.get("Records", [])]
    assert keys == ["a+call.wav"]


def test_a_store_that_refuses_ends_the_script_with_its_words(aws: Aws, tmp_path: Path):
    refused = run(
        "prepare_bucket.py",
        tmp_path,
        CALLWISE_OBJECTS__ENDPOINT_URL=aws.endpoint_url,
        CALLWISE_OBJECTS__ACCESS_KEY=aws.access_key,
        CALLWISE_OBJECTS__SECRET_KEY=aws.secret_key,
        CALLWISE_STORE_TARGET="no arn",
    )
    assert refused.returncode == 1
    assert "the store refuses" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_container_is_healthy_while_its_own_process_shows_signs_of_life(any_database: Database, tmp_path: Path):
    settings = {"CALLWISE_DATABASE__URL": any_database.url.render_as_string(hide_password=False)}
    with any_database.write() as connection:
        beat(connection, "worker@another-container:1", "worker", now=datetime.now(UTC))
    assert run("is_alive.py", tmp_path, **settings).returncode == 1
    with any_database.write() as connection:
        beat(connection, f"worker@{socket.gethostname()}:1", "worker", now=datetime.now(UTC))
    assert run("is_alive.py", tmp_path, **settings).returncode == 0
