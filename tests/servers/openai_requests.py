"""Checks what is sent to the local OpenAI server against OpenAI's own description of its API."""

import io
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
from jsonschema import Draft202012Validator

UPLOAD_LIMIT_BYTES = 25 * 1024 * 1024
DIARIZE_LIMIT_S = 1400.0
AUDIO_SUFFIXES = (".flac", ".mp3", ".mp4", ".mpeg", ".mpga", ".m4a", ".ogg", ".wav", ".webm")


@dataclass(frozen=True)
class SentFile:
    """One uploaded file of a form."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class SentRequest:
    """One request as the server received it.

    `operation` is the path as OpenAI's description writes it (`/responses`), whatever prefix it came under;
    `deployment` is the one in an Azure path; `body` holds the JSON or the form's fields; `audio_s` is the length of an
    uploaded file.
    """

    method: str
    path: str
    operation: str
    deployment: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    files: Mapping[str, SentFile] = field(default_factory=dict)
    audio_s: float = 0.0

    @property
    def model(self) -> str:
        """The model or deployment that is asked for."""
        return self.deployment or str(self.body.get("model", ""))


def find_description() -> Path | None:
    """OpenAI's description in the shared folder: CALLWISE_SHARED, or `../shared` beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared"
    path = Path(os.environ.get("CALLWISE_SHARED", beside)) / "openai" / "openapi.json"
    return path if path.is_file() else None


