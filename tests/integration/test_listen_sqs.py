"""Laws of the SQS listener, over a server of S3 and SQS: what the store announces by itself becomes calls."""

import json

import pytest

from calls.errors import EngineMisconfigured, TransientError
from engines.objects_s3 import S3Store
from ingest.listen_sqs import SqsListener
from tests.integration.listening import EVENTS, keys, make_intake, running, s3_event, unreadable
from tests.servers.aws import Aws
from tests.servers.process import wait_until

BUCKET, QUEUE = "recordings", "callwise-events"


@pytest.fixture
def store(aws: Aws) -> S3Store:
    """A bucket that announces its objects to the queue."""
    aws.create_bucket(BUCKET)
    aws.create_queue(QUEUE)
    target = {"QueueArn": f"arn:aws:sqs:{aws.region}:123456789012:{QUEUE}", "Events": ["s3:ObjectCreated:*"]}
    aws.client("s3").put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [target]}
    )
    return S3Store(
        BUCKET,
        endpoint_url=aws.endpoint_url,
        region=aws.region,
        access_key=aws.access_key,
        secret_key=aws.secret_key,
    )


def make_listener(database, store, aws: Aws, queue: str = QUEUE) -> SqsListener:
    return SqsListener(
        make_intake(database, store),
        queue=queue,
        endpoint_url=aws.endpoint_url,
        region=aws.region,
        access_key=aws.access_key,
        secret_key=aws.secret_key,
        look_s=1,
    )


def send(aws: Aws, *bodies: str) -> None:
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)


def left(aws: Aws) -> int:
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    return sum(int(n) for n in sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"].values())


def test_what_the_store_announces_becomes_calls(any_database, store, aws: Aws):
    names = ["a b+c%.wav", "connect/x_20260314T09:26_UTC.wav", *[f"{number}.wav" for number in range(12)]]
    with running(make_listener(any_database, store, aws)):
        for name in names:
            store.put(name, name.encode())
        wait_until(lambda: keys(any_database) == sorted(names), what="every call")
        wait_until(lambda: left(aws) == 0, what="an empty queue")


def test_duplicates_and_garbage_leave_the_queue_empty(database, store, aws: Aws):
    store.put("happy face+smile%.wav", b"sound")
    golden = [(EVENTS / f"{name}.json").read_text() for name in ("s3_put", "sns_in_sqs", "s3_test", "sns_subscription")]
    send(aws, *golden, "no json", json.dumps({"Records": "?"}), s3_event("happy face+smile%.wav"))
    assert make_listener(database, store, aws).drain() == 1
    assert keys(database) == ["happy face+smile%.wav"]
    assert unreadable(database) == ["not_json", "unknown_shape"]
    assert left(aws) == 0


def test_a_message_that_cannot_be_taken_stays_in_the_queue(database, store, aws: Aws):
    store.put("a.wav", b"sound")
    away = S3Store(BUCKET, endpoint_url="http://127.0.0.1:9", region=aws.region, access_key="t", secret_key="t")
    before = left(aws)
    with pytest.raises(TransientError, match="store_unreachable"):
        make_listener(database, away, aws).drain()
    assert left(aws) == before > 0


def test_a_queue_may_be_named_by_its_url(database, store, aws: Aws):
    store.put("a.wav", b"sound")
    url = aws.client("sqs").get_queue_url(QueueName=QUEUE)["QueueUrl"]
    assert make_listener(database, store, aws, queue=url).drain() == 1


def test_a_queue_that_is_not_there_is_a_wrong_setting(database, store, aws: Aws):
    with pytest.raises(EngineMisconfigured):
        make_listener(database, store, aws, queue="no-such-queue").drain()
