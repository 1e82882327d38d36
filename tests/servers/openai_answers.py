"""What the local OpenAI server can answer: bodies in OpenAI's shapes, errors, and ways to break off."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.servers.local_http import Ending
from tests.servers.openai_requests import SentRequest

DEFAULT_WORDS = "Hello, how can I help you today?"
CREATED_AT = 1_790_000_000


@dataclass(frozen=True)
class Reply:
    """One HTTP answer. `ending` is `whole`, `cut` (the connection closes in mid-body) or `never` (no answer at all)."""

    status: int = 200
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    ending: Ending = "whole"
    is_checked: bool = True


Answer = Callable[[SentRequest], Reply]
Segment = tuple[float, float, str]


@dataclass(frozen=True)
class Usage:
    """The tokens that an answer claims to have used; `cached_tokens` are among the `input_tokens`."""

    input_tokens: int = 900
    cached_tokens: int = 0
    output_tokens: int = 120


def default_answer(request: SentRequest) -> Reply:
    """A right answer to any operation: an instance of the schema that was asked for, or a sentence per recording."""
    if request.operation.startswith("/models"):
        model = {"id": "gpt-5.4-mini", "object": "model", "created": CREATED_AT, "owned_by": "openai"}
        is_one = request.operation == "/models/{model}"
        return Reply(body=model if is_one else {"object": "list", "data": [model]})
    if request.operation == "/embeddings":
        # It brings answers of this module's kind.
        from tests.servers.openai_embeddings import embeds

        return embeds()(request)
    schema = asked_schema(request)
    return says(json.dumps(example_of(schema)) if schema is not None else DEFAULT_WORDS)(request)


def says(text: str, *, usage: Usage = Usage()) -> Answer:
    """A whole answer with this text: from a model, or as what was heard in the whole recording."""

    def answer(request: SentRequest) -> Reply:
        if request.operation.startswith("/audio/"):
            return hears([(0.0, request.audio_s, text)], usage=usage)(request)
        if request.operation == "/responses":
            return Reply(body=_response(request, [_output_text(text)], usage))
        return Reply(body=_completion(request, {"content": text, "refusal": None}, "stop", usage))

    return answer


def refuses(text: str = "I'm sorry, I can't help with that.", *, usage: Usage = Usage()) -> Answer:
    """The model declines; the request still costs."""

    def answer(request: SentRequest) -> Reply:
        if request.operation == "/responses":
            return Reply(body=_response(request, [{"type": "refusal", "refusal": text}], usage))
        return Reply(body=_completion(request, {"content": None, "refusal": text}, "stop", usage))

    return answer


def truncates(text: str, *, reason: str = "max_output_tokens", usage: Usage = Usage()) -> Answer:
    """The answer ends early; `reason` is `max_output_tokens` or `content_filter`."""

    def answer(request: SentRequest) -> Reply:
        if request.operation == "/responses":
            body = _response(request, [_output_text(text)], usage)
            body |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
            body["output"][0]["status"] = "incomplete"
            return Reply(body=body)
        finish = "length" if reason == "max_output_tokens" else reason
        return Reply(body=_completion(request, {"content": text, "refusal": None}, finish, usage))

    return answer


def hears(segments: Sequence[Segment], *, language: str = "english", usage: Usage = Usage()) -> Answer:
    """What was heard, as (start_s, end_s, text) within the uploaded file, in whichever format was asked for."""
    text = " ".join(segment[2].strip() for segment in segments)

    def answer(request: SentRequest) -> Reply:
        asked = request.body.get("response_format", "json")
        duration = {"type": "duration", "seconds": request.audio_s}
        tokens = {
            "type": "tokens",
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
        }
        if asked == "verbose_json":
            body = {"task": "transcribe", "language": language, "duration": request.audio_s, "text": text}
            body["segments"] = [_segment(index, segment) for index, segment in enumerate(segments)]
            if "word" in request.body.get("timestamp_granularities", []):
                body["words"] = [word for segment in segments for word in _words(segment)]
            if request.operation == "/audio/transcriptions":
                body["usage"] = duration
            return Reply(body=body)
        if asked == "diarized_json":
            heard = [
                {"type": "transcript.text.segment", "id": f"seg_{index}", "speaker": "A"}
                | {"start": start, "end": end, "text": said}
                for index, (start, end, said) in enumerate(segments)
            ]
            whole = {"task": "transcribe", "duration": request.audio_s, "text": text, "segments": heard}
            return Reply(body=whole | {"usage": tokens})
        if request.operation == "/audio/translations":
            return Reply(body={"text": text})
        spoken = {"languages": [{"code": "en"}]} if "gpt-transcribe" in request.model else {}
        return Reply(body={"text": text, **spoken, "usage": duration if "whisper" in request.model else tokens})

    return answer


def fails(
    status: int, code: str | None = None, *, param: str | None = None, retry_after_s: float | None = None
) -> Answer:
    """An error in OpenAI's shape."""
    error = {"message": f"status {status} on command", "type": "error", "param": param, "code": code}
    headers = {} if retry_after_s is None else {"retry-after": f"{retry_after_s:g}"}
    return lambda request: Reply(status=status, body={"error": error}, headers=headers)


