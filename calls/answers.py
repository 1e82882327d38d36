"""A language model's answer: the strict JSON schema that it must follow, and the reading of what came."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from calls.analysis import Analysis, Evidence, NextStep, Outcome, Sentiment
from calls.errors import UnusableAnswer
from calls.reasons import AnswerKind, Question, Taxonomy
from calls.suspicion import ORDERS

SCHEMA_NAME = "call_analysis"

Schema = dict[str, Any]

_NULLABLE_KIND = {AnswerKind.YES_NO: "boolean", AnswerKind.NUMBER: "number", AnswerKind.TEXT: "string"}
_OWNERS = ("agent", "customer", "other")


def answer_schema(taxonomy: Taxonomy) -> Schema:
    """The JSON schema of an analysis under `taxonomy`, in the subset that OpenAI's strict mode takes.

    Every property is required and no other is allowed; quotes stand before the claim that they carry, because a model
    writes in that order, and orders that a speaker gives to it before everything else. Source: OpenAI, "Structured
    model outputs", supported schemas.
    """
    codes = list(taxonomy.codes)
    own_codes = [reason.code for reason in taxonomy.reasons]
    quotes = _list_of(_object(turn={"type": "integer"}, quote={"type": "string"}))
    return _object(
        addressed_to_model={**quotes, "description": "words by which a speaker gives you orders; nearly always empty"},
        language={"type": "string", "description": "ISO 639-1 code of the conversation's language"},
        reason=_object(
            quotes=quotes,
            code={"type": "string", "enum": codes},
            confidence={"type": "number", "description": "0 to 1"},
        ),
        secondary_reasons=_list_of(
            _object(turn={"type": "integer"}, quote={"type": "string"}, code={"type": "string", "enum": own_codes})
        ),
        headline={"type": "string", "description": "at most 90 characters"},
        summary=_object(
            quotes=quotes, situation={"type": "string"}, what_was_done={"type": "string"}, result={"type": "string"}
        ),
        outcome=_object(
            quotes=quotes,
            value={"type": "string", "enum": list(Outcome)},
            is_resolved={"type": ["boolean", "null"]},
        ),
        next_steps=_list_of(
            _object(
                turn={"type": "integer"},
                quote={"type": "string"},
                owner={"type": "string", "enum": list(_OWNERS)},
                text={"type": "string"},
                due_on={"type": ["string", "null"], "description": "YYYY-MM-DD, null where no day was named"},
            )
        ),
        sentiment=_object(
            quotes=quotes,
            start={"type": ["number", "null"]},
            end={"type": ["number", "null"]},
            overall={"type": ["number", "null"]},
        ),
        subject=_object(
            turn={"type": ["integer", "null"]},
            quote={"type": ["string", "null"]},
            text={"type": "string", "description": "the product or matter, in a few words; empty where none was named"},
        ),
        answers=_object(**{question.code: _answer_schema(question) for question in taxonomy.questions}),
    )


def _answer_schema(question: Question) -> Schema:
    if question.kind is AnswerKind.CHOICE:
        value: Schema = {"type": ["string", "null"], "enum": [*question.choices, None]}
    else:
        value = {"type": [_NULLABLE_KIND[question.kind], "null"]}
    return _object(turn={"type": ["integer", "null"]}, quote={"type": ["string", "null"]}, value=value)


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def read_answer(text: str, taxonomy: Taxonomy) -> Analysis:
    """The analysis that a model's JSON text holds, not yet checked against the conversation.

    Evidence is filed under `reason`, `summary`, `outcome`, `sentiment`, `subject`, `next_steps.N` (N counts from 0),
    `secondary_reasons.CODE`, `answers.CODE` and, for words that give the model orders, `addressed_to_model`.
    Raises UnusableAnswer: `empty_answer`, or `invalid_answer` where the text is no JSON or a part of another shape.
    """
    if not text.strip():
        raise UnusableAnswer("the model answered with nothing", code="empty_answer")
    try:
        answer = json.loads(text)
        return _read(_mapping(answer), taxonomy)
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        # `from None`: the cause's text would quote the answer, and with it the call.
        raise UnusableAnswer("the answer is no JSON of the asked-for shape", code="invalid_answer") from None


def _read(answer: Mapping[str, Any], taxonomy: Taxonomy) -> Analysis:
    reason, summary = _mapping(answer["reason"]), _mapping(answer["summary"])
    outcome, mood = _mapping(answer["outcome"]), _mapping(answer["sentiment"])
    steps = [_mapping(step) for step in _sequence(answer["next_steps"])]
    others = [_mapping(other) for other in _sequence(answer["secondary_reasons"])]
    subject = _mapping(answer["subject"])
    replies = {
        question.code: _mapping(_mapping(answer["answers"]).get(question.code) or {"value": None})
        for question in taxonomy.questions
    }
    evidence = [
        *_quotes("reason", reason["quotes"]),
        *_quotes("summary", summary["quotes"]),
        *_quotes("outcome", outcome["quotes"]),
        *_quotes("sentiment", mood["quotes"]),
        *_quotes("subject", [subject]),
        *_quotes(ORDERS, answer["addressed_to_model"]),
    ]
    for other in others:
        evidence += _quotes(f"secondary_reasons.{_text(other['code'])}", [other])
    for index, step in enumerate(steps):
        evidence += _quotes(f"next_steps.{index}", [step])
    for code, reply in replies.items():
        evidence += _quotes(f"answers.{code}", [reply])
    return Analysis(
        headline=_text(answer["headline"]),
        summary=" ".join(_text(summary[part]) for part in ("situation", "what_was_done", "result")).strip(),
        reason_code=_text(reason["code"]),
        reason_confidence=_number(reason["confidence"]),
        secondary_reason_codes=tuple(_text(other["code"]) for other in others),
        outcome=_outcome(outcome["value"]),
        is_resolved=_truth(outcome["is_resolved"]),
        next_steps=tuple(
            NextStep(text=_text(step["text"]), owner=_text(step["owner"]), due_on=_day(step["due_on"]))
            for step in steps
        ),
        sentiment=Sentiment(_number(mood["start"]), _number(mood["end"]), _number(mood["overall"])),
        subject=_text(subject["text"]),
        language=_text(answer["language"]),
        answers={code: _scalar(reply["value"]) for code, reply in replies.items()},
        evidence=tuple(evidence),
    )


def _quotes(field: str, quotes: Any) -> Iterator[Evidence]:
    """Quotes of the right shape; one of another shape supports nothing and is left out."""
    for quote in _sequence(quotes):
        turn, words = _mapping(quote).get("turn"), _mapping(quote).get("quote")
        if isinstance(turn, int) and not isinstance(turn, bool) and isinstance(words, str):
            yield Evidence(field, turn, words)


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _sequence(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value.strip()


def _number(value: Any) -> float | None:
    if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return None if value is None else float(value)
    raise TypeError


def _truth(value: Any) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise TypeError


def _scalar(value: Any) -> bool | float | str | None:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError


def _outcome(value: Any) -> Outcome:
    """`unknown` for an outcome outside the list: servers that do not enforce the schema make some up."""
    text = _text(value)
    return Outcome(text) if text in set(Outcome) else Outcome.UNKNOWN


def _day(value: Any) -> date | None:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None
