"""Laws of the SQS listener, over a server of S3 and SQS: what the store announces by itself becomes calls."""

import json
from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import pytest
from structlog.testing import capture_logs

from calls.errors import EngineMisconfigured, TransientError
from calls.recording import StoredObject
from engines.objects import ObjectStore
from engines.objects_memory import MemoryStore
from engines.objects_s3 import S3Store
from ingest.listen_sqs import SqsListener
from tests.integration.listening import EVENTS, keys, make_intake, running, s3_event, unreadable
from tests.servers.aws import Aws
from tests.servers.process import wait_until
from tests.servers.sqs_proxy import SqsProxy, sqs_proxy

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


@pytest.fixture
def proxy(aws: Aws) -> Iterator[SqsProxy]:
    """The way to the queue on which requests are counted."""
    with sqs_proxy(aws.endpoint_url) as running_proxy:
        yield running_proxy


class Killed(BaseException):
    """The listener's process ends here."""


class FrailStore(MemoryStore):
    """A store in memory that a test can take away, slow down, or let end the process."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.kills = False
        self.asked = Event()
        self.may_answer = Event()
        self.may_answer.set()

    def head(self, key: str, version_id: str = "") -> StoredObject:
        """As the store does, when it does."""
        self.asked.set()
        assert self.may_answer.wait(60)
        if self.kills:
            raise Killed
        if self.is_away:
            raise TransientError("the store is away", code="store_unreachable")
        return super().head(key, version_id)


@pytest.fixture
def frail() -> FrailStore:
    """A store with one recording."""
    store = FrailStore()
    store.put("a.wav", b"sound")
    return store


def make_listener(
    database: Any, store: ObjectStore, aws: Aws, queue: str = QUEUE, endpoint_url: str = "", hold_s: float = 60
) -> SqsListener:
    return SqsListener(
        make_intake(database, store),
        queue=queue,
        hold_s=hold_s,
        endpoint_url=endpoint_url or aws.endpoint_url,
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


def redrive(aws: Aws, receives: int, **attributes: str) -> None:
    """The queue, with a dead-letter queue for what was given out so many times."""
    aws.create_queue("dead")
    policy = {"deadLetterTargetArn": f"arn:aws:sqs:{aws.region}:123456789012:dead", "maxReceiveCount": receives}
    aws.create_queue(QUEUE, RedrivePolicy=json.dumps(policy), **attributes)


def receive(aws: Aws, queue: str = QUEUE, wait_s: int = 0) -> list[dict[str, Any]]:
    """What another listener would get now."""
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    answer = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=wait_s, MaxNumberOfMessages=10)
    return list(answer.get("Messages", []))


def left(aws: Aws, queue: str = QUEUE) -> int:
    sqs = aws.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
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


def test_a_message_costs_a_fifth_of_a_request(database, aws: Aws, proxy: SqsProxy):
    store = MemoryStore()
    aws.create_queue(QUEUE)
    names = [f"{number:03}.wav" for number in range(100)]
    for name in names:
        store.put(name, name.encode())
    send(aws, *[s3_event(name) for name in names])
    assert make_listener(database, store, aws, endpoint_url=proxy.endpoint_url).drain() == 100
    assert keys(database) == names
    assert left(aws) == 0
    assert proxy.counts["ReceiveMessage"] >= 10
    assert sum(proxy.counts.values()) <= 25, proxy.counts
    assert proxy.counts["ChangeMessageVisibilityBatch"] == 0


def test_a_batch_that_takes_long_is_kept_from_others(database, aws: Aws, proxy: SqsProxy, frail: FrailStore):
    redrive(aws, receives=1, VisibilityTimeout="2")
    send(aws, s3_event("a.wav"))
    frail.may_answer.clear()
    with running(make_listener(database, frail, aws, endpoint_url=proxy.endpoint_url)):
        # Four thirds of the time-out: without a heartbeat the message would have been given out again.
        wait_until(lambda: proxy.counts["ChangeMessageVisibilityBatch"] >= 4, what="four heartbeats")
        assert receive(aws) == []
        frail.may_answer.set()
        wait_until(lambda: left(aws) == 0, what="an empty queue")
    assert keys(database) == ["a.wav"]
    assert left(aws, "dead") == 0


def test_an_outage_of_the_store_does_not_use_up_the_redrive_policy(
    database, aws: Aws, proxy: SqsProxy, frail: FrailStore
):
    redrive(aws, receives=1, VisibilityTimeout="2")
    send(aws, s3_event("a.wav"), "no json")
    frail.is_away = True
    with running(make_listener(database, frail, aws, endpoint_url=proxy.endpoint_url)):
        wait_until(lambda: proxy.counts["ChangeMessageVisibilityBatch"] >= 4, what="four heartbeats")
        frail.is_away = False
        wait_until(lambda: left(aws) == 0, what="an empty queue")
    assert keys(database) == ["a.wav"]
    assert unreadable(database) == ["not_json"]
    assert left(aws, "dead") == 0


def test_an_outage_longer_than_the_hold_leaves_the_batch_to_the_queue(
    database, aws: Aws, proxy: SqsProxy, frail: FrailStore
):
    redrive(aws, receives=1, VisibilityTimeout="1")
    send(aws, s3_event("a.wav"))
    frail.is_away = True
    with running(make_listener(database, frail, aws, endpoint_url=proxy.endpoint_url, hold_s=0)):
        wait_until(lambda: receive(aws) == [] and left(aws, "dead") == 1, what="the message among the dead ones")
    assert proxy.counts["DeleteMessageBatch"] == 0


def test_at_the_end_a_batch_is_given_back_at_once(database, aws: Aws, frail: FrailStore):
    aws.create_queue(QUEUE, VisibilityTimeout="3600")
    send(aws, s3_event("a.wav"))
    frail.is_away = True
    with running(make_listener(database, frail, aws)):
        assert frail.asked.wait(30)
    assert [message["Body"] for message in receive(aws, wait_s=1)] == [s3_event("a.wav")]


def test_a_message_that_ends_the_listener_again_and_again_goes_to_the_dead_letter_queue(
    database, aws: Aws, frail: FrailStore
):
    redrive(aws, receives=2, VisibilityTimeout="1")
    send(aws, s3_event("a.wav"))
    frail.kills = True
    deaths = 0

    def is_dead() -> bool:
        nonlocal deaths
        try:
            make_listener(database, frail, aws).drain()
        except Killed:
            deaths += 1
        return left(aws, "dead") == 1

    wait_until(is_dead, what="the message among the dead ones")
    assert deaths == 2
    assert left(aws) == 0
    frail.kills = False
    assert make_listener(database, frail, aws, queue="dead").drain() == 1


def test_what_the_queue_did_not_delete_is_deleted_at_the_second_attempt(
    database, aws: Aws, proxy: SqsProxy, frail: FrailStore
):
    aws.create_queue(QUEUE)
    send(aws, s3_event("a.wav"), s3_event("a.wav"))
    proxy.spoil_receipts("DeleteMessageBatch", times=1)
    listener = make_listener(database, frail, aws, endpoint_url=proxy.endpoint_url)
    assert listener.drain() == 1
    assert left(aws) == 0
    assert proxy.counts["DeleteMessageBatch"] == 2


def test_what_the_queue_refuses_to_delete_twice_is_told_and_comes_again(
    database, aws: Aws, proxy: SqsProxy, frail: FrailStore
):
    aws.create_queue(QUEUE)
    send(aws, s3_event("a.wav"))
    proxy.spoil_receipts("DeleteMessageBatch", times=2)
    with capture_logs() as logs:
        assert make_listener(database, frail, aws, endpoint_url=proxy.endpoint_url).drain() == 1
    assert [line["message_count"] for line in logs if line["event"] == "messages_not_deleted"] == [1]
    assert left(aws) == 1


def test_two_listeners_of_one_queue_share_its_messages(any_database, aws: Aws):
    store = MemoryStore()
    aws.create_queue(QUEUE)
    names = [f"{number:02}.wav" for number in range(40)]
    for name in names:
        store.put(name, name.encode())
    send(aws, *[s3_event(name) for name in names])
    counts: list[int] = []
    threads = [Thread(target=lambda: counts.append(make_listener(any_database, store, aws).drain())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(counts) == 40
    assert keys(any_database) == names
    assert left(aws) == 0
