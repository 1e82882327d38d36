"""The way of one call, as data: stages, and the steps between them."""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """Where a call stands. `done`, `skipped` and `failed` are terminal."""

    RECEIVED = "received"
    TRANSCRIBED = "transcribed"
    UNDERSTOOD = "understood"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


TERMINAL_STAGES = frozenset({Stage.DONE, Stage.SKIPPED, Stage.FAILED})


class SkipReason(StrEnum):
    """Why a call ended without an analysis although nothing went wrong."""

    NO_SPEECH = "no_speech"
    VOICEMAIL = "voicemail"
    TOO_SHORT = "too_short"
    ABSENT = "absent"


@dataclass(frozen=True)
class Step:
    """One task of the pipeline: it takes a call from stage `needs` to stage `gives`; `queue` says who does it."""

    name: str
    needs: Stage
    gives: Stage
    queue: str


PIPELINE = (
    Step("call.transcribe", needs=Stage.RECEIVED, gives=Stage.TRANSCRIBED, queue="speech"),
    Step("call.understand", needs=Stage.TRANSCRIBED, gives=Stage.UNDERSTOOD, queue="language"),
    Step("call.file", needs=Stage.UNDERSTOOD, gives=Stage.DONE, queue="language"),
)

QUEUES = tuple(dict.fromkeys(step.queue for step in PIPELINE))


def step_named(name: str) -> Step:
    """The step of that task name. Raises KeyError for a name that the pipeline does not have."""
    for step in PIPELINE:
        if step.name == name:
            return step
    raise KeyError(name)


def next_step(stage: Stage) -> Step | None:
    """The step that a call at `stage` waits for; None at a terminal stage."""
    for step in PIPELINE:
        if step.needs == stage:
            return step
    return None
