"""What the steps of the pipeline read and write: a call's recording, its transcript, its analysis, its place in the
CRM.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.analysis import Analysis, SkippedFeature
from calls.recording import Direction, ObjectRef
from calls.timing import Timing
from calls.transcript import Speaker, Utterance, Word
from crm.people import link_into_chain, match_contact
from crm.tables import call, call_analysis, recording, transcript, utterance

# Built once, as in crm.jobs.
_OF_CALL: sa.BindParameter[UUID] = sa.bindparam("of_call")
_WORK = (
    sa.select(
        call.c.id,
        call.c.direction,
        call.c.started_at,
        call.c.happened_at,
        call.c.agent_channel,
        call.c.from_number_e164,
        call.c.to_number_e164,
        call.c.customer_name,
        recording.c.id.label("recording_id"),
        recording.c.bucket,
        recording.c.object_key,
        recording.c.version_id,
        recording.c.etag,
        recording.c.size_bytes,
        recording.c.duration_s,
    )
    .join_from(call, recording, recording.c.call_id == call.c.id)
    .where(call.c.id == _OF_CALL, recording.c.is_current)
)
_DESCRIBE = sa.update(recording).where(recording.c.id == sa.bindparam("of_recording"))
_TIME = sa.update(call).where(call.c.id == _OF_CALL, call.c.duration_s.is_(None))
_TRANSCRIPT = sa.select(transcript.c.id, transcript.c.language).where(
    transcript.c.call_id == _OF_CALL, transcript.c.is_current
)
_UTTERANCES = (
    sa.select(utterance).where(utterance.c.transcript_id == sa.bindparam("of_transcript")).order_by(utterance.c.seq)
)
_LATEST = {
    table: sa.select(sa.func.max(table.c.revision)).where(table.c.call_id == _OF_CALL)
    for table in (transcript, call_analysis)
}
_PAST = {
    table: sa.update(table).where(table.c.call_id == _OF_CALL, table.c.is_current)
    for table in (transcript, call_analysis)
}
_NEW = {table: sa.insert(table) for table in (transcript, utterance, call_analysis)}


@dataclass(frozen=True)
class Work:
    """What a step has to know of its call."""

    call_id: UUID
    recording_id: UUID
    ref: ObjectRef
    direction: Direction | None
    started_at: datetime | None
    happened_at: datetime
    duration_s: float | None
    agent_channel: int | None
    customer_number_e164: str | None
    customer_name: str | None


@dataclass(frozen=True)
class NewTranscript:
    """One engine's hearing of a call, ready to be stored."""

    engine: str
    is_demo: bool
    utterances: Sequence[Utterance]
    timing: Timing
    turn_count: int
    language: str = ""
    language_probability: float | None = None
    skipped: Sequence[SkippedFeature] = ()


@dataclass(frozen=True)
class RecordingFacts:
    """What decoding found out about a recording; `duration_s` is its decoded length in seconds."""

    sha256: str
    container: str
    codec: str
    channel_count: int
    sample_rate_hz: int
    duration_s: float
    playback_key: str


@dataclass(frozen=True)
class StoredTranscript:
    """The current transcript of a call."""

    id: UUID
    language: str
    utterances: list[Utterance] = field(repr=False)


def work_for(connection: sa.Connection, call_id: UUID) -> Work | None:
    """The call and its current recording; None when it has none."""
    row = connection.execute(_WORK, {"of_call": call_id}).one_or_none()
    if row is None:
        return None
    outbound = row.direction == Direction.OUTBOUND
    return Work(
        call_id=row.id,
        recording_id=row.recording_id,
        ref=ObjectRef(row.bucket, row.object_key, row.version_id, row.etag, row.size_bytes),
        direction=Direction(row.direction) if row.direction else None,
        started_at=row.started_at,
        happened_at=row.happened_at,
        duration_s=row.duration_s,
        agent_channel=row.agent_channel,
        customer_number_e164=row.to_number_e164 if outbound else row.from_number_e164,
        customer_name=row.customer_name,
    )


def save_recording_facts(connection: sa.Connection, work: Work, facts: RecordingFacts) -> None:
    """Note what decoding found; a call whose length telephony did not say gets the recording's."""
    connection.execute(_DESCRIBE, {"of_recording": work.recording_id} | asdict(facts))
    connection.execute(_TIME, {"of_call": work.call_id, "duration_s": facts.duration_s})


