"""The steps of the pipeline: claim, work with no transaction open, write the result under the claim.

Every failure ends in one of four ways: another attempt later, a call parked as failed with a code, a call skipped for a
reason, or work that waits until a person has mended a setting.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
import structlog

from calls.errors import CallwiseError, NotYet, Paced, SetupBroken, TerminalError, TransientError
from calls.pipeline import FETCH, RECLASSIFY, Step
from crm import jobs, results
from crm.batch_questions import forget_questions
from crm.reclassify import note_ended
from workers.fetching import fetch
from workers.parts import Parts, Write
from workers.reading import read
from workers.transcribing import transcribe
from workers.understanding import reclassify, understand

log = structlog.get_logger()

LONGEST_BACKOFF_S = 600.0
BROKEN_WAIT_S = 30.0
LEFTOVER_S = 24 * 3600.0


def run_step(parts: Parts, step: Step, call_id: UUID) -> None:
    """Do `step` of the call if it is due and nobody else does; a second run finds it done and returns.

    Where the call is old work and live work of the queue waits, that is done instead (see `jobs.claim`).
    Steps that this worker does, too, follow at once. Raises nothing but what makes the database unreachable: the
    claim's lease then ends by itself and the sweep rings again.
    """
    with parts.database.write() as connection:
        claim = jobs.claim(connection, call_id, step, now=_now(), lease_s=parts.lease_s)
        work = results.work_for(connection, claim.call_id) if claim else None
    following: _Begun | Step | None = _Begun(claim, work) if claim else None
    while isinstance(following, _Begun):
        following = _do(parts, following)
    if claim is not None and following is not None and parts.ring:
        parts.ring(following, claim.call_id)


@dataclass(frozen=True)
class _Begun:
    """A claimed step, and what it works on."""

    claim: jobs.Claim
    work: results.Work | None


def _do(parts: Parts, begun: _Begun) -> _Begun | Step | None:
    """One claimed step, and what follows it."""
    claim, step = begun.claim, begun.claim.step
    bound = log.bind(call_id=str(claim.call_id), step=step.name, attempt=claim.attempt)
    if claim.attempt > parts.max_attempts:
        _park(parts, claim, "worker_died", "every attempt ended without a word from its worker")
        bound.error("step_gave_up", code="worker_died")
        return None
    if begun.work is None:
        _park(parts, claim, "no_recording", "the call has no recording")
        return None
    try:
        with parts.leases.keep(claim):
            parts.observe(step, "claimed")
            write = _WORK[step.name](parts, begun.work)
            parts.observe(step, "worked")
            following = _commit(parts, claim, write)
            parts.observe(step, "committed")
            return _Begun(following, _work_after(parts, begun)) if isinstance(following, jobs.Claim) else following
    except jobs.ClaimLost:
        bound.warning("claim_lost")
    except Paced as error:
        bound.debug("step_waits", code=error.code)
        _put_back(parts, claim, error, wait_s=error.retry_after_s or 0.0, counts=True, was_tried=False)
    except NotYet as error:
        bound.info("step_waits", code=error.code)
        _put_back(parts, claim, error, wait_s=error.retry_after_s or BROKEN_WAIT_S, counts=False)
    except SetupBroken as error:
        bound.error("step_waits", code=error.code, detail=error.detail)
        _put_back(parts, claim, error, wait_s=BROKEN_WAIT_S, counts=False)
    except TerminalError as error:
        bound.warning("step_failed", code=error.code)
        _park(parts, claim, error.code, error.detail)
    except TransientError as error:
        _try_later(parts, claim, error, bound)
    except Exception as error:  # noqa: BLE001
        # Whatever it is, the call must end in a state that a person sees.
        bound.exception("step_broke")
        _try_later(parts, claim, TransientError(type(error).__name__, code="unexpected_error"), bound)
    return None


def _work_after(parts: Parts, begun: _Begun) -> results.Work | None:
    """What the next step works on: the same, but that a recording has its eTag only when it was fetched."""
    if begun.claim.step is not FETCH:
        return begun.work
    with parts.database.read() as connection:
        return results.work_for(connection, begun.claim.call_id)


def file(_parts: Parts, work: results.Work) -> Write:
    """Put the call with its customer."""

    def write(connection: sa.Connection, _now: datetime) -> None:
        results.file_call(connection, work.call_id)

    return write


_WORK: dict[str, Callable[[Parts, results.Work], Write]] = {
    "call.fetch": fetch,
    "call.transcribe": transcribe,
    "call.read": read,
    "call.understand": understand,
    "call.reclassify": reclassify,
    "call.file": file,
}


def clear_leftovers(scratch: Path) -> None:
    """Remove what steps that were killed left behind; what is younger than LEFTOVER_S may still be worked on."""
    for folder in scratch.glob("*"):
        with suppress(OSError):
            if time.time() - folder.stat().st_mtime > LEFTOVER_S:
                shutil.rmtree(folder)


def _commit(parts: Parts, claim: jobs.Claim, write: Write) -> jobs.Claim | Step | None:
    now = _now()
    with parts.database.write() as connection:
        # First: what a worker writes that was thought dead would meet what another has written since.
        jobs.hold(connection, claim)
        outcome = write(connection, now)
        rung_at = now if parts.ring else None
        if isinstance(outcome, Step):
            return jobs.hand_over(connection, claim, outcome, now=now, rung_at=rung_at)
        if outcome is not None:
            jobs.skip(connection, claim, outcome, now=now)
            return None
        following = jobs.advance(connection, claim, now=now, lease_s=parts.lease_s, rung_at=rung_at, does=parts.queues)
        parts.observe(claim.step, "writing")
        return following


def _try_later(
    parts: Parts, claim: jobs.Claim, error: TransientError, bound: structlog.typing.FilteringBoundLogger
) -> None:
    if claim.attempt >= parts.max_attempts:
        bound.error("step_gave_up", code=error.code)
        _park(parts, claim, error.code, error.detail)
        return
    wait_s = min(parts.backoff_s * 2 ** (claim.attempt - 1), LONGEST_BACKOFF_S)
    bound.warning("step_postponed", code=error.code, wait_s=wait_s)
    _put_back(parts, claim, error, wait_s=max(wait_s, error.retry_after_s or 0.0), counts=True)


def _put_back(
    parts: Parts, claim: jobs.Claim, error: CallwiseError, *, wait_s: float, counts: bool, was_tried: bool = True
) -> None:
    due_at = _now() + timedelta(seconds=wait_s)
    with suppress(jobs.ClaimLost), parts.database.write() as connection:
        jobs.put_back(connection, claim, error.code, error.detail, due_at=due_at, counts=counts, was_tried=was_tried)


def _park(parts: Parts, claim: jobs.Claim, code: str, detail: str) -> None:
    with suppress(jobs.ClaimLost), parts.database.write() as connection:
        # Whoever retries it wants another answer.
        forget_questions(connection, claim.call_id)
        jobs.fail(connection, claim, code, detail, now=_now())
        if claim.step is RECLASSIFY:
            note_ended(connection, claim.call_id, code)


def _now() -> datetime:
    return datetime.now(UTC)
