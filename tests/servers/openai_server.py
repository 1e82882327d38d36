"""A local HTTP server that speaks OpenAI's and Azure OpenAI's paths, checks what it is sent, and answers as told.

Every request is checked against OpenAI's own description of its API where that is at hand (`is_checking`); a wrong
request is answered with a 400 and stays in `problems`. Nothing here needs pytest: benchmarks use it too.
"""

import json
import re
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.servers.local_http import LocalHandler, LocalServer
from tests.servers.openai_answers import Answer, Reply, default_answer, fails
from tests.servers.openai_limits import TOO_MANY, Limiter, max_output_tokens, output_tokens, prompt_tokens
from tests.servers.openai_requests import SentFile, SentRequest, audio_length_s, describe, find_description, read_form

API_KEY = "test-key"
API_VERSION = "2025-04-01-preview"

_AZURE_DEPLOYMENT = re.compile(r"/openai/deployments/([^/]+)(/.+)")
_PREFIX = re.compile(r"(?:/openai)?/v1(/.+)|/openai(/(?!deployments/).+)")
# Paths with an id in them, as the description writes them.
_WITH_ID = {
    re.compile(r"/models/[^/]+"): "/models/{model}",
    re.compile(r"/files/[^/]+"): "/files/{file_id}",
    re.compile(r"/files/[^/]+/content"): "/files/{file_id}/content",
    re.compile(r"/batches/[^/]+"): "/batches/{batch_id}",
    re.compile(r"/batches/[^/]+/cancel"): "/batches/{batch_id}/cancel",
    re.compile(r"/fine_tuning/jobs/[^/]+"): "/fine_tuning/jobs/{fine_tuning_job_id}",
    re.compile(r"/fine_tuning/jobs/[^/]+/events"): "/fine_tuning/jobs/{fine_tuning_job_id}/events",
}


class OpenAIServer(LocalServer):
    """What stands in for OpenAI or Azure, from `with` until its end.

    A benchmark lets it check one request in `check_every` only: checking takes longer than answering.
    """

    def __init__(self, description: Path | None = None, *, check_every: int = 1) -> None:
        super().__init__(_handler_of(self))
        found = description or find_description()
        self._description = describe(found) if found else None
        self._check_every = check_every
        self._once: deque[Answer] = deque()
        self._always: Answer = default_answer
        self._limiters: dict[str, Limiter] = {}
        self._lock = threading.Lock()
        self.requests: list[SentRequest] = []
        self.problems: list[str] = []

    @property
    def is_checking(self) -> bool:
        """Whether requests are checked; False where OpenAI's description is not at hand."""
        return self._description is not None

    @property
    def azure_endpoint(self) -> str:
        """What an Azure client takes as its endpoint."""
        return self.url

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"{self.azure_endpoint}/v1"

    def reply(self, *answers: Answer) -> None:
        """Answer the next requests so, one each, in this order."""
        with self._lock:
            self._once.extend(answers)

    def reply_always(self, answer: Answer) -> None:
        """Answer so whenever nothing is queued."""
        self._always = answer

    def limit(self, model: str, limiter: Limiter) -> None:
        """Let the limiter judge what is asked of that model or deployment, before it is answered."""
        self._limiters[model] = limiter

    def answer(self, request: SentRequest, problem: Reply | None) -> Reply:
        """Keep the request and say what is answered to it; `problem` is the server's own refusal, if it has one."""
        found: list[str] = []
        is_checked = len(self.requests) % self._check_every == 0
        if problem is None and self._description is not None and is_checked:
            found = self._description.problems_of_request(request)
        if request.body.get("stream") in (True, "true"):
            found.append("this server does not stream")
        with self._lock:
            self.requests.append(request)
            self.problems += [f"{request.method} {request.path}: {text}" for text in found]
            if problem is not None or found:
                return problem or fails(400, "invalid_request_error")(request)
            limiter = self._limiters.get(request.model) if request.method == "POST" else None
            headers: Mapping[str, str] = {}
            if limiter:
                verdict = limiter.arrive(time.monotonic(), prompt_tokens(request), max_output_tokens(request))
                if not verdict.is_admitted:
                    return Reply(status=429, body=TOO_MANY, headers=verdict.headers)
                headers = verdict.headers
            told = self._once.popleft() if self._once else self._always
        reply = told(request)
        if limiter:
            reply = replace(reply, headers={**headers, **reply.headers})
            with self._lock:
                limiter.finish(time.monotonic(), max_output_tokens(request), output_tokens(reply))
        is_right_to_be = reply.status == 200 and reply.is_checked and reply.ending == "whole"
        if self._description is not None and is_checked and is_right_to_be:
            wrong = self._description.problems_of_answer(request, reply.body)
            with self._lock:
                self.problems += [f"answer to {request.path}: {text}" for text in wrong]
        return reply


def read_request(method: str, target: str, headers: dict[str, str], body: bytes) -> SentRequest:
    """The request in the description's terms. `operation` is empty for a path that neither OpenAI nor Azure has."""
    url = urlsplit(target)
    deployment, operation = "", ""
    if found := _AZURE_DEPLOYMENT.fullmatch(url.path):
        deployment, operation = unquote(found[1]), found[2]
    elif found := _PREFIX.fullmatch(url.path):
        operation = found[1] or found[2]
        operation = next((named for path, named in _WITH_ID.items() if path.fullmatch(operation)), operation)
    content_type = headers.get("content-type", "")
    fields: dict[str, Any] = {}
    files: dict[str, SentFile] = {}
    if content_type.startswith("multipart/form-data"):
        fields, files = read_form(content_type, body)
    elif body:
        try:
            fields = json.loads(body)
        except ValueError:
            fields = {}
    return SentRequest(
        method=method,
        path=url.path,
        operation=operation,
        deployment=deployment,
        query=dict(parse_qsl(url.query)),
        headers=headers,
        body=fields,
        files=files,
        audio_s=audio_length_s(files["file"].content) if "file" in files else 0.0,
    )


def refuse(request: SentRequest) -> Reply | None:
    """What a server refuses before it looks at the body: an unknown path, no api-version, a wrong key."""
    is_azure = request.path.startswith("/openai/") and not request.path.startswith("/openai/v1/")
    if not request.operation or (is_azure and "api-version" not in request.query):
        return fails(404, "not_found")(request)
    keys = {request.headers.get("authorization", "").removeprefix("Bearer "), request.headers.get("api-key", "")}
    return None if API_KEY in keys else fails(401, "invalid_api_key")(request)


def _handler_of(server: OpenAIServer) -> type[LocalHandler]:
    class Handler(LocalHandler):
        def serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = read_request(self.command, self.path, headers, body)
            try:
                reply = server.answer(request, refuse(request))
            except Exception as error:
                # A fault of this server or of a test's answer must fail the test, not look like a network's.
                server.problems.append(f"{request.path}: {error!r}")
                raise
            text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
            about = {"content-type": reply.content_type, "x-request-id": f"req_{len(server.requests)}"}
            self.send(reply.status, {**about, **reply.headers}, text.encode(), reply.ending)

    return Handler
