"""The steps of the pipeline: claim, work with no transaction open, write the result under the claim.

Every failure ends in one of four ways: another attempt later, a call parked as failed with a code, a call skipped for a
reason, or work that waits until a person has mended a setting.
"""

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import sqlalchemy as sa
import structlog

from calls.analysis import SkippedFeature
from calls.checking import check_analysis
from calls.errors import CallwiseError, NotYet, Paced, SetupBroken, TerminalError, TransientError
from calls.gates import gate
from calls.money import Charge, Service
from calls.pipeline import FETCH, RECLASSIFY, Lane, SkipReason, Step
from calls.prompts import PROMPT_VERSION
from calls.reasons import Taxonomy
from calls.recording import PEAKS, PLAYBACK, own_key
from calls.redaction import SensitiveFinder, find_in_turns, find_sensitive, mark_turns, redact_turns
from calls.sides import take_sides
from calls.transcript import take_turns
from crm import jobs, results
from crm.batches import forget_questions
from crm.database import Database
from crm.findings import save_findings
from crm.heard_pieces import forget_answers
from crm.money import note_charge
from crm.reclassify import KEPT_BY_PERSON, note_ended, settle
from crm.review_examples import with_reviewed_calls
from crm.reviews import keep_peoples_word
from crm.tables import call
from crm.taxonomies import current_taxonomy, store_taxonomy
from engines.audio import DecodedAudio, decode_beside, write_peaks, write_playback
from engines.language import Conversation, LanguageEngine
from engines.objects import ObjectStore
from engines.speech import ChannelAudio, SpeechEngine, SpeechHints
from workers.fetching import fetch, no_twilio
from workers.folders import private_folder
from workers.hearing import hear
from workers.leases import Leases
from workers.questions import StoredQuestions
from workers.reading import read, take_out_recording

if TYPE_CHECKING:
    from engines.twilio import TwilioRecordings

log = structlog.get_logger()

LONGEST_BACKOFF_S = 600.0
BROKEN_WAIT_S = 30.0
LEFTOVER_S = 24 * 3600.0

# Writes what a step found; says why the call is skipped, or which other step of the same stage is to do it.
Write = Callable[[sa.Connection, datetime], SkipReason | Step | None]


@dataclass(frozen=True)
class Parts:
    """What the steps work with; `speech` and `language` are called for on first use, since loading takes time."""

    database: Database
    objects: ObjectStore
    speech: Callable[[], SpeechEngine]
    language: Callable[[], LanguageEngine]
    default_taxonomy: Callable[[], Taxonomy]
    leases: Leases
    # Tells the workers of the step that follows; None where nobody would hear it (the sweep then does).
    ring: Callable[[Step, UUID], None] | None
    # The queues that this worker serves: a call stays with it for as long as it does the next step, too.
    queues: Sequence[str]
    hints: SpeechHints
    scratch: Path
    default_agent_channel: int = 1
    min_speech_s: float = 1.0
    lease_s: float = 10.0
    max_attempts: int = 5
    backoff_s: float = 2.0
    taxonomies: dict[str, Taxonomy] = field(default_factory=dict)
    # Of the calls whose reason people have stated, so many for each reason are shown to engines as examples.
    reviewed_examples: int = 3
    # By the name of the call's queue, where it is not that of `hints`.
    language_by_queue: Mapping[str, str] = field(default_factory=dict)
    translates: bool = False
    redaction: Callable[[], SensitiveFinder] = lambda: find_sensitive
    twilio: Callable[[], "TwilioRecordings"] = no_twilio
    decode: Callable[[Path], DecodedAudio] = decode_beside
    write_playback: Callable[[ChannelAudio, Path], None] = write_playback
    # The engine for one analysis whose questions may wait for a batch; None where they are asked directly.
    batched: Callable[[Lane, StoredQuestions], LanguageEngine | None] = lambda _lane, _questions: None
    # Raises BudgetSpent where the day's money for that service is spent, for work of that lane.
    may_spend: Callable[[Service, Lane], None] = lambda _service, _lane: None
    # Told of each moment of a step: `claimed`, `worked` (the engine has answered), `writing` (before the commit),
    # `committed`. Kill tests kill by it.
    observe: Callable[[Step, str], None] = lambda _step, _moment: None


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


