"""The client for OpenAI, Azure and compatible servers: where it asks, with which key, and what its errors become."""

from collections.abc import Callable

import openai
import pytest

from calls.errors import EngineMisconfigured, TerminalError, TransientError, UndecodableAudio, UnusableAnswer
from engines.openai_client import build_client, check_client, translated_errors
from tests.servers.openai_answers import Answer, cuts, fails, garbles, hangs
from tests.servers.openai_server import API_KEY, API_VERSION, OpenAIServer

CLIENTS: dict[str, Callable[[OpenAIServer], openai.OpenAI]] = {
    "/v1": lambda server: build_client("openai", api_key=API_KEY, base_url=server.base_url),
    "/openai/deployments/our-gpt": lambda server: build_client(
        "azure", api_key=API_KEY, base_url=server.azure_endpoint, api_version=API_VERSION
    ),
    "/openai/v1": lambda server: build_client(
        "azure", api_key=API_KEY, base_url=f"{server.azure_endpoint}/openai/v1", api_version=API_VERSION
    ),
}


def ask(client: openai.OpenAI) -> str:
    with translated_errors("language"):
        answer = client.chat.completions.create(model="our-gpt", messages=[{"role": "user", "content": "Well?"}])
    return answer.choices[0].message.content or ""


@pytest.mark.parametrize("place", CLIENTS)
def test_each_kind_of_server_is_asked_at_its_own_paths(openai_server: OpenAIServer, place: str) -> None:
    assert ask(CLIENTS[place](openai_server))
    (request,) = openai_server.requests
    assert request.path == f"{place}/chat/completions"
    assert request.query.get("api-version") == (API_VERSION if "deployments" in place else None)


FAILURES: list[tuple[Answer, type[Exception], str]] = [
    (fails(429, "rate_limit_exceeded", retry_after_s=7), TransientError, "rate_limited"),
    (fails(429, "insufficient_quota"), EngineMisconfigured, "quota_exhausted"),
    (fails(500), TransientError, "server_error"),
    (fails(503, retry_after_s=7), TransientError, "server_error"),
    (fails(408), TransientError, "server_error"),
    (fails(401, "invalid_api_key"), EngineMisconfigured, "wrong_api_key"),
    (fails(403), EngineMisconfigured, "no_permission"),
    (fails(404, "model_not_found"), EngineMisconfigured, "model_not_found"),
    (fails(404, "DeploymentNotFound"), EngineMisconfigured, "model_not_found"),
    (fails(400, "unsupported_parameter", param="temperature"), EngineMisconfigured, "unsupported_request"),
    (fails(400, "invalid_value", param="model"), EngineMisconfigured, "unsupported_request"),
    (fails(400, "context_length_exceeded"), UnusableAnswer, "too_long"),
    (fails(400, "content_filter"), UnusableAnswer, "refused"),
    (fails(400, "invalid_prompt"), UnusableAnswer, "rejected_request"),
    (fails(413), UnusableAnswer, "too_long"),
    (cuts(), TransientError, "unreachable"),
    (garbles(), TransientError, "invalid_response"),
    (garbles("<html>Please log in</html>", "text/html"), TransientError, "invalid_response"),
]


@pytest.mark.parametrize(("answer", "kind", "code"), FAILURES)
def test_a_failure_becomes_one_of_our_kinds_with_a_code(
    openai_server: OpenAIServer, answer: Answer, kind: type[Exception], code: str
) -> None:
    openai_server.reply(answer)
    with pytest.raises((TransientError, TerminalError)) as failure:
        ask(CLIENTS["/v1"](openai_server))
    assert type(failure.value) is kind
    assert failure.value.code == code
    assert len(openai_server.requests) == 1, "the client must not retry by itself"


def test_a_request_that_speech_cannot_mend_is_undecodable_audio(openai_server: OpenAIServer) -> None:
    openai_server.reply(fails(400, "audio_too_short"))
    with pytest.raises(UndecodableAudio) as failure, translated_errors("speech"):
        CLIENTS["/v1"](openai_server).chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert failure.value.code == "empty"


