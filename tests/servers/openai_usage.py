"""Usage as OpenAI counts it: every token of a request, and those among them that the server had in its cache.

A prompt of 1,024 tokens or more is kept; a later one of the same model that begins alike is cached as far as both
agree, in steps of 128 tokens. A schema stands before the instructions. Source: OpenAI, "Prompt caching". Tokens are
a quarter of the bytes, since no tokenizer is at hand offline. Nothing is forgotten: how long a cache lives is left out.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from tests.servers.openai_answers import Answer, Reply, Usage
from tests.servers.openai_requests import SentRequest

LEAST_TOKENS = 1024
STEP_TOKENS = 128
BYTES_PER_TOKEN = 4


class PromptCache:
    """What one server has seen of each model's prompts."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._lock = threading.Lock()

    def usage(self, request: SentRequest, output_tokens: int) -> Usage:
        """The usage of a request, which is in the cache from now on."""
        prompt = _prompt(request)
        total = len(prompt) // BYTES_PER_TOKEN
        digest, cached, is_known = sha256(request.model.encode()), 0, True
        with self._lock:
            for end in range(LEAST_TOKENS, total + 1, STEP_TOKENS):
                start = 0 if end == LEAST_TOKENS else end - STEP_TOKENS
                digest.update(prompt[start * BYTES_PER_TOKEN : end * BYTES_PER_TOKEN])
                key = digest.digest()
                is_known = is_known and key in self._seen
                cached = end if is_known else cached
                self._seen.add(key)
        return Usage(total, cached, output_tokens)


def billed(make: Callable[[Usage], Answer], cache: PromptCache | None) -> Answer:
    """The answer that `make` gives, with its true usage; without a cache nothing is ever cached."""

    def answer(request: SentRequest) -> Reply:
        said = make(Usage())(request)
        output_tokens = _said_bytes(said.body) // BYTES_PER_TOKEN
        usage = (cache or PromptCache()).usage(request, output_tokens)
        return make(usage if cache else replace(usage, cached_tokens=0))(request)

    return answer


def _prompt(request: SentRequest) -> bytes:
    """A request of the Responses API as the model reads it."""
    body = request.body
    parts = [json.dumps(body.get("text")), str(body.get("instructions", "")), json.dumps(body["input"])]
    return "\n".join(parts).encode()


def _said_bytes(body: object) -> int:
    assert isinstance(body, dict)
    texts = [part.get("text", "") for item in body["output"] for part in item["content"]]
    return sum(len(text.encode()) for text in texts)