def hangs() -> Answer:
    """No answer until the client or the server goes away."""
    return lambda request: Reply(ending="never")


def cuts() -> Answer:
    """The connection is cut in the middle of the answer."""
    return lambda request: Reply(body={"text": "x" * 2000}, ending="cut", is_checked=False)


def garbles(body: str = '{"text": "half an ans', content_type: str = "application/json") -> Answer:
    """Status 200 with a body that is not what its type says."""
    return lambda request: Reply(body=body, content_type=content_type, is_checked=False)


def asked_schema(request: SentRequest) -> dict[str, Any] | None:
    """The JSON schema that a language request wants its answer in; None where it wants none."""
    text = request.body.get("text") or {}
    asked = text.get("format") or (request.body.get("response_format") if request.operation != "/responses" else None)
    if not isinstance(asked, dict) or asked.get("type") != "json_schema":
        return None
    schema = asked.get("schema") or asked.get("json_schema", {}).get("schema")
    return schema if isinstance(schema, dict) else None


def example_of(schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> Any:
    """A small instance of a JSON schema: the first choice of each enumeration, nothing where nothing is allowed."""
    root = schema if root is None else root
    if "$ref" in schema:
        target: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return example_of(target, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        nothing = any(part.get("type") == "null" for part in schema["anyOf"])
        return None if nothing else example_of(schema["anyOf"][0], root)
    kind = schema.get("type")
    if isinstance(kind, list):
        return None if "null" in kind else example_of({**schema, "type": kind[0]}, root)
    if kind == "object":
        return {name: example_of(part, root) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [example_of(schema["items"], root) for _ in range(schema.get("minItems", 0))]
    plain = {"string": "words", "integer": schema.get("minimum", 0), "number": schema.get("minimum", 0.0)}
    return plain.get(str(kind), kind == "boolean" and None)


def _output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response(request: SentRequest, content: list[dict[str, Any]], usage: Usage) -> dict[str, Any]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": CREATED_AT,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": request.model,
        "output": [message],
        "parallel_tool_calls": True,
        "temperature": 1,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1,
        "usage": {
            "input_tokens": usage.input_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": usage.input_tokens + usage.output_tokens,
        },
    }


def _completion(request: SentRequest, message: dict[str, Any], finish: str, usage: Usage) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": finish, "logprobs": None, "message": {"role": "assistant", **message}}
    return {
        "id": "chatcmpl_1",
        "object": "chat.completion",
        "created": CREATED_AT,
        "model": request.model,
        "choices": [choice],
        "usage": {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": usage.input_tokens + usage.output_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        },
    }


def _segment(index: int, segment: Segment) -> dict[str, Any]:
    start, end, text = segment
    fixed = {"seek": 0, "tokens": [], "temperature": 0.0, "avg_logprob": -0.2, "no_speech_prob": 0.01}
    return {"id": index, "start": start, "end": end, "text": text, "compression_ratio": 1.1, **fixed}


def _words(segment: Segment) -> list[dict[str, Any]]:
    start, end, text = segment
    said = text.split()
    step = (end - start) / max(1, len(said))
    return [
        {"word": word, "start": start + index * step, "end": start + (index + 1) * step}
        for index, word in enumerate(said)
    ]
