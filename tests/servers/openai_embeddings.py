"""Embeddings of the local OpenAI server: words in buckets, so that texts with the same words lie side by side."""

import math
import re
from collections.abc import Callable
from hashlib import sha256

from tests.servers.openai_answers import Answer, Reply
from tests.servers.openai_requests import SentRequest

DIMENSION = 64


def embeds() -> Answer:
    """A right answer to `/embeddings`: one vector of length 1 for each text."""
    return embeds_by(vector_of)


def embeds_by(make: Callable[[str, int], list[float]]) -> Answer:
    """The vectors that `make` gives for a text and a dimension."""

    def answer(request: SentRequest) -> Reply:
        texts = request.body["input"]
        dimension = int(request.body.get("dimensions", DIMENSION))
        tokens = sum(-(-len(text.encode()) // 4) for text in texts)
        found = [
            {"object": "embedding", "index": at, "embedding": make(text, dimension)} for at, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return Reply(body={"object": "list", "data": found, "model": request.model, "usage": usage})

    return answer


def vector_of(text: str, dimension: int) -> list[float]:
    """How often words fall into each bucket, as a direction; short ones are in every text."""
    counts = [0.0] * dimension
    for word in re.findall(r"\w{4,}", text.lower()):
        counts[int.from_bytes(sha256(word.encode()).digest()[:4]) % dimension] += 1.0
    length = math.sqrt(sum(count * count for count in counts)) or 1.0
    return [count / length for count in counts]
