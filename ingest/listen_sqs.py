"""Storage events out of an SQS queue, by long poll: what S3 and EventBridge send, directly or through SNS."""

from threading import Event
from typing import Any

import structlog

from calls.errors import TransientError
from engines.aws import AwsClient, translated
from ingest.intake import Intake, take_messages

log = structlog.get_logger()

# SQS gives and deletes at most ten messages at a time.
BATCH = 10
# How long one look at the queue waits: an order to stop is heard within it.
LOOK_S = 5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
_SETTINGS = "events[]."


class SqsListener:
    """Polls the queue (its URL or its name); a message is deleted when what it announced is durable.

    What cannot be taken now is left to the queue's visibility time-out, and so to its redrive policy.
    """

    def __init__(
        self,
        intake: Intake,
        *,
        queue: str,
        endpoint_url: str,
        region: str,
        access_key: str,
        secret_key: str,
        look_s: int = LOOK_S,
    ) -> None:
        self.name = f"sqs {queue.rsplit('/', 1)[-1]}"
        self._intake = intake
        self._queue = queue
        self._look_s = look_s
        self._queue_url = queue if "://" in queue else ""
        self._aws = AwsClient(
            "sqs", endpoint_url=endpoint_url, region=region, access_key=access_key, secret_key=secret_key
        )

    def run(self, stop: Event) -> None:
        """Poll until `stop` is set, through every loss of the queue, the store or the database."""
        log.info("listening", source=self.name)
        pause_s = FIRST_PAUSE_S
        while not stop.is_set():
            try:
                self._take(self._receive(self._look_s))
                pause_s = FIRST_PAUSE_S
            except TransientError as error:
                log.warning("listener_waits", source=self.name, code=error.code, detail=error.detail, pause_s=pause_s)
                stop.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def drain(self) -> int:
        """Take what is in the queue now; returns the number of new calls. Raises TransientError."""
        new_count = 0
        # With no wait at all, SQS asks a sample of its servers only, and a queue that holds messages can look empty.
        while messages := self._receive(1):
            new_count += self._take(messages)
        return new_count

    def _receive(self, wait_s: int) -> list[dict[str, Any]]:
        with translated(_SETTINGS):
            client = self._aws.get()
            if not self._queue_url:
                self._queue_url = client.get_queue_url(QueueName=self._queue)["QueueUrl"]
            answer = client.receive_message(QueueUrl=self._queue_url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=wait_s)
        messages: list[dict[str, Any]] = answer.get("Messages", [])
        return messages

    def _take(self, messages: list[dict[str, Any]]) -> int:
        if not messages:
            return 0
        new_count = take_messages(self._intake, self.name, [message["Body"] for message in messages])
        entries = [
            {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]} for place, message in enumerate(messages)
        ]
        with translated(_SETTINGS):
            answer = self._aws.get().delete_message_batch(QueueUrl=self._queue_url, Entries=entries)
        failed = answer.get("Failed", [])
        if failed:
            # They come again and add nothing.
            log.warning("messages_not_deleted", source=self.name, message_count=len(failed))
        return new_count