class Description:
    """OpenAI's API description, asked for what is wrong with a request or an answer."""

    def __init__(self, path: Path) -> None:
        self._document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        self._validator = lru_cache(maxsize=None)(self._make_validator)

    def problems_of_request(self, request: SentRequest) -> list[str]:
        """Every way in which the request differs from the description; [] when it is right."""
        operation = self._document["paths"].get(request.operation, {}).get(request.method.lower())
        if operation is None:
            return [f"{request.method} {request.operation} is no operation"]
        content = operation.get("requestBody", {}).get("content", {})
        if not content:
            return []
        sent_type = request.headers.get("content-type", "").split(";")[0]
        if sent_type not in content:
            return [f"content type {sent_type!r} instead of {', '.join(content)}"]
        schema = content[sent_type]["schema"]
        body = dict(request.body)
        if sent_type == "multipart/form-data":
            body = self._typed_form(body, schema) | dict.fromkeys(request.files, "file")
        unknown = sorted(set(body) - set(self._properties(schema)))
        return (
            [f"unknown field {name}" for name in unknown]
            + self._differences(schema, body)
            + _problems_of_format(body)
            + _problems_of_audio(request, body)
        )

    def problems_of_answer(self, request: SentRequest, answer: object) -> list[str]:
        """Every way in which a 200 answer differs from the description."""
        operation = self._document["paths"][request.operation][request.method.lower()]
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        if request.operation.startswith("/audio/"):
            # The description says "one of", and the plain shape also fits the richer ones: one fit is enough.
            schema = {"anyOf": schema.get("oneOf", [schema])}
        return self._differences(schema, answer)

    def _make_validator(self, schema_text: str) -> Draft202012Validator:
        return Draft202012Validator({**json.loads(schema_text), "components": self._document["components"]})

    def _differences(self, schema: Mapping[str, Any], value: object) -> list[str]:
        errors = self._validator(json.dumps(schema, sort_keys=True)).iter_errors(value)
        return [f"{'.'.join(map(str, error.absolute_path)) or 'body'}: {error.message[:300]}" for error in errors]

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        return schema

    def _properties(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        schema = self._resolve(schema)
        found = dict(schema.get("properties", {}))
        for part in schema.get("allOf", []):
            found |= self._properties(part)
        return found

    def _typed_form(self, fields: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
        """A form's fields carry text only: numbers and truth values become what the description says they are."""
        types = {name: self._resolve(part).get("type") for name, part in self._properties(schema).items()}
        typed: dict[str, Any] = {}
        for name, value in fields.items():
            if isinstance(value, dict):
                typed[name] = self._typed_form(value, self._properties(schema)[name]) if name in types else value
            elif types.get(name) in {"number", "integer"} and re.fullmatch(r"-?\d+(\.\d+)?", str(value)):
                typed[name] = float(value)
            elif isinstance(value, str) and value in {"true", "false"} and types.get(name) != "string":
                typed[name] = value == "true"
            else:
                typed[name] = value
        return typed


@lru_cache
def describe(path: Path) -> Description:
    """The description in that file, read once for all servers of a run."""
    return Description(path)


def _problems_of_format(body: Mapping[str, Any]) -> list[str]:
    """What OpenAI refuses in a strict JSON schema: an object that is open, or that leaves a property optional."""
    for asked in (body.get("text"), body.get("response_format")):
        if not isinstance(asked, dict):
            continue
        spec = asked.get("format") or asked.get("json_schema") or {}
        if isinstance(spec, dict) and spec.get("strict"):
            return [f"strict schema: {problem}" for problem in _open_objects(spec.get("schema") or {}, "schema")]
    return []


def _open_objects(schema: object, where: str) -> list[str]:
    if isinstance(schema, list):
        return [found for index, item in enumerate(schema) for found in _open_objects(item, f"{where}[{index}]")]
    if not isinstance(schema, dict):
        return []
    problems = []
    if schema.get("type") == "object" or "properties" in schema:
        if schema.get("additionalProperties") is not False:
            problems.append(f"{where} does not forbid additional properties")
        if set(schema.get("required", [])) != set(schema.get("properties", {})):
            problems.append(f"{where} does not require every property")
    for key, part in schema.items():
        if key in {"properties", "$defs"} and isinstance(part, dict):
            for name, inner in part.items():
                problems += _open_objects(inner, f"{where}.{name}")
        elif key in {"items", "anyOf"}:
            problems += _open_objects(part, f"{where}.{key}")
    return problems


def _problems_of_audio(request: SentRequest, body: Mapping[str, Any]) -> list[str]:
    """The rules that the description states in words only, each model's own."""
    if not request.operation.startswith("/audio/"):
        return []
    model, answer_format = request.model, body.get("response_format", "json")
    sent = request.files.get("file")
    rules = {
        "the upload has no file": sent is None,
        "the file's name says no known format": sent is not None and not sent.name.endswith(AUDIO_SUFFIXES),
        "the upload is over 25 MB": sent is not None and len(sent.content) > UPLOAD_LIMIT_BYTES,
        "the file is no audio": request.audio_s <= 0,
        "timestamps need verbose_json": "timestamp_granularities" in body and answer_format != "verbose_json",
        "keywords and languages are gpt-transcribe's": (
            ("keywords" in body or "languages" in body) and "gpt-transcribe" not in model
        ),
        "only json": "gpt-4o" in model and "diarize" not in model and answer_format != "json",
        "diarizing takes no prompt": "diarize" in model and "prompt" in body,
        "diarizing gives no verbose_json": "diarize" in model and answer_format == "verbose_json",
        "diarizing needs chunking_strategy beyond 30 s": (
            "diarize" in model and request.audio_s > 30 and "chunking_strategy" not in body
        ),
        "diarizing is limited to 1400 s": "diarize" in model and request.audio_s > DIARIZE_LIMIT_S,
        "only whisper translates": request.operation == "/audio/translations" and "whisper" not in model,
    }
    return [rule for rule, is_broken in rules.items() if is_broken]


def read_form(content_type: str, body: bytes) -> tuple[dict[str, Any], dict[str, SentFile]]:
    """The fields and files of a multipart form; `name[]` collects into a list, `name[key]` into an object."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is None:
        return {}, {}
    fields: dict[str, Any] = {}
    files: dict[str, SentFile] = {}
    for part in body.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        content = content.removesuffix(b"\r\n")
        name = re.search(rb'\bname="([^"]*)"', head)
        filename = re.search(rb'filename="([^"]*)"', head)
        kind = re.search(rb"(?i)content-type:\s*([^\r\n;]+)", head)
        if name is None:
            continue
        if filename is not None:
            files[name[1].decode()] = SentFile(filename[1].decode(), kind[1].decode() if kind else "", content)
            continue
        _put_field(fields, name[1].decode(), content.decode())
    return fields, files


def _put_field(fields: dict[str, Any], name: str, value: str) -> None:
    nested = re.fullmatch(r"(\w+)\[(\w*)\]", name)
    if nested is None:
        fields[name] = value
    elif nested[2]:
        fields.setdefault(nested[1], {})[nested[2]] = value
    else:
        fields.setdefault(nested[1], []).append(value)


def audio_length_s(content: bytes) -> float:
    """Seconds of audio in an uploaded file; 0 for anything that is none."""
    try:
        with av.open(io.BytesIO(content), "r") as container:
            stream = container.streams.audio[0]
            return float(sum(frame.samples for frame in container.decode(stream)) / stream.rate)
    except (av.FFmpegError, IndexError):
        return 0.0
