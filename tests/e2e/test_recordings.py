"""The bundled recordings, the whole way: through the embedded set-up, and through PostgreSQL, RabbitMQ, S3 and SQS."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from kombu import Connection, Exchange

from calls.pipeline import Stage
from crm import waiting
from crm.database import Database
from crm.status import status
from samples import sample_recordings
from tests.e2e.processes import GIVE_UP_S, callwise, callwise_json, environment, running
from tests.e2e.rows import final_rows
from tests.servers.process import wait_until

RECORDINGS = sample_recordings()
STORE_EXCHANGE = Exchange("store", type="topic", durable=True)
# The customer who calls three times, whose calls know of each other.
CHAIN = [recording for recording in RECORDINGS if recording.name.split("-", 1)[1].startswith("missed-visit")]


def one_of_each_kind():
    """The chain, and of all others the first of its kind: a minute of speech-to-text less than all of them."""
    kinds = {}
    for one in CHAIN + RECORDINGS:
        kind = (one.profile, one.path.suffix, one.channel_count, one.is_truncated, one.upload_count, one.skip_reason)
        kinds.setdefault((*kind, one.failed_code), one)
    return sorted({one.name: one for one in (*CHAIN, *kinds.values())}.values(), key=lambda one: one.name)


SENT = one_of_each_kind()


@pytest.fixture(scope="module")
def embedded_rows(demo):
    database = Database(f"sqlite:///{demo.home / 'callwise.db'}")
    rows = final_rows(database)
    database.dispose()
    return rows


def test_the_demo_says_what_came_out(demo):
    stages = [recording.stage for recording in RECORDINGS]
    assert demo.outcome["recordings"] == len(RECORDINGS) == 24
    for stage in (Stage.DONE, Stage.SKIPPED, Stage.FAILED):
        assert demo.outcome[stage] == stages.count(stage)


def test_the_demo_leaves_files_for_bi(demo):
    names = {path.rpartition("/")[2] for path in demo.outcome["exports"]}
    assert {"manifest.json", "datapackage.json"} <= names
    assert any(name.endswith(".xlsx") for name in names)
    assert any(name.endswith(".parquet") for name in names)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_each_recording_ends_in_the_state_it_should(recording, embedded_rows):
    row = embedded_rows[recording.key]
    call = row["call"]
    assert (call["stage"], call["skip_reason"], call["failed_code"]) == (
        recording.stage,
        recording.skip_reason,
        recording.failed_code,
    )
    assert call["profile"] == recording.profile
    truncated = {"feature": "recording", "code": "truncated"} in row["transcript"].get("skipped", [])
    assert truncated == recording.is_truncated
    if recording.channel_count == 1 and row["utterances"]:
        assert {said["speaker"] for said in row["utterances"]} == {"unknown"}


def test_a_recording_that_was_uploaded_twice_is_counted_once(embedded_rows):
    assert [r.key for r in RECORDINGS if r.upload_count == 2]
    assert len(embedded_rows) == len(RECORDINGS)


def test_a_customer_who_calls_three_times_has_a_chain_of_three_calls(embedded_rows):
    ordered = sorted(CHAIN, key=lambda r: r.started_at)
    assert [embedded_rows[r.key]["earlier"] for r in ordered] == [None, ordered[0].key, ordered[1].key]


def test_status_names_each_odd_recording_with_its_reason(demo):
    document = callwise_json("status", environment=demo.environment)
    assert document["skipped"] == {"no_speech": 1, "voicemail": 1}
    assert document["failed"] == {"not_audio": 1}
    assert document["unread_names"] == 1
    assert document["received"] == document["transcribed"] == document["understood"] == 0


def test_the_reasons_that_were_found_are_mostly_the_true_ones(embedded_rows):
    judged = [r for r in RECORDINGS if r.reason_code and not r.is_truncated]
    right = [r for r in judged if embedded_rows[r.key]["analysis"]["reason_code"] == r.reason_code]
    assert len(right) >= 0.75 * len(judged), [(r.name, embedded_rows[r.key]["analysis"]["reason_code"]) for r in judged]


@pytest.mark.timeout(1000)
def test_production_parts_give_the_same_final_rows(embedded_rows, postgres_url, rabbitmq_url, aws, tmp_path):
    """Each event arrives twice: from SQS, as the store sent it, and over AMQP, as a store with RabbitMQ would."""
    bucket, queue_url = aws.create_bucket(), aws.create_queue()
    sqs_arn = "arn:aws:sqs:us-east-1:123456789012:callwise-events"
    aws.client("s3").put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": sqs_arn, "Events": ["s3:ObjectCreated:*"]}]},
    )
    keys = {"access_key": aws.access_key, "secret_key": aws.secret_key}
    asked = environment(
        tmp_path / "home",
        CALLWISE_DATABASE__URL=postgres_url,
        CALLWISE_BROKER__URL=rabbitmq_url,
        CALLWISE_OBJECTS__KIND="s3",
        CALLWISE_OBJECTS__BUCKET=bucket,
        CALLWISE_OBJECTS__ENDPOINT_URL=aws.endpoint_url,
        CALLWISE_OBJECTS__ACCESS_KEY=aws.access_key,
        CALLWISE_OBJECTS__SECRET_KEY=aws.secret_key,
        CALLWISE_EVENTS=json.dumps(
            [
                {"kind": "sqs", "url": aws.endpoint_url, "queue": queue_url} | keys,
                {"kind": "amqp", "url": rabbitmq_url, "queue": "store-events", "exchange": "store"},
            ]
        ),
        CALLWISE_LANGUAGE__ENGINE="offline",
        CALLWISE_WORK__SWEEP_S="1",
    )
    callwise("db", "upgrade", environment=asked)
    with Connection(rabbitmq_url) as broker:
        STORE_EXCHANGE(broker.default_channel).declare()
    database = Database(postgres_url)
    with ExitStack() as processes:
        for name, arguments in {
            "listen": ("listen",),
            "speech": ("worker", "--queue", "speech", "--concurrency", "2"),
            "language": ("worker", "--queue", "language", "--concurrency", "2"),
            "beat": ("beat",),
        }.items():
            processes.enter_context(running(*arguments, environment=asked, log=tmp_path / f"{name}.log"))
        push_all(aws, bucket, rabbitmq_url)

        def all_ended():
            with database.read() as connection:
                calls = ended_count(connection)
                return calls == len(SENT) and waiting.unfinished_count(connection) == 0

        wait_until(all_ended, what="every recording has ended", deadline_s=GIVE_UP_S, poll_s=0.5)
    rows = final_rows(database)
    database.dispose()
    assert rows.keys() == {recording.key for recording in SENT}
    for key, row in rows.items():
        for part, value in row.items():
            assert value == embedded_rows[key][part], f"{key}: {part}"


def ended_count(connection):
    document = status(connection, datetime.now(UTC))
    return document["done"] + sum(document["skipped"].values()) + sum(document["failed"].values())


def push_all(aws, bucket, rabbitmq_url):
    """Upload as telephony does, and announce each object over AMQP as well, in the form that MinIO sends."""
    s3 = aws.client("s3")
    with Connection(rabbitmq_url) as broker:
        producer = broker.Producer()
        for recording in SENT:
            if recording.sidecar is not None:
                sidecar = json.dumps(dict(recording.sidecar)).encode()
                s3.put_object(Bucket=bucket, Key=f"{recording.key.rpartition('.')[0]}.json", Body=sidecar)
            for _ in range(recording.upload_count):
                body = recording.path.read_bytes()
                put = s3.put_object(Bucket=bucket, Key=recording.key, Body=body, Metadata=dict(recording.metadata))
            event = {
                "EventName": "s3:ObjectCreated:Put",
                "Key": f"{bucket}/{recording.key}",
                "Records": [
                    {
                        "eventVersion": "2.0",
                        "eventSource": "minio:s3",
                        "eventName": "s3:ObjectCreated:Put",
                        "eventTime": "2026-11-18T10:00:00.000Z",
                        "s3": {
                            "bucket": {"name": bucket},
                            "object": {
                                "key": quote(recording.key, safe=""),
                                "size": len(body),
                                "eTag": put["ETag"].strip('"'),
                            },
                        },
                    }
                ],
            }
            producer.publish(event, exchange=STORE_EXCHANGE, routing_key="store", serializer="json")
