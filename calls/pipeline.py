"""The way of one call, as data: stages, and the steps between them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum


class Stage(StrEnum):
    """Where a call stands; `announced` is one whose recording telephony still keeps. `done`, `skipped` and `failed` are
    terminal.
    """

    ANNOUNCED = "announced"
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
    # Telephony says that there is no recording, or that making it went wrong.
    ABSENT = "absent"
    RECORDING_FAILED = "recording_failed"


class Lane(IntEnum):
    """Which work goes first: a call that just ended waits for no pile of old recordings."""

    LIVE = 0
    BACKFILL = 1


@dataclass(frozen=True)
class Step:
    """One task of the pipeline: it takes a call from stage `needs` to stage `gives`; `queue` says who does it."""

    name: str
    needs: Stage
    gives: Stage
    queue: str


FETCH = Step("call.fetch", needs=Stage.ANNOUNCED, gives=Stage.RECEIVED, queue="language")
TRANSCRIBE = Step("call.transcribe", needs=Stage.RECEIVED, gives=Stage.TRANSCRIBED, queue="speech")
# A conversation that comes as text is read instead of heard: intake gives it this step, none leads to it.
READ = Step("call.read", needs=Stage.RECEIVED, gives=Stage.TRANSCRIBED, queue="language")
UNDERSTAND = Step("call.understand", needs=Stage.TRANSCRIBED, gives=Stage.UNDERSTOOD, queue="language")
# A call that has ended is asked about anew, under other reasons: somebody orders it, no step leads to it, and the call
# stays as it ended until the answer is there.
RECLASSIFY = Step("call.reclassify", needs=Stage.DONE, gives=Stage.DONE, queue="language")
FILE = Step("call.file", needs=Stage.UNDERSTOOD, gives=Stage.DONE, queue="language")

PIPELINE = (FETCH, TRANSCRIBE, READ, UNDERSTAND, RECLASSIFY, FILE)

# What was stored longer ago than this when it is taken in is old work: it comes behind every call of today.
LIVE_WITHIN = timedelta(hours=24)

QUEUES = ("speech", "language")


def step_named(name: str) -> Step:
    """The step of that task name. Raises KeyError for a name that the pipeline does not have."""
    for step in PIPELINE:
        if step.name == name:
            return step
    raise KeyError(name)


def next_step(stage: Stage) -> Step | None:
    """The step that a call at `stage` waits for, with sound for its recording; None at a terminal stage."""
    for step in PIPELINE:
        if step.needs == stage and step not in {READ, RECLASSIFY}:
            return step
    return None


def lane_of(stored_at: datetime | None, now: datetime) -> Lane:
    """The lane of a recording that was stored then and is taken in now; without a time it is taken for a live one."""
    return Lane.BACKFILL if stored_at is not None and now - stored_at > LIVE_WITHIN else Lane.LIVE
