"""Questions to a language model that may wait for a batch, and where they are asked: `BatchedRequests` takes the answer
that a batch has brought, or leaves the question for the next one.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import httpx2
import openai

from calls.errors import InBatch, TransientError, UnusableAnswer
from calls.money import Charge
from calls.pipeline import Lane
from engines.language_requests import Answer, Messages, Requests, fixed_body
from engines.openai_client import translated_errors

# The server gives a batch up after a day; nobody waits for one that it has forgotten.
PATIENCE_S = 26 * 3600.0

# In place of the deployment that answered, so that an answer is not paid for twice.
KEPT = "a kept answer"


@dataclass(frozen=True)
class Failure:
    """An error that a batch brought in place of an answer, in the server's words: HTTP status, code, parameter."""

    status: int
    code: str | None = None
    param: str | None = None

    @property
    def error(self) -> UnusableAnswer | None:
        """What the same error would be for a question that is asked directly, None where asking again may help."""
        response = httpx2.Response(self.status, request=httpx2.Request("POST", "https://batch/v1/responses"))
        body = {"code": self.code, "param": self.param}
        try:
            with translated_errors("language"):
                raise openai.APIStatusError("in a batch", response=response, body=body)
        except UnusableAnswer as error:
            return error
        except (TransientError, openai.APIStatusError):
            return None


@dataclass(frozen=True)
class Question:
    """What a batch is to ask. `body` is the JSON of what all such questions share, `key` says what it is about."""

    key: str
    deployment: str
    body: str
    messages: Messages
    max_output_tokens: int


@dataclass(frozen=True)
class KeptQuestion:
    """What became of a question: its answer, if it has one, and whether a batch holds it, or none ever will again."""

    answer: Answer | Failure | None = None
    is_sent: bool = False
    is_given_up: bool = False


class Questions(Protocol):
    """Where one call's questions wait for a batch, and their answers for whoever asked."""

    def find(self, key: str) -> KeptQuestion | None:
        """The question of that key; None where it was never put."""

    def put(self, question: Question) -> None:
        """Leave a question for the next batch; one that is there already stays as it is."""


class BatchedRequests:
    """`requests` for one analysis of one call, whose questions may wait.

    Questions are known by their place in the analysis: asked a second time, an analysis asks the same ones, but for
    examples in the prompt, which may have changed meanwhile. With `defers` False nothing new waits: what was sent is
    taken, the rest is asked directly.
    """

    def __init__(
        self, requests: Requests, questions: Questions, *, deployment: str, model: str, defers: bool = True
    ) -> None:
        self.name = requests.name
        self._requests = requests
        self._questions = questions
        self._deployment = deployment
        self._model = model
        self._defers = defers
        self._place = 0

    def check(self) -> None:
        """See Requests."""
        self._requests.check()

    def ask(
        self,
        system: str,
        messages: Messages,
        schema: dict[str, Any],
        max_output_tokens: int,
        *,
        lane: Lane = Lane.LIVE,
        kind: str = "",
    ) -> Answer:
        """See Requests. Raises InBatch where the answer is still to come."""
        key = f"{self._deployment}/{self._place}"
        self._place += 1
        kept = self._questions.find(key)
        if kept is None and self._defers:
            body = json.dumps(fixed_body(self._model, system, schema), ensure_ascii=False)
            self._questions.put(Question(key, self._deployment, body, messages, max_output_tokens))
            kept = KeptQuestion()
        if kept is None or kept.is_given_up or (kept.answer is None and not kept.is_sent and not self._defers):
            return self._requests.ask(system, messages, schema, max_output_tokens, lane=lane, kind=kind)
        if kept.answer is None:
            raise InBatch("the answer comes with a batch", retry_after_s=PATIENCE_S)
        if isinstance(kept.answer, Answer):
            return kept.answer
        # Only what no repetition helps against is kept as a failure.
        raise kept.answer.error or TransientError("the batch brought an error", code="server_error")

    def charge(self, answer: Answer) -> Charge:
        """See Requests. An answer of a batch stands in the ledger since it came."""
        if answer.deployment == KEPT:
            return Charge("", self._model, "analysis", request_id=answer.request_id, is_batch=True, is_booked=True)
        return self._requests.charge(answer)


def write_kept(answer: Answer | Failure) -> str:
    """The answer as JSON."""
    document = asdict(answer)
    document.pop("told", None)
    return json.dumps(document, ensure_ascii=False)


def read_kept(text: str) -> Answer | Failure:
    """What `write_kept` wrote."""
    document = json.loads(text)
    return Failure(**document) if "status" in document else Answer(**document)
