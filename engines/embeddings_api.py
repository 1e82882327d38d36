"""Vectors by API: OpenAI, Azure OpenAI, and any server that speaks OpenAI's `/embeddings`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from calls.errors import TransientError
from calls.meter import Grant, Limits, Told, Used, Wanted
from calls.money import Charge
from calls.pipeline import Lane
from calls.prices import Price, PriceHistory, cost_microusd, price_on
from calls.prompts import estimate_tokens
from engines.deployments import Deployment, PacedDeployments
from engines.embeddings import Vectors, unit_rows
from engines.meters import Meters
from engines.openai_client import ModelServer, Provider, told_by, translated_errors

TIMEOUT_S = 60.0
PURPOSE = "embedding"
# OpenAI takes 2,048 texts and 300,000 tokens at once; others take less, and a lost answer is paid for again.
AT_ONCE = 128


@dataclass(frozen=True)
class Embedded:
    """What came back: a row for each text, as the server gave it, and what it used."""

    rows: Vectors
    request_id: str
    input_tokens: int
    told: Told = field(default_factory=Told)


class EmbeddingRequests:
    """Requests to one deployment; see LanguageRequests. `dimension` 0 takes vectors as the model gives them."""

    def __init__(
        self,
        provider: Provider,
        *,
        model: str,
        dimension: int = 0,
        api_key: str | Callable[[], str] = "",
        base_url: str = "",
        api_version: str = "",
        price: PriceHistory | Price | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.name = f"{provider}/{model}" + (f"@{dimension}" if dimension else "")
        self._dimension = dimension
        self._price = price
        self._server = ModelServer(provider, model, api_key, base_url, api_version, timeout_s)

    def check(self) -> None:
        """See Embedder."""
        self._server.check("similar")

    def embed(self, texts: Sequence[str]) -> Embedded:
        """One request for all of these texts. Raises what `translated_errors` raises."""
        # Numbers in place of base64: many compatible servers know nothing else.
        asked: dict[str, Any] = {"model": self._server.model, "input": list(texts), "encoding_format": "float"}
        if self._dimension:
            asked["dimensions"] = self._dimension
        with translated_errors("similar"):
            raw = self._server.client.embeddings.with_raw_response.create(**asked)
            answer = raw.parse()
        usage = getattr(answer, "usage", None)
        return Embedded(
            rows=_rows_of(answer, len(texts)),
            request_id=str(getattr(answer, "_request_id", "") or ""),
            input_tokens=usage.prompt_tokens if usage else sum(estimate_tokens(text) for text in texts),
            told=told_by(raw.headers),
        )

    def charge(self, answer: Embedded) -> Charge:
        """What the answer costs, as a row of the ledger."""
        price = price_on(self._price, datetime.now(UTC).date())
        return Charge(
            provider=self._server.provider,
            model=self._server.model,
            purpose=PURPOSE,
            request_id=answer.request_id,
            input_tokens=answer.input_tokens,
            cost_microusd=cost_microusd(price, input_tokens=answer.input_tokens, cached_tokens=0, output_tokens=0),
        )


class ApiEmbedder:
    """Asks one deployment for vectors, within its limits; nobody waits for them, so that all other requests go first.

    `meter` is the name of the limits' meter: whoever shares the server's budget shares the name.
    """

    at_once = AT_ONCE

    def __init__(
        self, requests: EmbeddingRequests, meters: Meters, *, meter: str = "", limits: Limits | None = None
    ) -> None:
        self.name = requests.name
        self._requests = requests
        self._deployments = PacedDeployments([Deployment(meter or requests.name, requests, limits or Limits())], meters)

    def embed(self, texts: Sequence[str], pay: Callable[[Charge], None]) -> Vectors:
        """See Embedder."""
        if not texts:
            return np.zeros((0, 0), dtype=np.float32)
        wanted = Wanted(sum(len(text.encode()) for text in texts), 0, PURPOSE, Lane.BACKFILL)

        def ask(requests: EmbeddingRequests, _grant: Grant) -> Embedded:
            return requests.embed(texts)

        _, answer = self._deployments.send(wanted, ask, lambda answer: (Used(answer.input_tokens, 0), answer.told))
        pay(self._requests.charge(answer))
        return unit_rows(answer.rows)

    def check(self) -> None:
        """See Embedder."""
        self._requests.check()


def _rows_of(answer: object, count: int) -> Vectors:
    """The rows in the order of the texts. Raises TransientError for an answer of another shape."""
    # The SDK does not check shapes.
    items = getattr(answer, "data", None)
    try:
        rows = np.zeros((0, 0), dtype=np.float32)
        if isinstance(items, list) and {item.index for item in items} == set(range(count)) and len(items) == count:
            ordered = sorted(items, key=lambda item: int(item.index))
            rows = np.array([item.embedding for item in ordered], dtype=np.float32)
    except (AttributeError, TypeError, ValueError):
        rows = np.zeros((0, 0), dtype=np.float32)
    if rows.ndim != 2 or rows.shape[0] != count or rows.shape[1] == 0 or not np.isfinite(rows).all():
        raise TransientError("the server's answer has not one vector for each text", code="invalid_response")
    return rows
