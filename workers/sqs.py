"""Kombu's SQS transport, but that a worker outlives a request that SQS does not answer."""

from typing import Any

from kombu.transport import SQS


class _Channel(SQS.Channel):
    def _on_messages_ready(self, queue: str, qname: str, messages: Any) -> Any:
        # What fails on the way comes as an empty list where kombu 5.7 expects a document, and would end the worker.
        return super()._on_messages_ready(queue, qname, messages or {})


class Transport(SQS.Transport):
    """See kombu."""

    Channel = _Channel