@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_a_server_asks_for_is_kept(openai_server: OpenAIServer, status: int) -> None:
    openai_server.reply(fails(status, retry_after_s=7))
    with pytest.raises(TransientError) as failure:
        ask(CLIENTS["/v1"](openai_server))
    assert failure.value.retry_after_s == 7


def test_a_server_that_does_not_answer_is_given_up_in_time(openai_server: OpenAIServer) -> None:
    openai_server.reply(hangs())
    client = build_client("openai", api_key=API_KEY, base_url=openai_server.base_url, timeout_s=0.2)
    with pytest.raises(TransientError) as failure:
        ask(client)
    assert failure.value.code == "timed_out"


def test_nobody_at_the_address_is_a_passing_failure(openai_server: OpenAIServer) -> None:
    client = build_client("compatible", base_url="http://127.0.0.1:9/v1")
    with pytest.raises(TransientError) as failure:
        ask(client)
    assert failure.value.code == "unreachable"


def test_an_unknown_status_stays_unknown(openai_server: OpenAIServer) -> None:
    openai_server.reply(fails(418))
    with pytest.raises(openai.APIStatusError):
        ask(CLIENTS["/v1"](openai_server))


def test_a_wrong_key_names_the_setting_and_never_the_key(openai_server: OpenAIServer) -> None:
    client = build_client("openai", api_key="sk-wrong-and-secret", base_url=openai_server.base_url)
    with pytest.raises(EngineMisconfigured, match="CALLWISE_LANGUAGE__API_KEY") as failure:
        ask(client)
    assert "secret" not in str(failure.value)


def test_the_vendors_message_is_not_repeated(openai_server: OpenAIServer) -> None:
    openai_server.reply(fails(400, "code with what was said in the call"))
    with pytest.raises(UnusableAnswer) as failure:
        ask(CLIENTS["/v1"](openai_server))
    assert "said" not in str(failure.value)
    assert "on command" not in str(failure.value)


def test_openais_key_in_the_environment_goes_to_no_other_server(
    openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
    for provider in ("openai", "compatible"):
        with pytest.raises(EngineMisconfigured):
            ask(build_client(provider, base_url=openai_server.base_url))
    assert [request.headers["authorization"] for request in openai_server.requests] == ["Bearer none"] * 2


def test_an_address_in_the_environment_diverts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://elsewhere.invalid/v1")
    assert str(build_client("openai", api_key=API_KEY).base_url) == "https://api.openai.com/v1/"


@pytest.mark.parametrize(("provider", "code"), [("openai", "missing_api_key"), ("azure", "missing_api_key")])
def test_a_missing_key_is_said_before_anything_is_sent(
    openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, provider: str, code: str
) -> None:
    for variable in ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    address = "" if provider == "openai" else openai_server.azure_endpoint
    with pytest.raises(EngineMisconfigured) as failure:
        build_client(provider, base_url=address, api_version=API_VERSION)
    assert failure.value.code == code
    assert openai_server.requests == []


@pytest.mark.parametrize("provider", ["azure", "compatible"])
def test_a_server_of_ones_own_needs_an_address(provider: str) -> None:
    with pytest.raises(EngineMisconfigured, match="base_url"):
        build_client(provider, api_key=API_KEY, api_version=API_VERSION)


@pytest.mark.parametrize("place", CLIENTS)
def test_a_check_asks_for_the_models_and_nothing_else(openai_server: OpenAIServer, place: str) -> None:
    check_client(CLIENTS[place](openai_server), "azure" if "openai" in place else "openai", "our-gpt", "language")
    assert [request.operation for request in openai_server.requests] == ["/models"]


def test_a_compatible_server_without_a_list_of_models_passes_the_check(openai_server: OpenAIServer) -> None:
    openai_server.reply(fails(404))
    check_client(CLIENTS["/v1"](openai_server), "compatible", "our-model", "language")
