"""The local OpenAI server is strict: what OpenAI would refuse is refused and noted."""

import json
from typing import Any

import httpx2
import pytest

from engines.speech_api import to_flac
from tests.recordings import two_voices
from tests.servers.openai_answers import example_of, says
from tests.servers.openai_requests import find_description
from tests.servers.openai_server import API_KEY, OpenAIServer

if find_description() is None:
    pytest.skip("OpenAI's API description is not at hand: set CALLWISE_SHARED", allow_module_level=True)

SCHEMA = {
    "type": "object",
    "properties": {"reason": {"enum": ["a", "b"]}, "answers": {"type": "array", "items": {"type": "string"}}},
    "required": ["reason", "answers"],
    "additionalProperties": False,
}
STRICT = {"format": {"type": "json_schema", "name": "analysis", "strict": True, "schema": SCHEMA}}


def post(server: OpenAIServer, path: str, **sent: Any) -> httpx2.Response:
    return httpx2.post(f"{server.azure_endpoint}{path}", headers={"authorization": f"Bearer {API_KEY}"}, **sent)


def upload(
    server: OpenAIServer, fields: dict[str, str], *, name: str = "a.flac", content: bytes = b""
) -> httpx2.Response:
    content = content or to_flac(two_voices().samples[0][: 2 * 16_000])
    return post(server, "/v1/audio/transcriptions", data=fields, files={"file": (name, content, "audio/flac")})


def test_a_right_request_is_answered_in_the_schema_that_it_asks_for() -> None:
    with OpenAIServer() as server:
        answer = post(server, "/v1/responses", json={"model": "gpt-5.4-mini", "input": "x", "text": STRICT})
        assert json.loads(answer.json()["output"][0]["content"][0]["text"]) == {"reason": "a", "answers": []}
        assert server.problems == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/responses", {"model": "m", "input": 5}),
        ("/v1/responses", {"model": "m", "input": "x", "max_tokens": 5}),
        ("/v1/responses", {"model": "m", "input": "x", "stream": True}),
        ("/v1/responses", {"model": "m", "input": "x", "text": {"format": {"type": "json_schema"}}}),
        ("/v1/chat/completions", {"model": "m"}),
        ("/v1/chat/completions", {"model": "m", "messages": [{"role": "narrator", "content": "x"}]}),
    ],
)
def test_a_wrong_request_is_refused_and_noted(path: str, body: dict[str, Any]) -> None:
    with OpenAIServer() as server:
        assert post(server, path, json=body).status_code == 400
        assert server.problems


@pytest.mark.parametrize("change", [{"additionalProperties": True}, {"required": ["reason"]}])
def test_a_strict_schema_that_openai_would_refuse_is_refused(change: dict[str, Any]) -> None:
    text = {"format": {**STRICT["format"], "schema": SCHEMA | change}}
    with OpenAIServer() as server:
        assert post(server, "/v1/responses", json={"model": "m", "input": "x", "text": text}).status_code == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"model": "gpt-4o-transcribe", "response_format": "verbose_json"},
        {"model": "gpt-4o-transcribe-diarize", "response_format": "diarized_json", "prompt": "names"},
        {"model": "whisper-1", "timestamp_granularities[]": "word"},
        {"model": "whisper-1", "keywords[]": "Aquaflow"},
        {"model": "whisper-1", "temperature": "warm"},
        {"model": "whisper-1", "response_format": "xml"},
        {"model": "whisper-1", "flavour": "x"},
    ],
)
def test_an_upload_that_its_model_does_not_take_is_refused(fields: dict[str, str]) -> None:
    with OpenAIServer() as server:
        assert upload(server, fields).status_code == 400
        assert server.problems


def test_a_file_that_is_no_audio_or_does_not_say_so_is_refused() -> None:
    with OpenAIServer() as server:
        assert upload(server, {"model": "whisper-1"}, content=b"RIFF and then nothing").status_code == 400
        assert upload(server, {"model": "whisper-1"}, name="speech.bin").status_code == 400
        assert upload(server, {"model": "whisper-1"}).json()["text"]


def test_an_unknown_path_and_a_wrong_key_are_refused() -> None:
    with OpenAIServer() as server:
        assert post(server, "/v2/responses", json={}).status_code == 404
        assert post(server, "/openai/deployments/x/chat/completions", json={}).status_code == 404
        assert httpx2.post(f"{server.base_url}/responses", json={}).status_code == 401


def test_queued_answers_come_once_and_in_order() -> None:
    with OpenAIServer() as server:
        server.reply(says("one"), says("two"))
        texts = [upload(server, {"model": "whisper-1"}).json()["text"] for _ in range(3)]
        assert texts[:2] == ["one", "two"]
        assert texts[2] not in texts[:2]


def test_an_example_fits_its_schema() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"const": 3}}}
    assert example_of(schema) == {"a": 3}
