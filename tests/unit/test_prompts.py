"""Laws of what a language model is asked, and of how its answer is read."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from calls.analysis import Evidence, NextStep, Outcome
from calls.answers import answer_schema, read_answer
from calls.errors import UnusableAnswer
from calls.prompts import build_prompt, estimate_tokens, system_prompt
from calls.taxonomy_file import parse_taxonomy
from calls.transcript import Speaker, Turn

BUNDLED = Path(__file__).parents[2] / "runtime" / "taxonomies" / "service_centre.yaml"
TAXONOMY = parse_taxonomy(BUNDLED.read_text(encoding="utf-8"))
ANSWER = {
    "addressed_to_model": [{"turn": 0, "quote": "put down a refund"}],
    "language": "en",
    "reason": {"quotes": [{"turn": 0, "quote": "where is my fridge"}], "code": "delivery_status", "confidence": 0.9},
    "secondary_reasons": [{"turn": 0, "quote": "it is cracked", "code": "delivery_damaged"}],
    "headline": "Fridge not delivered",
    "summary": {"quotes": [], "situation": "No fridge.", "what_was_done": "Traced.", "result": "Comes on Monday."},
    "outcome": {"quotes": [], "value": "follow_up", "is_resolved": None},
    "next_steps": [
        {"turn": 1, "quote": "I will call you", "owner": "agent", "text": "Call back", "due_on": "2026-03-16"}
    ],
    "sentiment": {"quotes": [], "start": -1, "end": 2, "overall": None},
    "subject": {"turn": 0, "quote": "my fridge", "text": "fridge"},
    "answers": {
        "product_type": {"turn": 0, "quote": "my fridge", "value": "fridge"},
        "called_before": {"turn": None, "quote": None, "value": None},
        "amount_usd": {"turn": None, "quote": None, "value": 12.5},
    },
}


def turn(text: str) -> Turn:
    return Turn(0, Speaker.CUSTOMER, 0.0, 1.0, text)


def objects_of(schema: object) -> list[dict]:
    if isinstance(schema, dict):
        here = [schema] if schema.get("type") == "object" else []
        return here + [found for value in schema.values() for found in objects_of(value)]
    if isinstance(schema, list):
        return [found for value in schema for found in objects_of(value)]
    return []


def test_the_fixed_part_is_the_same_for_every_call():
    one = build_prompt([turn("hello")], TAXONOMY)
    two = build_prompt([turn("bye")], TAXONOMY, started_at=datetime(2026, 3, 14, tzinfo=UTC), language="de")
    assert one.system == two.system == system_prompt(TAXONOMY)
    assert "hello" not in one.system


@given(st.text(max_size=200))
def test_what_was_said_is_one_json_string_whatever_it_holds(text):
    prompt = build_prompt([turn(text)], TAXONOMY)
    assert json.loads(prompt.user)["call"]["turns"] == [{"turn": 0, "speaker": "customer", "text": text}]


def test_the_day_of_the_call_is_told_with_its_weekday():
    prompt = build_prompt([turn("x")], TAXONOMY, started_at=datetime(2026, 3, 14, 9, tzinfo=UTC))
    assert json.loads(prompt.user)["call"]["started_on"] == "2026-03-14, Saturday"


def test_every_reason_and_question_is_in_the_prompt():
    system = system_prompt(TAXONOMY, "fr")
    assert all(json.dumps(reason.definition)[1:-1] in system for reason in TAXONOMY.reasons)
    assert all(question.text in system for question in TAXONOMY.questions)
    assert "`fr`" in system


def test_the_schema_is_one_that_strict_mode_takes():
    schema = answer_schema(TAXONOMY)
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["reason"]["properties"]["code"]["enum"] == list(TAXONOMY.codes)
    for part in objects_of(schema):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])


def test_an_answer_that_follows_the_schema_is_read_whole():
    Draft202012Validator(answer_schema(TAXONOMY)).validate(ANSWER)
    analysis = read_answer(json.dumps(ANSWER), TAXONOMY)
    assert analysis.reason_code == "delivery_status"
    assert analysis.summary == "No fridge. Traced. Comes on Monday."
    assert analysis.outcome is Outcome.FOLLOW_UP
    assert analysis.next_steps == (NextStep("Call back", "agent", date(2026, 3, 16)),)
    assert analysis.answers == {"product_type": "fridge", "called_before": None, "amount_usd": 12.5}
    assert set(analysis.evidence) == {
        Evidence("reason", 0, "where is my fridge"),
        Evidence("next_steps.0", 1, "I will call you"),
        Evidence("answers.product_type", 0, "my fridge"),
        Evidence("secondary_reasons.delivery_damaged", 0, "it is cracked"),
        Evidence("subject", 0, "my fridge"),
        Evidence("addressed_to_model", 0, "put down a refund"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I am sorry, I cannot do that.",
        "[]",
        "null",
        json.dumps(ANSWER)[:-40],
        json.dumps({key: value for key, value in ANSWER.items() if key != "reason"}),
        json.dumps(ANSWER | {"next_steps": "none"}),
        json.dumps(ANSWER | {"headline": 5}),
        json.dumps(ANSWER | {"sentiment": {"quotes": [], "start": "bad", "end": None, "overall": None}}),
        json.dumps(ANSWER | {"sentiment": {"quotes": [], "start": 10**400, "end": None, "overall": None}}),
        "[" * 100_000,
    ],
)
def test_what_is_no_such_answer_is_unusable_and_its_text_goes_nowhere(text):
    with pytest.raises(UnusableAnswer) as caught:
        read_answer(text, TAXONOMY)
    assert caught.value.code == ("invalid_answer" if text else "empty_answer")
    assert "sorry" not in str(caught.value)


def test_an_outcome_or_a_day_that_a_server_made_up_is_unknown():
    odd_step = ANSWER["next_steps"][0] | {"due_on": "next monday"}
    made_up = ANSWER | {"outcome": {"quotes": [], "value": "great", "is_resolved": True}, "next_steps": [odd_step]}
    analysis = read_answer(json.dumps(made_up), TAXONOMY)
    assert analysis.outcome is Outcome.UNKNOWN
    assert analysis.next_steps[0].due_on is None


def test_tokens_are_estimated_as_a_quarter_of_the_bytes_rounded_up():
    assert [estimate_tokens(text) for text in ("", "a", "four", "fives", "ééé")] == [0, 1, 1, 2, 2]
