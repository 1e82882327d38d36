"""The files and batches of the local OpenAI server: what was uploaded, what was asked in batches, and how each ended.

Use: `shelf = BatchShelf(server); server.reply_always(shelf)`. A batch stays in progress until the test lets it end
(`shelf.end`), unless `is_quick`: it then ends before anybody looks at it.
"""

import itertools
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.servers.openai_answers import CREATED_AT, Answer, Reply, default_answer, fails
from tests.servers.openai_requests import SentRequest, describe, find_description
from tests.servers.openai_server import OpenAIServer

MOST_QUESTIONS = 50_000
EXPIRED = {
    "code": "batch_expired",
    "message": "This request could not be executed before the completion window expired.",
}


@dataclass
class ShelvedBatch:
    """One batch: its questions by custom_id, and how it stands."""

    id: str
    input_file_id: str
    metadata: Mapping[str, str]
    questions: Mapping[str, Mapping[str, Any]]
    created_at: int
    status: str = "in_progress"
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)


class BatchShelf:
    """Answers what concerns files and batches, and everything else, a batch's questions too, by `inner`."""

    def __init__(self, server: OpenAIServer, inner: Answer = default_answer, *, is_quick: bool = False) -> None:
        self._server = server
        self._inner = inner
        self._is_quick = is_quick
        self._lock = threading.RLock()
        self._ids = itertools.count(1)
        found = find_description()
        self._description = describe(found) if found else None
        self.files: dict[str, tuple[str, bytes]] = {}
        self.batches: dict[str, ShelvedBatch] = {}
        self.removed: list[str] = []
        # What batches were made to answer, by custom_id, in order: what was paid for twice stands here twice.
        self.answered: list[str] = []
        # Codes for which the next batches are refused as a whole, after they were created.
        self.refusals: list[str] = []

    def __call__(self, request: SentRequest) -> Reply:
        """See Answer."""
        handle = {
            ("POST", "/files"): self._upload,
            ("GET", "/files"): self._list_files,
            ("DELETE", "/files/{file_id}"): self._remove,
            ("GET", "/files/{file_id}/content"): self._content,
            ("POST", "/batches"): self._create,
            ("GET", "/batches"): self._list,
            ("GET", "/batches/{batch_id}"): self._look,
        }.get((request.method, request.operation))
        if handle is None:
            return self._inner(request)
        with self._lock:
            return handle(request)

    def end(
        self,
        status: str = "completed",
        *,
        answers: int | None = None,
        fate: Callable[[int, SentRequest], Reply] | None = None,
    ) -> None:
        """Let every batch that is in progress end so, after `answers` of its questions; None is all of them.

        `fate` says what comes of the Nth question of a batch, from 0, in place of `inner`.
        """
        with self._lock:
            for batch in self.batches.values():
                if batch.status == "in_progress":
                    self._end(batch, status, answers, fate or (lambda _, request: self._inner(request)))

    def _end(
        self, batch: ShelvedBatch, status: str, answers: int | None, fate: Callable[[int, SentRequest], Reply]
    ) -> None:
        good: list[dict[str, Any]] = []
        bad: list[dict[str, Any]] = []
        for number, (custom_id, body) in enumerate(batch.questions.items()):
            line: dict[str, Any] = {"id": f"batch_req_{custom_id}", "custom_id": custom_id}
            if answers is not None and number >= answers:
                bad.append(line | {"response": None, "error": EXPIRED})
                continue
            reply = fate(number, SentRequest("POST", "/v1/responses", "/responses", "", {}, {}, body))
            response = {"status_code": reply.status, "request_id": f"req_{custom_id}", "body": reply.body}
            (good if reply.status == 200 else bad).append(line | {"response": response, "error": None})
            if reply.status == 200:
                self.answered.append(custom_id)
        # Answers come in any order.
        batch.output_file_id = self._shelve("output.jsonl", good[::-1]) if good else None
        batch.error_file_id = self._shelve("errors.jsonl", bad) if bad else None
        batch.status = status

    def _shelve(self, name: str, lines: list[dict[str, Any]]) -> str:
        file_id = f"file-{next(self._ids)}"
        self.files[file_id] = (name, "".join(json.dumps(line) + "\n" for line in lines).encode())
        return file_id

    def _upload(self, request: SentRequest) -> Reply:
        sent = request.files["file"]
        file_id = f"file-{next(self._ids)}"
        self.files[file_id] = (sent.name, sent.content)
        return Reply(body=self._file(file_id))

    def _file(self, file_id: str) -> dict[str, Any]:
        name, content = self.files[file_id]
        return {
            "id": file_id,
            "object": "file",
            "bytes": len(content),
            "created_at": CREATED_AT,
            "filename": name,
            "purpose": "batch",
            "status": "processed",
        }

    def _list_files(self, request: SentRequest) -> Reply:
        return Reply(body=_page([self._file(file_id) for file_id in reversed(self.files)]))

    def _remove(self, request: SentRequest) -> Reply:
        file_id = request.path.rsplit("/", 1)[1]
        if self.files.pop(file_id, None) is None:
            return fails(404, "not_found")(request)
        self.removed.append(file_id)
        return Reply(body={"id": file_id, "object": "file", "deleted": True})

    def _content(self, request: SentRequest) -> Reply:
        file_id = request.path.split("/")[-2]
        if file_id not in self.files:
            return fails(404, "not_found")(request)
        return Reply(body=self.files[file_id][1].decode(), content_type="application/octet-stream", is_checked=False)

    def _create(self, request: SentRequest) -> Reply:
        file_id = request.body["input_file_id"]
        if file_id not in self.files:
            return fails(400, "invalid_request_error", param="input_file_id")(request)
        questions = self._questions(self.files[file_id][1])
        number = next(self._ids)
        batch = ShelvedBatch(
            f"batch_{number}", file_id, request.body.get("metadata") or {}, questions, CREATED_AT + number
        )
        if self.refusals:
            batch.status = "failed"
            batch.errors = [{"code": self.refusals.pop(0), "message": "refused", "param": None, "line": None}]
        self.batches[batch.id] = batch
        return Reply(body=_batch(batch, request.body["endpoint"]))

    def _questions(self, content: bytes) -> dict[str, Mapping[str, Any]]:
        """A batch's questions, each looked at as if it had come by itself."""
        questions: dict[str, Mapping[str, Any]] = {}
        for text in content.decode().splitlines():
            line = json.loads(text)
            wrong = set(line) != {"custom_id", "method", "url", "body"} or line["custom_id"] in questions
            request = SentRequest(
                line["method"],
                line["url"],
                line["url"].removeprefix("/v1"),
                "",
                {},
                {"content-type": "application/json"},
                line["body"],
            )
            problems = self._description.problems_of_request(request) if self._description else []
            self._server.problems += [f"batch line: {problem}" for problem in problems]
            if wrong:
                self._server.problems.append("batch line: not custom_id, method, url and body, each question once")
            questions[line["custom_id"]] = line["body"]
        if not 0 < len(questions) <= MOST_QUESTIONS:
            self._server.problems.append(f"a batch of {len(questions)} questions")
        return questions

    def _list(self, request: SentRequest) -> Reply:
        return Reply(body=_page([_batch(batch) for batch in reversed(self.batches.values())]))

    def _look(self, request: SentRequest) -> Reply:
        batch = self.batches.get(request.path.rsplit("/", 1)[1])
        if batch is None:
            return fails(404, "not_found")(request)
        if self._is_quick and batch.status == "in_progress":
            self._end(batch, "completed", None, lambda _, question: self._inner(question))
        return Reply(body=_batch(batch))


def _batch(batch: ShelvedBatch, endpoint: str = "/v1/responses") -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": batch.id,
        "object": "batch",
        "endpoint": endpoint,
        "input_file_id": batch.input_file_id,
        "completion_window": "24h",
        "status": batch.status,
        "created_at": batch.created_at,
        "metadata": dict(batch.metadata),
    }
    if batch.output_file_id:
        body["output_file_id"] = batch.output_file_id
    if batch.error_file_id:
        body["error_file_id"] = batch.error_file_id
    if batch.errors:
        body["errors"] = {"object": "list", "data": batch.errors}
    return body


def _page(items: list[dict[str, Any]]) -> dict[str, Any]:
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {"first_id": "", "last_id": ""}
    return {"object": "list", "data": items, "has_more": False, **ends}
