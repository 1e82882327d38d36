"""One question to a language model by API: what is sent, what came back, and what it cost.

OpenAI and Azure OpenAI over the Responses API, other servers over chat completions; answered under a strict JSON
schema, with no tools and nothing stored at the vendor's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from openai.types.responses import Response

from calls.answers import SCHEMA_NAME
from calls.errors import TransientError
from calls.meter import Told
from calls.money import Charge
from calls.pipeline import Lane
from calls.prices import Price, PriceHistory, cost_microusd, price_on
from calls.prompts import estimate_tokens
from engines.openai_client import ModelServer, Provider, told_by, translated_errors

TIMEOUT_S = 120.0

Ending = Literal["whole", "truncated", "refused"]
Messages = list[dict[str, str]]


@dataclass(frozen=True)
class Answer:
    """What came back: its text, how it ended, and what it used. Token counts are the server's where it gives any.

    `deployment` names which of several answered; `told` is what the server said of its limits.
    """

    text: str
    ending: Ending
    request_id: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    deployment: str = ""
    told: Told = field(default_factory=Told)


class Requests(Protocol):
    """Where questions to a model go: one deployment, or several behind one face.

    `name` ("provider/model") is stored beside what is made of the answers.
    """

    name: str

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
        """One request.

        Where `kind` names what is asked, the answer may get less room than `max_output_tokens`: as much as answers of
        that kind have needed. One that is cut off (`truncated`) is to be asked for again without a kind, as is whatever
        follows a question that was paid for: that is not sent away lightly. A question of the live lane goes before
        those of the other. Raises what `translated_errors` raises, and Paced.
        """

    def charge(self, answer: Answer) -> Charge:
        """What the answer costs, as a row of the ledger."""

    def check(self) -> None:
        """Whether the server answers, takes the key and knows the model; see LanguageEngine.check."""


class LanguageRequests:
    """Requests to one deployment.

    `provider` is `openai`, `azure` (then `model` is the deployment's name, and `api_key` may be what gives an Entra
    token) or `compatible` (any server that speaks chat completions with `json_schema`: vLLM, Ollama, llama.cpp, with
    its `base_url`). `price` None means that the owner stated none.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        model: str,
        api_key: str | Callable[[], str] = "",
        base_url: str = "",
        api_version: str = "",
        price: PriceHistory | Price | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.name = f"{provider}/{model}"
        self._price = price
        self._server = ModelServer(provider, model, api_key, base_url, api_version, timeout_s)

    def check(self) -> None:
        """Whether the server answers, takes the key and knows the model; see LanguageEngine.check."""
        self._server.check("language")

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
        """See Requests. Nothing is paced here."""
        ask = self._ask_chat if self._server.provider == "compatible" else self._ask_responses
        return ask(system, messages, schema, max_output_tokens)

    def _ask_responses(self, system: str, messages: Messages, schema: dict[str, Any], max_output_tokens: int) -> Answer:
        asked = fixed_body(self._server.model, system, schema) | variable_body(messages, max_output_tokens)
        with translated_errors("language"):
            raw = self._server.client.responses.with_raw_response.create(**asked)
            response = raw.parse()
        answer = read_response(response, request_id=str(getattr(response, "_request_id", "") or ""))
        if answer.input_tokens == 0:
            answer = replace(answer, input_tokens=_estimate(system, messages))
        return replace(answer, told=told_by(raw.headers))

    def _ask_chat(self, system: str, messages: Messages, schema: dict[str, Any], max_output_tokens: int) -> Answer:
        told: Any = [{"role": "system", "content": system}, *messages]
        with translated_errors("language"):
            raw = self._server.client.chat.completions.with_raw_response.create(
                model=self._server.model,
                messages=told,
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": SCHEMA_NAME, "schema": schema, "strict": True},
                },
                # Not `max_completion_tokens`: many compatible servers know the older name only.
                max_tokens=max_output_tokens,
            )
            completion = raw.parse()
        if not getattr(completion, "choices", None):
            raise TransientError("the server's answer has no choice", code="invalid_response")
        choice = completion.choices[0]
        text = _json_part(choice.message.content or "")
        ending: Ending = "whole"
        if choice.message.refusal or choice.finish_reason == "content_filter":
            ending = "refused"
        elif choice.finish_reason == "length":
            ending = "truncated"
        usage = completion.usage
        details = usage.prompt_tokens_details if usage else None
        return Answer(
            text=text,
            ending=ending,
            request_id=str(completion._request_id or ""),
            input_tokens=usage.prompt_tokens if usage else _estimate(system, messages),
            cached_tokens=(details.cached_tokens or 0) if details else 0,
            output_tokens=usage.completion_tokens if usage else estimate_tokens(text),
            told=told_by(raw.headers),
        )

    def charge(self, answer: Answer) -> Charge:
        """What the answer costs, as a row of the ledger."""
        return Charge(
            provider=self._server.provider,
            model=self._server.model,
            purpose="analysis",
            request_id=answer.request_id,
            input_tokens=answer.input_tokens,
            cached_tokens=answer.cached_tokens,
            output_tokens=answer.output_tokens,
            cost_microusd=cost_microusd(
                price_on(self._price, datetime.now(UTC).date()),
                input_tokens=answer.input_tokens,
                cached_tokens=answer.cached_tokens,
                output_tokens=answer.output_tokens,
            ),
        )


def fixed_body(model: str, system: str, schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a request to the Responses API that all questions of one kind share."""
    return {
        "model": model,
        "instructions": system,
        "text": {"format": {"type": "json_schema", "name": SCHEMA_NAME, "schema": schema, "strict": True}},
        "store": False,
    }


def variable_body(messages: Messages, max_output_tokens: int) -> dict[str, Any]:
    """The rest of it."""
    return {"input": messages, "max_output_tokens": max_output_tokens}


def read_response(response: Response, *, request_id: str) -> Answer:
    """What the Responses API said; `input_tokens` is 0 where it told no usage. Raises TransientError."""
    # The SDK does not check shapes: a proxy's page or an empty object gets this far.
    if not isinstance(getattr(response, "output", None), list):
        raise TransientError("the server's answer has no output", code="invalid_response")
    if response.status == "failed":
        code = response.error.code if response.error else "unknown"
        raise TransientError(f"the server gave the answer up ({code})", code="server_error")
    text = response.output_text
    parts = [part for item in response.output if item.type == "message" for part in item.content]
    ending: Ending = "whole"
    if any(part.type == "refusal" for part in parts):
        ending = "refused"
    elif response.status == "incomplete":
        reason = response.incomplete_details.reason if response.incomplete_details else None
        ending = "refused" if reason == "content_filter" else "truncated"
    usage = response.usage
    return Answer(
        text=text,
        ending=ending,
        request_id=request_id,
        input_tokens=usage.input_tokens if usage else 0,
        cached_tokens=usage.input_tokens_details.cached_tokens if usage else 0,
        output_tokens=usage.output_tokens if usage else estimate_tokens(text),
    )


def _estimate(system: str, messages: Sequence[dict[str, str]]) -> int:
    return estimate_tokens(system + "".join(message["content"] for message in messages))


def _json_part(text: str) -> str:
    """The text without what open models like to put around a document: a code fence, their thoughts before it."""
    start, end = text.rfind("</think>"), text.rfind("}")
    opening = text.find("{", max(0, start))
    return text[opening : end + 1] if 0 <= opening < end else text
