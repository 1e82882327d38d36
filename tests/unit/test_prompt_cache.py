"""Laws of the prompt's order, by a server's cache as OpenAI describes it, and of that cache."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calls.answers import answer_schema
from calls.prompts import build_prompt, estimate_tokens
from calls.taxonomy_file import parse_taxonomy
from calls.transcript import Speaker, Turn
from engines.language_requests import fixed_body, variable_body
from tests.servers.openai_requests import SentRequest
from tests.servers.openai_usage import PromptCache

TAXONOMIES = sorted((Path(__file__).parents[2] / "runtime" / "taxonomies").glob("*.yaml"))


def asked(body):
    return SentRequest("POST", "/v1/responses", "/responses", "", {}, {}, body)


def request(text, *, model="m", system="", schema=None):
    body = fixed_body(model, system, schema or {}) | variable_body([{"role": "user", "content": text}], 100)
    return asked(body)


def test_a_prompt_below_the_least_length_is_never_cached():
    cache = PromptCache()
    assert [cache.usage(request("short"), 5).cached_tokens for _ in range(2)] == [0, 0]


def test_the_same_prompt_is_cached_in_whole_steps_and_for_its_own_model_only():
    cache = PromptCache()
    first = cache.usage(request("x" * 8_000), 5)
    assert (first.cached_tokens, first.output_tokens) == (0, 5)
    again = cache.usage(request("x" * 8_000), 5)
    assert again.cached_tokens % 128 == 0
    assert 0 <= again.input_tokens - again.cached_tokens < 128
    assert cache.usage(request("x" * 8_000, model="other"), 5).cached_tokens == 0


def test_a_difference_at_the_beginning_leaves_nothing_cached():
    cache = PromptCache()
    cache.usage(request("x" * 8_000, system="one"), 5)
    assert cache.usage(request("x" * 8_000, system="two"), 5).cached_tokens == 0


@pytest.mark.parametrize("path", TAXONOMIES, ids=[path.stem for path in TAXONOMIES])
def test_all_that_calls_have_in_common_is_cached_from_the_second_one_on(path):
    taxonomy = parse_taxonomy(path.read_text(encoding="utf-8"))
    cache, schema = PromptCache(), answer_schema(taxonomy)
    usages = []
    for number, text in enumerate(("Good morning", "Where is my order?", "I want to cancel")):
        turns = [Turn(0, Speaker.CUSTOMER, 0.0, 1.0, text)]
        prompt = build_prompt(turns, taxonomy, started_at=datetime(2026, 3, 14 + number, tzinfo=UTC), language="en")
        body = fixed_body("m", prompt.system, schema) | variable_body([{"role": "user", "content": prompt.user}], 9)
        usages.append(cache.usage(asked(body), 9))
        common = estimate_tokens(prompt.system) + estimate_tokens(json.dumps(schema))
    assert usages[0].cached_tokens == 0
    assert common > 1024
    assert all(usage.cached_tokens >= common // 128 * 128 for usage in usages[1:])
