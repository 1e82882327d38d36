"""Analyses by API: OpenAI and Azure OpenAI over the Responses API, other servers over chat completions.

One structured request a call, answered under a strict JSON schema, with no tools and nothing stored at the vendor's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import openai

from calls.analysis import Analysis
from calls.answers import SCHEMA_NAME, answer_schema, read_answer
from calls.errors import TransientError, UnusableAnswer
from calls.money import Charge
from calls.prices import Price, cost_microusd
from calls.prompts import PROMPT_VERSION, Prompt, build_prompt, estimate_tokens, repair_prompt
from calls.reasons import Taxonomy
from engines.language import Conversation
from engines.openai_client import Provider, build_client, check_client, translated_errors

TIMEOUT_S = 120.0

_Ending = Literal["whole", "truncated", "refused"]
_Messages = list[dict[str, str]]


@dataclass(frozen=True)
class _Answer:
    """What came back: its text, how it ended, and what it used. Token counts are the server's where it gives any."""

    text: str
    ending: _Ending
    request_id: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int


class ApiLanguage:
    """Analyses over the openai SDK.

    `provider` is `openai`, `azure` (then `model` is the deployment's name) or `compatible` (any server that speaks chat
    completions with `json_schema`: vLLM, Ollama, llama.cpp, with its `base_url`). `max_output_tokens` bounds an answer,
    `summary_language` (ISO 639-1) is what summaries are written in, empty for the caller's own; `price` None means that
    the owner stated none.
    """

    prompt_version = PROMPT_VERSION
    is_demo = False

    def __init__(
        self,
        provider: Provider,
        *,
        model: str,
        api_key: str = "",
        base_url: str = "",
        api_version: str = "",
        max_output_tokens: int = 1200,
        summary_language: str = "",
        price: Price | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.name = f"{provider}/{model}"
        self._provider = provider
        self._model = model
        self._max_output_tokens = max_output_tokens
        self._summary_language = summary_language
        self._price = price
        self._timeout_s = timeout_s
        self._address = {"api_key": api_key, "base_url": base_url, "api_version": api_version}

    @cached_property
    def _client(self) -> openai.OpenAI:
        return build_client(self._provider, timeout_s=self._timeout_s, **self._address)

    def check(self) -> None:
        """See LanguageEngine."""
        check_client(self._client, self._provider, self._model, "language")

    def analyse(self, conversation: Conversation, taxonomy: Taxonomy, pay: Callable[[Charge], None]) -> Analysis:
        """See LanguageEngine.

        An answer that was cut off is asked for once more with twice the room, one that cannot be read once more with
        that said; a refusal stands. Raises UnusableAnswer (`refused`, `truncated`, `invalid_answer`).
        """
        prompt = build_prompt(
            conversation.turns,
            taxonomy,
            direction=conversation.direction,
            started_at=conversation.started_at,
            language=conversation.language,
            summary_language=self._summary_language,
        )
        schema = answer_schema(taxonomy)
        messages: _Messages = [{"role": "user", "content": prompt.user}]
        answer = self._ask(prompt, messages, schema, self._max_output_tokens, pay)
        if answer.ending == "truncated":
            answer = self._ask(prompt, messages, schema, 2 * self._max_output_tokens, pay)
        elif answer.ending == "whole":
            try:
                return read_answer(answer.text, taxonomy)
            except UnusableAnswer:
                retold = [{"role": "assistant", "content": answer.text}, {"role": "user", "content": repair_prompt()}]
                answer = self._ask(prompt, messages + retold, schema, self._max_output_tokens, pay)
        if answer.ending == "refused":
            raise UnusableAnswer("the model declined to analyse the call", code="refused")
        if answer.ending == "truncated":
            raise UnusableAnswer("the answer did not fit: raise CALLWISE_LANGUAGE__MAX_OUTPUT_TOKENS", code="truncated")
        return read_answer(answer.text, taxonomy)

    def _ask(
        self,
        prompt: Prompt,
        messages: _Messages,
        schema: dict[str, Any],
        max_output_tokens: int,
        pay: Callable[[Charge], None],
    ) -> _Answer:
        """One request, paid for as soon as its answer is there."""
        ask = self._ask_chat if self._provider == "compatible" else self._ask_responses
        answer = ask(prompt.system, messages, schema, max_output_tokens)
        pay(self._charge(answer))
        return answer

    def _ask_responses(
        self, system: str, messages: _Messages, schema: dict[str, Any], max_output_tokens: int
    ) -> _Answer:
        input_items: Any = messages
        with translated_errors("language"):
            response = self._client.responses.create(
                model=self._model,
                instructions=system,
                input=input_items,
                text={"format": {"type": "json_schema", "name": SCHEMA_NAME, "schema": schema, "strict": True}},
                max_output_tokens=max_output_tokens,
                store=False,
            )
        # The SDK does not check shapes: a proxy's page or an empty object gets this far.
        if not isinstance(getattr(response, "output", None), list):
            raise TransientError("the server's answer has no output", code="invalid_response")
        if response.status == "failed":
            code = response.error.code if response.error else "unknown"
            raise TransientError(f"the server gave the answer up ({code})", code="server_error")
        text = response.output_text
        parts = [part for item in response.output if item.type == "message" for part in item.content]
        ending: _Ending = "whole"
        if any(part.type == "refusal" for part in parts):
            ending = "refused"
        elif response.status == "incomplete":
            reason = response.incomplete_details.reason if response.incomplete_details else None
            ending = "refused" if reason == "content_filter" else "truncated"
        usage = response.usage
        return _Answer(
            text=text,
            ending=ending,
            request_id=str(response._request_id or ""),
            input_tokens=usage.input_tokens if usage else _estimate(system, messages),
            cached_tokens=usage.input_tokens_details.cached_tokens if usage else 0,
            output_tokens=usage.output_tokens if usage else estimate_tokens(text),
        )

    def _ask_chat(self, system: str, messages: _Messages, schema: dict[str, Any], max_output_tokens: int) -> _Answer:
        told: Any = [{"role": "system", "content": system}, *messages]
        with translated_errors("language"):
            completion = self._client.chat.completions.create(
                model=self._model,
                messages=told,
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": SCHEMA_NAME, "schema": schema, "strict": True},
                },
                # Not `max_completion_tokens`: many compatible servers know the older name only.
                max_tokens=max_output_tokens,
            )
        if not getattr(completion, "choices", None):
            raise TransientError("the server's answer has no choice", code="invalid_response")
        choice = completion.choices[0]
        text = _json_part(choice.message.content or "")
        ending: _Ending = "whole"
        if choice.message.refusal or choice.finish_reason == "content_filter":
            ending = "refused"
        elif choice.finish_reason == "length":
            ending = "truncated"
        usage = completion.usage
        details = usage.prompt_tokens_details if usage else None
        return _Answer(
            text=text,
            ending=ending,
            request_id=str(completion._request_id or ""),
            input_tokens=usage.prompt_tokens if usage else _estimate(system, messages),
            cached_tokens=(details.cached_tokens or 0) if details else 0,
            output_tokens=usage.completion_tokens if usage else estimate_tokens(text),
        )

    def _charge(self, answer: _Answer) -> Charge:
        return Charge(
            provider=self._provider,
            model=self._model,
            purpose="analysis",
            request_id=answer.request_id,
            input_tokens=answer.input_tokens,
            cached_tokens=answer.cached_tokens,
            output_tokens=answer.output_tokens,
            cost_microusd=cost_microusd(
                self._price,
                input_tokens=answer.input_tokens,
                cached_tokens=answer.cached_tokens,
                output_tokens=answer.output_tokens,
            ),
        )


def _estimate(system: str, messages: Sequence[dict[str, str]]) -> int:
    return estimate_tokens(system + "".join(message["content"] for message in messages))


def _json_part(text: str) -> str:
    """The text without what open models like to put around a document: a code fence, their thoughts before it."""
    start, end = text.rfind("</think>"), text.rfind("}")
    opening = text.find("{", max(0, start))
    return text[opening : end + 1] if 0 <= opening < end else text
