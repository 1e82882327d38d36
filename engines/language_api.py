"""Analyses by API: one structured question a call, answered under a strict JSON schema."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from calls.analysis import Analysis
from calls.answers import Schema, answer_schema, read_answer
from calls.checking import check_analysis
from calls.errors import UnusableAnswer
from calls.long_calls import found_document, group_found, split_turns
from calls.money import Charge
from calls.prompts import PROMPT_VERSION, Prompt, build_prompt, estimate_tokens, repair_prompt
from calls.reasons import Taxonomy
from calls.transcript import Turn
from engines.language import Conversation
from engines.language_requests import Answer, Messages, Requests

# What is asked, for those who learn how much room its answers need.
KIND = "analysis"
# Tokens are estimated, and some languages take more of them: so much of the window is left empty.
_SPARE_SHARE = 0.15
# A server whose window is smaller than the setting says is asked with half as much, so many times.
_MAX_HALVINGS = 3
_MIN_ROOM_TOKENS = 400
_DETAILS = {
    "refused": "the model declined to analyse the call",
    "truncated": "the answer did not fit: raise CALLWISE_LANGUAGE__MAX_OUTPUT_TOKENS",
    "too_long": "the call does not fit the model's window, nor do its parts: lower CALLWISE_LANGUAGE__CONTEXT_TOKENS",
}


class ApiLanguage:
    """Analyses over `requests`.

    `max_output_tokens` bounds an answer, `summary_language` (ISO 639-1) is what summaries are written in, empty for the
    caller's own. `context_tokens` is the model's window, question and answer together: a call that does not fit is
    asked about in parts, and then once more about what was found in them.
    """

    prompt_version = PROMPT_VERSION
    is_demo = False

    def __init__(
        self,
        requests: Requests,
        *,
        max_output_tokens: int = 1200,
        summary_language: str = "",
        context_tokens: int = 128_000,
    ) -> None:
        self.name = requests.name
        self._requests = requests
        self._max_output_tokens = max_output_tokens
        self._summary_language = summary_language
        self._context_tokens = context_tokens

    def check(self) -> None:
        """See LanguageEngine."""
        self._requests.check()

    def analyse(self, conversation: Conversation, taxonomy: Taxonomy, pay: Callable[[Charge], None]) -> Analysis:
        """See LanguageEngine.

        An answer that cannot be used is asked for once more: with twice the room where it was cut off, else with what
        was wrong with it. Raises UnusableAnswer (`refused`, `truncated`, `empty_answer`, `invalid_answer`, `too_long`);
        a reason outside the list is left to the check.
        """
        about = _About(conversation, taxonomy, answer_schema(taxonomy), pay)
        room = self._room(about)
        whole = self._prompt(about, conversation.turns)
        if estimate_tokens(whole.user) <= room:
            try:
                return self._answer(about, whole)
            except UnusableAnswer as error:
                if error.code != "too_long":
                    raise
                room = min(room, estimate_tokens(whole.user))
        for _ in range(_MAX_HALVINGS):
            if room < _MIN_ROOM_TOKENS:
                break
            try:
                return self._in_parts(about, room)
            except UnusableAnswer as error:
                if error.code != "too_long":
                    raise
                room //= 2
        raise UnusableAnswer(_DETAILS["too_long"], code="too_long")

    def _room(self, about: "_About") -> int:
        """Tokens of a question that are left for the call itself."""
        fixed = estimate_tokens(self._prompt(about, ()).system) + estimate_tokens(json.dumps(about.schema))
        return int((self._context_tokens - fixed - self._max_output_tokens) * (1 - _SPARE_SHARE))

    def _in_parts(self, about: "_About", room_tokens: int) -> Analysis:
        """Ask about each part, then about what was found in all of them, in as many rounds as that takes."""
        turns = about.conversation.turns
        parts = split_turns(turns, room_tokens)
        if len(parts) < 2:
            raise UnusableAnswer(_DETAILS["too_long"], code="too_long")
        found: list[Mapping[str, Any]] = []
        for number, part in enumerate(parts, start=1):
            prompt = self._prompt(about, part, part=(number, len(parts)))
            indices = {turn.index for turn in part}
            own = [turn for turn in turns if turn.index in indices]
            found.append(found_document(check_analysis(self._answer(about, prompt), own, about.taxonomy), own))
        while True:
            groups = group_found(found, room_tokens)
            if len(groups) == 1:
                return self._answer(about, self._prompt(about, (), found=found))
            found = [self._joined(about, group) if len(group) > 1 else group[0] for group in groups]

    def _joined(self, about: "_About", group: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        """What was found in neighbouring parts, as what was found in one."""
        turns = about.conversation.turns
        own = [turn for turn in turns if group[0]["first_turn"] <= turn.index <= group[-1]["last_turn"]]
        answer = self._answer(about, self._prompt(about, (), found=group))
        return found_document(check_analysis(answer, own, about.taxonomy), own)

    def _prompt(
        self,
        about: "_About",
        turns: Sequence[Turn],
        *,
        part: tuple[int, int] | None = None,
        found: Sequence[Mapping[str, Any]] = (),
    ) -> Prompt:
        return build_prompt(
            turns,
            about.taxonomy,
            direction=about.conversation.direction,
            started_at=about.conversation.started_at,
            language=about.conversation.language,
            summary_language=self._summary_language,
            part=part,
            found=found,
        )

    def _answer(self, about: "_About", prompt: Prompt) -> Analysis:
        """The analysis that the model gives, at the second attempt if need be."""
        messages: Messages = [{"role": "user", "content": prompt.user}]
        answer = self._ask(about, prompt, messages, self._max_output_tokens, kind=KIND)
        try:
            analysis = _read(answer, about.taxonomy)
            if analysis.reason_code in {None, *about.taxonomy.codes}:
                return analysis
            code = "label_outside_taxonomy"
        except UnusableAnswer as error:
            code = error.code
        if code == "truncated":
            answer = self._ask(about, prompt, messages, 2 * self._max_output_tokens)
        else:
            said = [{"role": "assistant", "content": answer.text}] if answer.text.strip() else []
            asked = [{"role": "user", "content": repair_prompt(code)}]
            answer = self._ask(about, prompt, [*messages, *said, *asked], self._max_output_tokens)
        return _read(answer, about.taxonomy)

    def _ask(
        self, about: "_About", prompt: Prompt, messages: Messages, max_output_tokens: int, *, kind: str = ""
    ) -> Answer:
        """One request, paid for as soon as its answer is there."""
        answer = self._requests.ask(
            prompt.system, messages, about.schema, max_output_tokens, lane=about.conversation.lane, kind=kind
        )
        about.pay(self._requests.charge(answer))
        return answer


@dataclass(frozen=True)
class _About:
    """What one analysis is about, and who pays for it."""

    conversation: Conversation
    taxonomy: Taxonomy
    schema: Schema
    pay: Callable[[Charge], None]


def _read(answer: Answer, taxonomy: Taxonomy) -> Analysis:
    if answer.ending != "whole":
        raise UnusableAnswer(_DETAILS[answer.ending], code=answer.ending)
    return read_answer(answer.text, taxonomy)
