"""Fine-tuning at OpenAI or Azure OpenAI: files up, a job started once, and how it stands."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import openai
from openai.types.fine_tuning import FineTuningJob

from calls.errors import TransientError
from engines.openai_client import Provider, build_client, translated_errors

# The metadata of a job that says what it was taught with, so that the same files start no second one.
MARK = "callwise_files"
# OpenAI takes no training file with fewer examples.
MIN_EXAMPLES = 10
_OVER = frozenset({"failed", "cancelled"})
_LOOKED_THROUGH = 100


@dataclass(frozen=True)
class TuningJob:
    """How a job stands: `model` is the tuned one's name, empty while it is not there; `error_code` why it failed."""

    id: str
    status: str
    base_model: str
    model: str = ""
    trained_tokens: int | None = None
    error_code: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in _OVER or self.status == "succeeded"


class FineTuning:
    """The fine-tuning endpoints of one account; every method raises what `translated_errors` raises."""

    def __init__(
        self,
        provider: Provider,
        *,
        api_key: str | Callable[[], str] = "",
        base_url: str = "",
        api_version: str = "",
    ) -> None:
        self._provider = provider
        self._api_key = api_key
        self._base_url = base_url
        self._api_version = api_version

    @cached_property
    def _client(self) -> openai.OpenAI:
        return build_client(
            self._provider, api_key=self._api_key, base_url=self._base_url, api_version=self._api_version
        )

    def start(self, model: str, training: bytes, validation: bytes, *, suffix: str = "") -> TuningJob:
        """Start a job that teaches `model` these examples (JSONL); the one that has them already, where there is one.

        `validation` may be empty. Files that no job was made of are removed again, unless nobody can say whether one
        was.
        """
        mark = sha256(model.encode() + b"\0" + training + b"\0" + validation).hexdigest()
        known = self._find(mark)
        if known is not None:
            return known
        uploaded: list[str] = []
        try:
            for name, content in (("training.jsonl", training), ("validation.jsonl", validation)):
                if content:
                    uploaded.append(self._upload(name, content))
            with translated_errors("language"):
                job = self._client.fine_tuning.jobs.create(
                    model=model,
                    training_file=uploaded[0],
                    validation_file=uploaded[1] if len(uploaded) > 1 else openai.omit,
                    suffix=suffix or openai.omit,
                    method={"type": "supervised"},
                    metadata={MARK: mark},
                )
        except Exception:
            # The job may be there although its answer was lost, and then needs the files.
            known = self._find(mark)
            if known is not None:
                return known
            # Words of calls must not stay with the vendor for nothing.
            self._remove(uploaded)
            raise
        return _read(job)

    def look(self, job_id: str) -> TuningJob:
        """How that job stands."""
        with translated_errors("language"):
            return _read(self._client.fine_tuning.jobs.retrieve(job_id))

    def jobs(self) -> list[TuningJob]:
        """Those of the account's latest jobs that Callwise started, the latest first."""
        return [_read(job) for job in self._latest() if (job.metadata or {}).get(MARK)]

    def _find(self, mark: str) -> TuningJob | None:
        for job in self._latest():
            if (job.metadata or {}).get(MARK) == mark and job.status not in _OVER:
                return _read(job)
        return None

    def _latest(self) -> list[FineTuningJob]:
        with translated_errors("language"):
            return list(self._client.fine_tuning.jobs.list(limit=_LOOKED_THROUGH).data)

    def _upload(self, name: str, content: bytes) -> str:
        with translated_errors("language"):
            return self._client.files.create(file=(name, content, "application/jsonl"), purpose="fine-tune").id

    def _remove(self, file_ids: list[str]) -> None:
        for file_id in file_ids:
            try:
                with translated_errors("language"):
                    self._client.files.delete(file_id)
            except Exception:  # noqa: BLE001, S112 - the error that led here is the one to be told
                continue


def _read(job: FineTuningJob) -> TuningJob:
    if not getattr(job, "id", None) or not getattr(job, "status", None):
        raise TransientError("the server's answer is no fine-tuning job", code="invalid_response")
    return TuningJob(
        id=job.id,
        status=job.status,
        base_model=job.model,
        model=job.fine_tuned_model or "",
        trained_tokens=job.trained_tokens,
        error_code=(job.error.code or "") if job.error else "",
    )
