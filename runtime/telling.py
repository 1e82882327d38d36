"""Telling a signed webhook what stands in a table of messages: each once, or again under the same id."""

from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa
import structlog

from calls.errors import CallwiseError
from crm import outgoing
from crm.database import Database
from engines.webhook import Webhook
from runtime.settings_outgoing import ReceiverSettings

log = structlog.get_logger()


class Telling:
    """The messages of one table and their receiver; a message's id is `prefix` and its key."""

    def __init__(
        self,
        database: Database,
        table: sa.Table,
        receiver: ReceiverSettings,
        *,
        kind: str,
        prefix: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._table = table
        self._receiver = receiver
        self._kind = kind
        self._prefix = prefix
        self._clock = clock

    def send_due(self) -> int:
        """Send what is due; returns how many messages the receiver took."""
        count = 0
        while True:
            with self._database.write() as connection:
                message = outgoing.take(connection, self._table, now=self._clock())
            if message is None:
                return count
            count += self._send(message)

    def _send(self, message: outgoing.Message) -> int:
        try:
            webhook = Webhook(
                self._receiver.url,
                self._receiver.secret.get_secret_value(),
                allow_private=self._receiver.allow_private,
                clock=self._clock,
            )
            webhook.tell(self._kind, ".".join((self._prefix, *message.key)), dict(message.document))
        except CallwiseError as error:
            with self._database.write() as connection:
                again = outgoing.failed(connection, self._table, message, error.code, now=self._clock())
            log.warning(f"{self._prefix}_not_taken", key=message.key, code=error.code, again=again)
            return 0
        # A worker that dies here has it sent again, under the same id: its receiver knows it.
        with self._database.write() as connection:
            outgoing.sent(connection, self._table, message, now=self._clock())
        return 1
