"""Analyses that the local OpenAI server gives: right ones made from the call that it is asked about, and wrong ones."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tests.servers.openai_answers import Answer, Reply, Usage, asked_schema, example_of, says
from tests.servers.openai_requests import SentRequest

Change = Callable[[dict[str, Any], Mapping[str, Any]], None]
DEFAULT_USAGE = Usage()


def analyses(*changes: Change, usage: Usage = DEFAULT_USAGE) -> Answer:
    """An analysis whose every claim is borne out by the call, under the first reason of the asked-for list.

    `changes` may then spoil it: each gets the answer and the call as it was sent. Of a call that comes in parts the
    quotes are those that were found in them.
    """

    def answer(request: SentRequest) -> Reply:
        schema = asked_schema(request)
        assert schema is not None, "an analysis was asked for without a schema"
        call = sent_call(request)
        document = right_answer(schema, call)
        for change in changes:
            change(document, call)
        return says(json.dumps(document, ensure_ascii=False), usage=usage)(request)

    return answer


def sent_call(request: SentRequest) -> Mapping[str, Any]:
    """The call that a language request is about: the JSON document of its first message of the user's."""
    told = request.body["input"] if request.operation == "/responses" else request.body["messages"]
    first = next(message["content"] for message in told if message["role"] == "user")
    call = json.loads(first)["call"]
    assert isinstance(call, dict)
    return call


def sent_system(request: SentRequest) -> str:
    """The fixed part of a language request."""
    if request.operation == "/responses":
        return str(request.body["instructions"])
    return str(request.body["messages"][0]["content"])


def right_answer(schema: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    """An instance of the analysis schema that rests on the first words of the call."""
    turn, quote = _first_words(call)
    document: dict[str, Any] = example_of(schema)
    for claim in ("reason", "summary", "outcome"):
        document[claim]["quotes"] = [{"turn": turn, "quote": quote}]
    document["reason"]["confidence"] = 0.9
    document["outcome"] |= {"value": "unresolved", "is_resolved": False}
    document["summary"] |= {"situation": "The caller has a matter.", "what_was_done": "", "result": ""}
    document |= {"addressed_to_model": [], "headline": "The caller has a matter", "language": "en"}
    document["answers"] = {code: {"turn": None, "quote": None, "value": None} for code in document["answers"]}
    document["subject"] = {"turn": None, "quote": None, "text": ""}
    return document


def mislabels(code: str) -> Change:
    """A reason of this code, whether the list has it or not."""
    return lambda document, call: document["reason"].update(code=code)


def doubts(confidence: float) -> Change:
    """The reason with this confidence."""
    return lambda document, call: document["reason"].update(confidence=confidence)


def misquotes(*claims: str) -> Change:
    """Quotes that nobody said, under these claims."""

    def change(document: dict[str, Any], call: Mapping[str, Any]) -> None:
        for claim in claims:
            document[claim]["quotes"] = [{"turn": 0, "quote": "words that were never said by anybody"}]

    return change


def _first_words(call: Mapping[str, Any]) -> tuple[int, str]:
    if "parts" in call:
        found = next(one for part in call["parts"] for one in part["quotes"])
        return found["turn"], found["quote"]
    # The longest of the first turns: "Hello" alone says little.
    nobody: dict[str, Any] = {"turn": 0, "text": ""}
    turn: Mapping[str, Any] = max(call["turns"][:4], key=lambda one: len(one["text"]), default=nobody)
    return turn["turn"], " ".join(turn["text"].split()[:12])
