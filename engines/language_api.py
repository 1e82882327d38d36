"""Analyses by API: one structured question a call, answered under a strict JSON schema."""

from collections.abc import Callable
from typing import Any

from calls.analysis import Analysis
from calls.answers import answer_schema, read_answer
from calls.errors import UnusableAnswer
from calls.money import Charge
from calls.pipeline import Lane
from calls.prompts import PROMPT_VERSION, Prompt, build_prompt, repair_prompt
from calls.reasons import Taxonomy
from engines.language import Conversation
from engines.language_requests import Answer, Messages, Requests

# What the first question about a call is called: how much room its answers need is learned under this name.
KIND = "analysis"


class ApiLanguage:
    """Analyses over `requests`.

    `max_output_tokens` bounds an answer, `summary_language` (ISO 639-1) is what summaries are written in, empty for the
    caller's own.
    """

    prompt_version = PROMPT_VERSION
    is_demo = False

    def __init__(self, requests: Requests, *, max_output_tokens: int = 1200, summary_language: str = "") -> None:
        self.name = requests.name
        self._requests = requests
        self._max_output_tokens = max_output_tokens
        self._summary_language = summary_language

    def check(self) -> None:
        """See LanguageEngine."""
        self._requests.check()

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
        messages: Messages = [{"role": "user", "content": prompt.user}]
        lane = conversation.lane
        answer = self._ask(prompt, messages, schema, self._max_output_tokens, pay, lane=lane, kind=KIND)
        if answer.ending == "truncated":
            answer = self._ask(prompt, messages, schema, 2 * self._max_output_tokens, pay, lane=lane)
        elif answer.ending == "whole":
            try:
                return read_answer(answer.text, taxonomy)
            except UnusableAnswer:
                retold = [{"role": "assistant", "content": answer.text}, {"role": "user", "content": repair_prompt()}]
                answer = self._ask(prompt, messages + retold, schema, self._max_output_tokens, pay, lane=lane)
        if answer.ending == "refused":
            raise UnusableAnswer("the model declined to analyse the call", code="refused")
        if answer.ending == "truncated":
            raise UnusableAnswer("the answer did not fit: raise CALLWISE_LANGUAGE__MAX_OUTPUT_TOKENS", code="truncated")
        return read_answer(answer.text, taxonomy)

    def _ask(
        self,
        prompt: Prompt,
        messages: Messages,
        schema: dict[str, Any],
        max_output_tokens: int,
        pay: Callable[[Charge], None],
        *,
        lane: Lane,
        kind: str = "",
    ) -> Answer:
        """One request, paid for as soon as its answer is there."""
        answer = self._requests.ask(prompt.system, messages, schema, max_output_tokens, lane=lane, kind=kind)
        pay(self._requests.charge(answer))
        return answer
