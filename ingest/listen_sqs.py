"""Events out of an SQS queue, by long poll: what S3, EventBridge and Connect send, directly or through SNS."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import Any

import structlog

from calls.errors import EngineMisconfigured, TransientError
from engines.aws import AwsClient, translated
from ingest.intake import Intake, take_messages

log = structlog.get_logger()

# SQS gives and deletes at most ten messages at a time.
BATCH = 10
# How long one look at the queue waits: an order to stop is heard within it.
LOOK_S = 5
# SQS's own default, where we may not read the queue's attributes.
VISIBILITY_S = 30
# How long a batch is kept while the store or the database is away; then the queue gives it out again, and counts.
HOLD_S = 15 * 60.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
_SETTINGS = "events[]."

Message = dict[str, Any]


class SqsListener:
    """Polls the queue (its URL or its name); a message is deleted when what it announced is durable.

    While a batch is in work, a heartbeat keeps it invisible to others, a third of the queue's visibility time-out after
    the last; a quick batch has none. A batch that cannot be taken because the store or the database is away is kept and
    tried again for `hold_s`, so that an outage does not use up the queue's redrive policy. A message that ends us is
    neither deleted nor given back: the queue counts it, and moves it to its dead-letter queue.
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
        hold_s: float = HOLD_S,
    ) -> None:
        self.name = f"sqs {queue.rsplit('/', 1)[-1]}"
        self._intake = intake
        self._queue = queue
        self._look_s = look_s
        self._hold_s = hold_s
        self._queue_url = queue if "://" in queue else ""
        self._visibility_s: int | None = None
        self._aws = AwsClient(
            "sqs", endpoint_url=endpoint_url, region=region, access_key=access_key, secret_key=secret_key
        )

    def run(self, stop: Event) -> None:
        """Poll until `stop` is set, through every loss of the queue, the store or the database."""
        log.info("listening", source=self.name)
        pause_s = FIRST_PAUSE_S
        while not stop.is_set():
            try:
                self._take(self._receive(self._look_s), stop)
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

    def _receive(self, wait_s: int) -> list[Message]:
        if self._visibility_s is None:
            self._visibility_s = self._read_visibility()
        with translated(_SETTINGS):
            answer = self._aws.get().receive_message(
                QueueUrl=self._queue_url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=wait_s
            )
        messages: list[Message] = answer.get("Messages", [])
        return messages

    def _read_visibility(self) -> int:
        """The queue's visibility time-out in seconds; finds the queue's URL on the way."""
        with translated(_SETTINGS):
            if not self._queue_url:
                self._queue_url = self._aws.get().get_queue_url(QueueName=self._queue)["QueueUrl"]
        try:
            with translated(_SETTINGS):
                answer = self._aws.get().get_queue_attributes(
                    QueueUrl=self._queue_url, AttributeNames=["VisibilityTimeout"]
                )
        except EngineMisconfigured:
            # Not allowed to look; a queue that is not there says so again when it is asked for messages.
            return VISIBILITY_S
        return int(answer.get("Attributes", {}).get("VisibilityTimeout", 0)) or VISIBILITY_S

    def _take(self, messages: list[Message], stop: Event | None = None) -> int:
        if not messages:
            return 0
        with self._held(messages):
            new_count = self._take_in(messages, stop)
        if new_count is None:
            self._give_back(messages)
            return 0
        self._delete(messages)
        return new_count

    def _take_in(self, messages: list[Message], stop: Event | None) -> int | None:
        """The number of new calls, after as many attempts as it takes; None when `stop` was set before they were made.

        Raises TransientError after `hold_s`, or at once where nobody could stop the waiting.
        """
        bodies = [message["Body"] for message in messages]
        ends_at = monotonic() + self._hold_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return take_messages(self._intake, self.name, bodies)
            except TransientError as error:
                if stop is None or monotonic() + pause_s > ends_at:
                    raise
                log.warning("batch_waits", source=self.name, code=error.code, detail=error.detail, pause_s=pause_s)
            if stop.wait(pause_s):
                return None
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    @contextmanager
    def _held(self, messages: list[Message]) -> Iterator[None]:
        """Keep the messages invisible to others meanwhile; nothing is sent any more when this has ended."""
        done = Event()
        thread = Thread(target=self._keep_invisible, args=(messages, done), name=f"{self.name} heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _keep_invisible(self, messages: list[Message], done: Event) -> None:
        visibility_s = self._visibility_s or VISIBILITY_S
        while not done.wait(visibility_s / 3):
            try:
                self._set_visibility(messages, visibility_s)
            except TransientError as error:
                log.warning("heartbeat_failed", source=self.name, code=error.code, detail=error.detail)

    def _give_back(self, messages: list[Message]) -> None:
        """Let others have the messages at once."""
        try:
            self._set_visibility(messages, 0)
        except TransientError as error:
            log.warning("messages_not_given_back", source=self.name, code=error.code, detail=error.detail)

    def _set_visibility(self, messages: list[Message], visibility_s: int) -> None:
        entries = [{**entry, "VisibilityTimeout": visibility_s} for entry in _entries(messages)]
        with translated(_SETTINGS):
            answer = self._aws.get().change_message_visibility_batch(QueueUrl=self._queue_url, Entries=entries)
        if failed := answer.get("Failed"):
            log.warning("visibility_not_changed", source=self.name, message_count=len(failed))

    def _delete(self, messages: list[Message]) -> None:
        """Delete them, with one more attempt for those that the queue kept."""
        entries = _entries(messages)
        for _ in range(2):
            with translated(_SETTINGS):
                answer = self._aws.get().delete_message_batch(QueueUrl=self._queue_url, Entries=entries)
            failed = {failure["Id"] for failure in answer.get("Failed", [])}
            entries = [entry for entry in entries if entry["Id"] in failed]
            if not entries:
                return
        # They come again and add nothing.
        log.warning("messages_not_deleted", source=self.name, message_count=len(entries))


def _entries(messages: list[Message]) -> list[dict[str, Any]]:
    return [{"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]} for place, message in enumerate(messages)]
