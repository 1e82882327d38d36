"""The batches of OpenAI and Azure OpenAI: half the price, answers within a day (see engines.batched_requests)."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Literal

import openai
from openai.types import Batch
from openai.types.responses import Response

from calls.errors import TransientError
from calls.money import Charge
from calls.prices import Price, PriceHistory, cost_microusd, price_on
from engines.batched_requests import KEPT, Failure
from engines.language_requests import Answer, read_response, variable_body
from engines.openai_client import ModelServer, Provider, plain_code, translated_errors

ENDPOINT: Literal["/v1/responses"] = "/v1/responses"
WINDOW: Literal["24h"] = "24h"
# The metadata of a batch that says which of ours it is, so that it is found again by who does not know its id.
MARK = "callwise_batch"
# What a server keeps of a batch goes by itself should Callwise not come to remove it.
KEPT_AT_SERVER_S = 7 * 24 * 3600
UNFINISHED = frozenset({"validating", "in_progress", "finalizing", "cancelling"})


@dataclass(frozen=True)
class RemoteBatch:
    """A batch as its server tells of it; `codes` are those of the errors for which it was refused as a whole."""

    id: str
    status: str
    output_file_id: str | None
    error_file_id: str | None
    codes: tuple[str, ...]

    @property
    def is_finished(self) -> bool:
        """Whether nothing more comes of it."""
        return self.status not in UNFINISHED


class BatchGone(TransientError):
    """A batch that was created is not there any more, or not for this key."""

    code = "batch_gone"


class BatchApi:
    """The batches of one deployment. Every method raises what `translated_errors` raises."""

    def __init__(
        self,
        provider: Provider,
        *,
        model: str,
        api_key: str | Callable[[], str] = "",
        base_url: str = "",
        api_version: str = "",
        price: PriceHistory | Price | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        self.name = f"{provider}/{model}"
        self.model = model
        self._price = price
        self._server = ModelServer(provider, model, api_key, base_url, api_version, timeout_s)

    @cached_property
    def _client(self) -> openai.OpenAI:
        client = self._server.client
        # The one of questions takes nothing but JSON; a batch's results are lines of it.
        return client.with_options(http_client=openai.DefaultHttpxClient(timeout=client.timeout))

    def upload(self, lines: bytes, name: str) -> str:
        """Send the file of a batch, and return its id."""
        expires: Any = {"anchor": "created_at", "seconds": KEPT_AT_SERVER_S}
        with translated_errors("language"):
            sent = self._client.files.create(
                file=(name, lines, "application/jsonl"),
                purpose="batch",
                **({"expires_after": expires} if self._server.provider == "openai" else {}),
            )
        return sent.id

    def find_upload(self, name: str) -> str | None:
        """The id of a file that was sent before under that name."""
        with translated_errors("language"):
            for file in self._client.files.list(purpose="batch", order="desc"):
                if file.filename == name:
                    return file.id
        return None

    def create(self, input_file_id: str, mark: str) -> RemoteBatch:
        """Let the server begin on the file's questions."""
        with translated_errors("language"):
            made = self._client.batches.create(
                input_file_id=input_file_id, endpoint=ENDPOINT, completion_window=WINDOW, metadata={MARK: mark}
            )
        return _remote(made)

    def find(self, mark: str, *, since: datetime) -> RemoteBatch | None:
        """The batch that was created with that mark, if it was; it is looked for among those since then."""
        with translated_errors("language"):
            for found in self._client.batches.list(limit=100):
                if (found.metadata or {}).get(MARK) == mark:
                    return _remote(found)
                if found.created_at < since.timestamp():
                    return None
        return None

    def look(self, remote_id: str) -> RemoteBatch:
        """How it stands with a batch. Raises BatchGone where the server knows none of that id."""
        with translated_errors("language"):
            try:
                return _remote(self._client.batches.retrieve(remote_id))
            except openai.NotFoundError as error:
                raise BatchGone("the server knows no such batch: is the key that of another project?") from error

    def results(self, file_id: str) -> Iterator[tuple[str, Answer | Failure]]:
        """What a file of results holds, as (custom_id, what came): nothing where the server has removed it.

        Lines that nobody can read are left out.
        """
        with translated_errors("language"):
            try:
                with self._client.files.with_streaming_response.content(file_id) as response:
                    yield from filter(None, map(_result, response.iter_lines()))
            except openai.NotFoundError:
                return

    def remove(self, file_id: str) -> None:
        """Remove a file at the server; one that is gone already is well, too."""
        with translated_errors("language"), suppress(openai.NotFoundError):
            self._client.files.delete(file_id)

    def charge(self, answer: Answer) -> Charge:
        """What an answer costs, as a row of the ledger."""
        return Charge(
            provider=self._server.provider,
            model=self.model,
            purpose="analysis",
            request_id=answer.request_id,
            input_tokens=answer.input_tokens,
            cached_tokens=answer.cached_tokens,
            output_tokens=answer.output_tokens,
            cost_microusd=self.cost_microusd(
                input_tokens=answer.input_tokens,
                cached_tokens=answer.cached_tokens,
                output_tokens=answer.output_tokens,
            ),
            is_batch=True,
        )

    def cost_microusd(self, *, input_tokens: int, cached_tokens: int = 0, output_tokens: int) -> int | None:
        """What so many tokens cost in a batch today; None where no price is known."""
        price = price_on(self._price, datetime.now(UTC).date())
        tokens = {"input_tokens": input_tokens, "cached_tokens": cached_tokens, "output_tokens": output_tokens}
        return cost_microusd(price, **tokens, is_batch=True)


def batch_line(custom_id: str, body: str, messages: str, max_output_tokens: int) -> bytes:
    """One line of a batch's file; `body` and `messages` are JSON."""
    asked = json.loads(body) | variable_body(json.loads(messages), max_output_tokens)
    line = {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": asked}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def _remote(batch: Batch) -> RemoteBatch:
    errors = batch.errors.data if batch.errors and batch.errors.data else []
    return RemoteBatch(
        id=batch.id,
        status=batch.status,
        output_file_id=batch.output_file_id or None,
        error_file_id=batch.error_file_id or None,
        codes=tuple(plain_code(error.code) or "unknown" for error in errors),
    )


def _result(line: str) -> tuple[str, Answer | Failure] | None:
    """One line of results. Source: OpenAI, "Batch API", the request output object."""
    try:
        document = json.loads(line)
        custom_id = str(document["custom_id"])
    except (ValueError, KeyError, TypeError):
        return None
    response: Mapping[str, Any] = document.get("response") or {}
    body = response.get("body")
    status = int(response.get("status_code") or 0)
    if status != 200 or not isinstance(body, dict):
        error = (body.get("error") if isinstance(body, dict) else None) or document.get("error") or {}
        return custom_id, Failure(status, plain_code(error.get("code")) or None, error.get("param"))
    try:
        answer = read_response(Response.construct(**body), request_id=str(response.get("request_id") or ""))
    except (TransientError, AttributeError, TypeError):
        return custom_id, Failure(0, "invalid_response")
    return custom_id, Answer(**(asdict(answer) | {"deployment": KEPT, "told": answer.told}))
