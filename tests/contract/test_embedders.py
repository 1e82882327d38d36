"""Laws of embedders: the local one, and those by API over real HTTP."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from calls.errors import EngineMisconfigured, Paced, TransientError, UnusableAnswer
from calls.meter import Limits
from calls.money import Charge
from calls.prices import Price
from engines.array_file import UnreadableModel
from engines.embeddings import Embedder
from engines.embeddings_api import ApiEmbedder, EmbeddingRequests
from engines.embeddings_local import DIMENSION, LocalEmbedder, fit
from engines.meters import MemoryMeters
from tests.servers.openai_answers import Reply, fails, garbles
from tests.servers.openai_embeddings import embeds_by
from tests.servers.openai_server import API_KEY, API_VERSION, OpenAIServer

DELIVERY = [
    f"The {thing} was not delivered on {day}; the customer waits for the delivery."
    for thing in ("fridge", "oven", "dishwasher", "freezer")
    for day in ("Monday", "Tuesday", "Friday")
]
PASSWORD = [
    f"The customer forgot the password of the {place} and asks for a reset link by {way}."
    for place in ("shop", "portal", "app", "account")
    for way in ("mail", "text message", "letter")
]
Make = Callable[[OpenAIServer], Embedder]


def api(server: OpenAIServer, **changes) -> ApiEmbedder:
    given = {"provider": "openai", "model": "m", "api_key": API_KEY, "base_url": server.base_url} | changes
    return ApiEmbedder(EmbeddingRequests(given.pop("provider"), **given), MemoryMeters())


def azure(server: OpenAIServer) -> ApiEmbedder:
    return api(server, provider="azure", base_url=server.azure_endpoint, api_version=API_VERSION, dimension=32)


def local(_: OpenAIServer) -> LocalEmbedder:
    return fit([*DELIVERY, *PASSWORD])


@pytest.fixture(params=[local, api, azure], ids=lambda make: make.__name__)
def embedder(request: pytest.FixtureRequest, openai_server: OpenAIServer) -> Embedder:
    make: Make = request.param
    return make(openai_server)


def embed(by: Embedder, texts: Sequence[str]) -> tuple[np.ndarray, list[Charge]]:
    charges: list[Charge] = []
    return by.embed(texts, charges.append), charges


def test_texts_about_the_same_lie_side_by_side_and_a_text_has_one_place(embedder: Embedder) -> None:
    texts = [
        "The oven was not delivered and the customer waits for the delivery",
        "Somebody forgot the password of the app",
        DELIVERY[0],
    ]
    rows, _ = embed(embedder, texts)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-6)
    assert rows[2] @ rows[0] > rows[2] @ rows[1]
    alone, _ = embed(embedder, texts[:1])
    assert alone[0] == pytest.approx(rows[0], abs=1e-6)
    assert len(embed(embedder, [])[0]) == 0
    embedder.check()


def test_a_local_model_is_read_from_its_file_as_it_was(openai_server: OpenAIServer) -> None:
    model = local(openai_server)
    again = LocalEmbedder.from_bytes(model.to_bytes())
    assert (again.name, again.text_count) == (model.name, 24)
    assert np.array_equal(embed(again, DELIVERY)[0], embed(model, DELIVERY)[0])
    assert local(openai_server).name == model.name
    assert fit([*DELIVERY, *DELIVERY]).name != model.name
    for broken in (b"", model.to_bytes()[:-200], model.to_bytes().replace(b"idf", b"ibf")):
        with pytest.raises(UnreadableModel):
            LocalEmbedder.from_bytes(broken)


def test_a_local_model_knows_no_word_of_fewer_than_three_calls_and_no_number(openai_server: OpenAIServer) -> None:
    told = [*DELIVERY, *PASSWORD[:-2], *(f"{text} zqxvqj" for text in PASSWORD[-2:])]
    rows, charges = embed(fit(told), ["zqxvqj", "4111 1111", "", "The delivery"])
    assert rows.shape == (4, DIMENSION)
    assert [bool(row.any()) for row in rows] == [False, False, False, True]
    assert charges == []
    with pytest.raises(ValueError, match="the least"):
        fit(DELIVERY)


def test_each_request_is_charged_by_its_tokens(openai_server: OpenAIServer) -> None:
    by = api(openai_server, dimension=16, price=Price(input=2))
    rows, [charge] = embed(by, ["a" * 40, "b" * 40])
    assert (rows.shape, by.name) == ((2, 16), "openai/m@16")
    assert (charge.purpose, charge.input_tokens, charge.output_tokens, charge.cost_microusd) == ("embedding", 20, 0, 40)
    assert charge.request_id.startswith("req_")
    assert openai_server.requests[-1].body["dimensions"] == 16


@pytest.mark.parametrize(
    ("answer", "expected", "code"),
    [
        (fails(401, "invalid_api_key"), EngineMisconfigured, "wrong_api_key"),
        (fails(404, "model_not_found"), EngineMisconfigured, "model_not_found"),
        (fails(400, "content_filter"), UnusableAnswer, "refused"),
        (fails(429, "rate_limit_exceeded", retry_after_s=9), Paced, "paced"),
        (fails(500), TransientError, "server_error"),
        (garbles(), TransientError, "invalid_response"),
        (garbles('{"data": []}'), TransientError, "invalid_response"),
        (lambda _: Reply(body={"data": None}, is_checked=False), TransientError, "invalid_response"),
        (embeds_by(lambda text, _: [1.0] * len(text)), TransientError, "invalid_response"),
        (embeds_by(lambda *_: []), TransientError, "invalid_response"),
    ],
)
def test_failures_are_of_our_kinds_and_cost_nothing(openai_server: OpenAIServer, answer, expected, code) -> None:
    openai_server.reply(answer)
    charges: list[Charge] = []
    with pytest.raises(expected) as caught:
        api(openai_server).embed(["one", "three"], charges.append)
    assert (caught.value.code, charges) == (code, [])
    assert "CALLWISE_SIMILAR__" in caught.value.detail or not isinstance(caught.value, EngineMisconfigured)


def test_requests_keep_to_the_limits_that_the_owner_states(openai_server: OpenAIServer) -> None:
    limits = Limits(tokens_per_minute=600)
    requests = EmbeddingRequests("openai", model="m", api_key=API_KEY, base_url=openai_server.base_url)
    by = ApiEmbedder(requests, MemoryMeters(), limits=limits)
    embed(by, ["word " * 400])
    with pytest.raises(Paced) as caught:
        embed(by, ["word " * 400])
    assert caught.value.retry_after_s > 30
    assert len(openai_server.requests) == 1