def save_transcript(connection: sa.Connection, work: Work, given: NewTranscript, *, now: datetime) -> None:
    """Store a revision of the transcript and make it the current one."""
    transcript_id = uuid4()
    row = {
        "id": transcript_id,
        "call_id": work.call_id,
        "recording_id": work.recording_id,
        "revision": _next_revision(connection, transcript, work.call_id),
        "is_current": True,
        "engine": given.engine,
        "is_demo": given.is_demo,
        "language": given.language or None,
        "language_probability": given.language_probability,
        "created_at": now,
        "turn_count": given.turn_count,
        "skipped": _features(given.skipped),
    }
    connection.execute(_NEW[transcript], row | asdict(given.timing))
    if given.utterances:
        rows = [_utterance_row(transcript_id, seq, said) for seq, said in enumerate(given.utterances)]
        connection.execute(_NEW[utterance], rows)


def current_transcript(connection: sa.Connection, call_id: UUID) -> StoredTranscript:
    """The current transcript, its utterances in order."""
    head = connection.execute(_TRANSCRIPT, {"of_call": call_id}).one()
    rows = connection.execute(_UTTERANCES, {"of_transcript": head.id})
    return StoredTranscript(
        id=head.id,
        language=head.language or "",
        utterances=[
            Utterance(
                channel=row.channel,
                start_s=row.start_s,
                end_s=row.end_s,
                text=row.text,
                avg_confidence=row.avg_confidence,
                speaker=Speaker(row.speaker),
                words=tuple(Word(*word) for word in row.words),
            )
            for row in rows
        ],
    )


def save_analysis(
    connection: sa.Connection,
    call_id: UUID,
    transcript_id: UUID,
    given: Analysis,
    *,
    model: str,
    is_demo: bool,
    prompt_version: str,
    taxonomy_version: str,
    now: datetime,
) -> None:
    """Store a revision of the analysis and make it the current one."""
    row = {
        "id": uuid4(),
        "call_id": call_id,
        "transcript_id": transcript_id,
        "revision": _next_revision(connection, call_analysis, call_id),
        "is_current": True,
        "created_at": now,
        "headline": given.headline,
        "summary": given.summary,
        "summary_kind": given.summary_kind,
        "subject": given.subject,
        "reason_code": given.reason_code,
        "reason_confidence": given.reason_confidence,
        "secondary_reason_codes": list(given.secondary_reason_codes),
        "outcome": given.outcome,
        "is_resolved": given.is_resolved,
        "next_steps": [
            {"text": step.text, "owner": step.owner, "due_on": step.due_on.isoformat() if step.due_on else None}
            for step in given.next_steps
        ],
        "evidence": [asdict(quoted) for quoted in given.evidence],
        "answers": dict(given.answers),
        "skipped": _features(given.skipped),
        "sentiment_customer": given.sentiment.overall,
        "sentiment_customer_start": given.sentiment.start,
        "sentiment_customer_end": given.sentiment.end,
        "model": model,
        "is_demo": is_demo,
        "prompt_version": prompt_version,
        "taxonomy_version": taxonomy_version,
    }
    connection.execute(_NEW[call_analysis], row)


def file_call(connection: sa.Connection, work: Work) -> None:
    """Put the call where a CRM user looks for it: with its customer, behind the customer's earlier call."""
    if work.customer_number_e164 is None:
        return
    contact_id, account_id = match_contact(connection, work.customer_number_e164, work.customer_name)
    connection.execute(
        sa.update(call).where(call.c.id == work.call_id).values(contact_id=contact_id, account_id=account_id)
    )
    link_into_chain(connection, work.call_id, contact_id, work.happened_at)


def _next_revision(connection: sa.Connection, table: sa.Table, call_id: UUID) -> int:
    latest: int | None = connection.execute(_LATEST[table], {"of_call": call_id}).scalar_one()
    if latest is None:
        return 1
    connection.execute(_PAST[table], {"of_call": call_id, "is_current": False})
    return latest + 1


def _features(skipped: Sequence[SkippedFeature]) -> list[dict[str, str]]:
    return [asdict(item) for item in skipped]


def _utterance_row(transcript_id: UUID, seq: int, said: Utterance) -> dict[str, Any]:
    return {
        "transcript_id": transcript_id,
        "seq": seq,
        "speaker": said.speaker,
        "channel": said.channel,
        "start_s": said.start_s,
        "end_s": said.end_s,
        "text": said.text,
        "avg_confidence": said.avg_confidence,
        "words": [[word.text, word.start_s, word.end_s, word.confidence] for word in said.words],
    }
