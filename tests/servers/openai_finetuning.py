"""The files and fine-tuning jobs of the local OpenAI server.

Use: `desk = TuningDesk(); server.reply_always(desk)`. A job stays at `validating_files` until the test moves it on.
"""

import itertools
import json
import threading
from typing import Any

from tests.servers.openai_answers import CREATED_AT, Answer, Reply, default_answer, fails
from tests.servers.openai_requests import SentRequest

_ROLES = ["system", "user", "assistant"]


class TuningDesk:
    """Answers what concerns files and fine-tuning, and everything else by `inner`."""

    def __init__(self, inner: Answer = default_answer) -> None:
        self._inner = inner
        self._lock = threading.RLock()
        self._ids = itertools.count(1)
        self.files: dict[str, bytes] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        # The next jobs end so right after they were created: the answer is lost, or the job is refused.
        self.fates: list[Answer] = []
        self.refusals: list[Answer] = []

    def __call__(self, request: SentRequest) -> Reply:
        """See Answer."""
        handle = {
            ("POST", "/files"): self._upload,
            ("DELETE", "/files/{file_id}"): self._remove,
            ("POST", "/fine_tuning/jobs"): self._create,
            ("GET", "/fine_tuning/jobs"): self._list,
            ("GET", "/fine_tuning/jobs/{fine_tuning_job_id}"): self._look,
        }.get((request.method, request.operation))
        if handle is None:
            return self._inner(request)
        with self._lock:
            return handle(request)

    def examples(self, file_id: str) -> list[dict[str, Any]]:
        """The examples of a file, checked as the real service checks them."""
        found = [json.loads(line) for line in self.files[file_id].decode().splitlines()]
        for example in found:
            assert list(example) == ["messages"]
            assert [message["role"] for message in example["messages"]] == _ROLES
            assert all(message["content"] for message in example["messages"])
        return found

    def _upload(self, request: SentRequest) -> Reply:
        if request.body.get("purpose") != "fine-tune":
            return fails(400, "invalid_purpose")(request)
        file_id = f"file-{next(self._ids)}"
        self.files[file_id] = request.files["file"].content
        return Reply(
            body={
                "id": file_id,
                "object": "file",
                "bytes": len(self.files[file_id]),
                "created_at": CREATED_AT,
                "filename": request.files["file"].name,
                "purpose": "fine-tune",
                "status": "processed",
            }
        )

    def _remove(self, request: SentRequest) -> Reply:
        file_id = request.path.rsplit("/", 1)[1]
        if self.files.pop(file_id, None) is None:
            return fails(404, "not_found")(request)
        return Reply(body={"id": file_id, "object": "file", "deleted": True})

    def _create(self, request: SentRequest) -> Reply:
        if self.refusals:
            return self.refusals.pop(0)(request)
        sent = request.body
        if len(self.examples(sent["training_file"])) < 10:
            return fails(400, "invalid_n_examples")(request)
        job_id = f"ftjob-{next(self._ids)}"
        self.jobs[job_id] = {
            "id": job_id,
            "object": "fine_tuning.job",
            "created_at": CREATED_AT,
            "error": None,
            "fine_tuned_model": None,
            "finished_at": None,
            "hyperparameters": {"n_epochs": "auto"},
            "model": sent["model"],
            "organization_id": "org-1",
            "result_files": [],
            "status": "validating_files",
            "trained_tokens": None,
            "training_file": sent["training_file"],
            "validation_file": sent.get("validation_file"),
            "seed": 1,
            "method": sent.get("method", {"type": "supervised"}),
            "metadata": sent.get("metadata", {}),
        }
        return self.fates.pop(0)(request) if self.fates else Reply(body=self.jobs[job_id])

    def _list(self, request: SentRequest) -> Reply:
        return Reply(body={"object": "list", "data": list(self.jobs.values())[::-1], "has_more": False})

    def _look(self, request: SentRequest) -> Reply:
        job_id = request.path.rsplit("/", 1)[1]
        return Reply(body=self.jobs[job_id]) if job_id in self.jobs else fails(404, "not_found")(request)