def transcribe(parts: Parts, work: results.Work) -> Write:
    """Hear the recording: its words, who said them, its timing, a playback copy."""
    parts.may_spend("speech", work.lane)
    with private_folder(parts.scratch) as folder:
        source = folder / "recording"
        parts.objects.fetch(work.ref, source)
        sound = take_out_recording(source, work.ref.key)
        decoded = parts.decode(sound)
        with source.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        heard, translation = hear(parts, work, decoded.audio, _ledger(parts, work.call_id))
        if heard.utterances:
            _keep_copies(parts, folder, decoded.audio, work.recording_id)
    engine = parts.speech()
    facts = results.RecordingFacts(
        sha256=sha256,
        container=decoded.container,
        codec=decoded.codec,
        channel_count=decoded.source_channel_count,
        sample_rate_hz=decoded.source_rate_hz,
        duration_s=round(decoded.decoded_s, 3),
        playback_key=own_key(PLAYBACK, work.recording_id) if heard.utterances else "",
    )
    channel_count = decoded.audio.channel_count
    skip_reason = gate(heard.utterances, channel_count, parts.min_speech_s)

    def write(connection: sa.Connection, now: datetime) -> SkipReason | None:
        # Under the lock: telephony, or a person, may have told it while the recording was heard.
        agent_channel = results.agent_channel_of(connection, work.call_id)
        transcript = results.NewTranscript(
            engine=engine.name,
            is_demo=engine.is_demo,
            sides=take_sides(
                heard.utterances,
                channel_count=channel_count,
                agent_channel=parts.default_agent_channel if agent_channel is None else agent_channel,
                direction=work.direction,
            ),
            language=heard.language,
            language_probability=heard.language_probability,
            translation=translation,
            skipped=(SkippedFeature("recording", "truncated"),) if decoded.is_truncated else (),
        )
        results.save_recording_facts(connection, work, facts)
        results.save_transcript(connection, work, transcript, now=now)
        forget_answers(connection, work.recording_id, now=now)
        return skip_reason

    return write


def _keep_copies(parts: Parts, folder: Path, audio: ChannelAudio, recording_id: UUID) -> None:
    """What the page of the call plays and draws, written once beside the recordings."""
    for kind, write in ((PLAYBACK, parts.write_playback), (PEAKS, write_peaks)):
        copy = folder / kind
        write(audio, copy)
        parts.objects.put(own_key(kind, recording_id), copy)


def understand(parts: Parts, work: results.Work, *, refuse: Callable[[sa.Connection], None] | None = None) -> Write:
    """Ask once what the call was about, and keep only what its own turns bear out.

    A reason that a person has given stays. Where it has no counterpart among the reasons of now, the engine's counts,
    unless somebody is there to `refuse` it: then nothing is written but what that writes.
    """
    parts.may_spend("language", work.lane)
    with parts.database.read() as connection:
        transcript = results.current_transcript(connection, work.call_id)
        taxonomy = current_taxonomy(connection, parts.taxonomies)
        if taxonomy is not None:
            taxonomy = with_reviewed_calls(
                connection,
                taxonomy,
                lambda turns: redact_turns(turns, parts.redaction()),
                per_reason=parts.reviewed_examples,
                known=parts.taxonomies,
            )
    if taxonomy is None:
        taxonomy = parts.default_taxonomy()
        with parts.database.write() as connection:
            store_taxonomy(connection, taxonomy, _now())
    find = parts.redaction()
    said = take_turns(transcript.utterances)
    sensitive = find_in_turns(said, find)
    turns = mark_turns(said, sensitive)
    conversation = Conversation(
        turns=turns,
        direction=work.direction,
        started_at=work.started_at,
        duration_s=transcript.duration_s,
        language=transcript.language,
        lane=work.lane,
    )
    # With what is shown of the call: a question that waits is not sent any more once redaction finds more in it.
    shown = hashlib.sha256("\n".join(turn.text for turn in turns).encode()).hexdigest()[:16]
    subject = f"{transcript.id}/{taxonomy.version}/{PROMPT_VERSION}/{shown}"
    engine = parts.batched(work.lane, StoredQuestions(parts.database, work.call_id, subject)) or parts.language()
    analysis = check_analysis(engine.analyse(conversation, taxonomy, _ledger(parts, work.call_id)), turns, taxonomy)

    def write(connection: sa.Connection, now: datetime) -> None:
        save_findings(connection, transcript.id, sensitive, find)
        if work.lane is Lane.BACKFILL:
            forget_questions(connection, work.call_id)
        onto, kept = work, analysis
        if work.analysis_revision:
            found = keep_peoples_word(connection, work, analysis, taxonomy)
            if found.has_lost_reason and refuse is not None:
                refuse(connection)
                return
            onto, kept = found.work, found.analysis
        results.save_analysis(
            connection,
            onto,
            transcript.id,
            kept,
            model=engine.name,
            is_demo=engine.is_demo,
            prompt_version=engine.prompt_version,
            taxonomy_version=taxonomy.version,
            now=now,
        )

    return write


def reclassify(parts: Parts, work: results.Work) -> Write:
    """Ask anew about a call that has ended, under the reasons of now, where asking is needed at all."""
    with parts.database.write() as connection:
        taxonomy = current_taxonomy(connection, parts.taxonomies)
        connection.execute(sa.select(call.c.id).where(call.c.id == work.call_id).with_for_update())
        if taxonomy is not None and settle(connection, work.call_id, taxonomy, now=_now()) is not None:
            return lambda _connection, _now: None
    return understand(parts, work, refuse=lambda connection: note_ended(connection, work.call_id, KEPT_BY_PERSON))


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


def _ledger(parts: Parts, call_id: UUID) -> Callable[[Charge], None]:
    def pay(charge: Charge) -> None:
        if charge.is_booked:
            return
        with parts.database.write() as connection:
            note_charge(connection, call_id, charge, now=_now())

    return pay


def _now() -> datetime:
    return datetime.now(UTC)
