"""What the steps of the pipeline read and write: a call's recording, its transcript, its analysis, its place in the
CRM.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.analysis import Analysis, AnsweredBy, SkippedFeature
from calls.corrections import Field
from calls.errors import TerminalError
from calls.pipeline import Lane
from calls.recording import Direction, ObjectRef
from calls.sides import Sides
from calls.transcript import Speaker, Utterance, Word
from crm.analyses import analysis_columns, skipped_rows, write_analysis
from crm.people import file_under_contact, leave_chain, link_into_chain, match_contact
from crm.reason_tables import review
from crm.tables import call, call_analysis, job, recording, transcript, utterance

# The engine of transcripts that came as text, before the kind of document: "given/vcon".
GIVEN = "given/"

# Built once, as in crm.jobs.
_OF_CALL: sa.BindParameter[UUID] = sa.bindparam("of_call")


def _latest(table: sa.Table) -> sa.ScalarSelect[Any]:
    return (
        sa.select(sa.func.coalesce(sa.func.max(table.c.revision), 0))
        .where(table.c.call_id == _OF_CALL)
        .scalar_subquery()
    )


_WORK = (
    sa.select(
        call.c.id,
        call.c.direction,
        call.c.started_at,
        recording.c.id.label("recording_id"),
        recording.c.bucket,
        recording.c.object_key,
        recording.c.version_id,
        recording.c.etag,
        recording.c.size_bytes,
        _latest(transcript).label("transcript_revision"),
        _latest(call_analysis).label("analysis_revision"),
        sa.select(job.c.lane).where(job.c.call_id == call.c.id).scalar_subquery().label("lane"),
    )
    .join_from(call, recording, recording.c.call_id == call.c.id)
    .where(call.c.id == _OF_CALL, recording.c.is_current)
)
_DESCRIBE = sa.update(recording).where(recording.c.id == sa.bindparam("of_recording"))
_TIME = sa.update(call).where(call.c.id == _OF_CALL, call.c.duration_s.is_(None))
_HEARD = (
    sa.select(transcript.c.id, transcript.c.language, recording.c.duration_s, utterance)
    .join_from(transcript, recording, recording.c.id == transcript.c.recording_id)
    .outerjoin(utterance, utterance.c.transcript_id == transcript.c.id)
    .where(transcript.c.call_id == _OF_CALL, transcript.c.is_current)
    .order_by(utterance.c.seq)
)
_CUSTOMER = (
    sa.select(
        call.c.direction,
        call.c.happened_at,
        call.c.from_number_e164,
        call.c.to_number_e164,
        call.c.customer_name,
        call.c.contact_id,
        sa.select(review.c.after)
        .where(review.c.call_id == call.c.id, review.c.field == Field.CUSTOMER)
        .order_by(review.c.reviewed_at.desc(), review.c.revision.desc(), review.c.id.desc())
        .limit(1)
        .scalar_subquery()
        .label("said_customer"),
    )
    .where(call.c.id == _OF_CALL)
    .with_for_update(of=call)
)
_PAST = sa.update(transcript).where(transcript.c.call_id == _OF_CALL, transcript.c.is_current)
_NEW = {table: sa.insert(table) for table in (transcript, utterance)}


@dataclass(frozen=True)
class Work:
    """What a step has to know of its call. The revisions are the latest that there are, 0 where there is none."""

    call_id: UUID
    recording_id: UUID
    ref: ObjectRef
    direction: Direction | None
    started_at: datetime | None
    transcript_revision: int
    analysis_revision: int
    lane: Lane = Lane.LIVE


@dataclass(frozen=True)
class NewTranscript:
    """One engine's hearing of a call, ready to be stored; `skipped` beside the doubts about its sides.

    `translation` is what was said in English, None where nobody asked for it or English was spoken.
    """

    engine: str
    is_demo: bool
    sides: Sides
    language: str = ""
    language_probability: float | None = None
    translation: Sequence[Utterance] | None = None
    skipped: Sequence[SkippedFeature] = ()


@dataclass(frozen=True)
class RecordingFacts:
    """What decoding found out about a recording; `duration_s` is its decoded length in seconds.

    A conversation that came as text has no codec and no rate, and perhaps neither channels nor a length.
    """

    sha256: str
    container: str
    codec: str
    channel_count: int | None
    sample_rate_hz: int | None
    duration_s: float | None
    playback_key: str


@dataclass(frozen=True)
class StoredTranscript:
    """The current transcript of a call."""

    id: UUID
    language: str
    duration_s: float | None
    utterances: list[Utterance] = field(repr=False)


class WordsGone(TerminalError):
    """What was said in the call was erased, or its time was over."""

    code = "words_gone"


def work_for(connection: sa.Connection, call_id: UUID) -> Work | None:
    """The call and its current recording; None when it has none."""
    row = connection.execute(_WORK, {"of_call": call_id}).one_or_none()
    if row is None:
        return None
    return Work(
        call_id=row.id,
        recording_id=row.recording_id,
        ref=ObjectRef(row.bucket, row.object_key, row.version_id, row.etag, row.size_bytes),
        direction=Direction(row.direction) if row.direction else None,
        started_at=row.started_at,
        transcript_revision=row.transcript_revision,
        analysis_revision=row.analysis_revision,
        lane=Lane(row.lane or 0),
    )


def agent_channel_of(connection: sa.Connection, call_id: UUID) -> int | None:
    """The agent's channel as it is known now, None where nobody said it; who tells it late waits for this transaction,
    and finds the transcript that it writes.
    """
    asked = sa.select(call.c.agent_channel).where(call.c.id == call_id).with_for_update()
    told: int | None = connection.execute(asked).scalar_one()
    return told


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
        "revision": work.transcript_revision + 1,
        "is_current": True,
        "engine": given.engine,
        "is_demo": given.is_demo,
        "language": given.language or None,
        "language_probability": given.language_probability,
        "translation": _translation(given.translation),
        "created_at": now,
        "agent_channel": given.sides.agent_channel,
        "turn_count": given.sides.turn_count,
        "skipped": skipped_rows([*given.skipped, *given.sides.doubts]),
    }
    if work.transcript_revision:
        connection.execute(_PAST, {"of_call": work.call_id, "is_current": False})
    connection.execute(_NEW[transcript], row | asdict(given.sides.timing))
    if given.sides.utterances:
        rows = [_utterance_row(transcript_id, seq, said) for seq, said in enumerate(given.sides.utterances)]
        connection.execute(_NEW[utterance], rows)


def current_transcript(connection: sa.Connection, call_id: UUID) -> StoredTranscript:
    """The current transcript, its utterances in order. Raises WordsGone where they were deleted."""
    rows = connection.execute(_HEARD, {"of_call": call_id}).all()
    if not rows:
        raise WordsGone("the words of this call are not kept any more")
    return StoredTranscript(
        id=rows[0].id,
        language=rows[0].language or "",
        duration_s=rows[0].duration_s,
        utterances=[utterance_of(row) for row in rows if row.seq is not None],
    )


def utterance_of(row: sa.Row[Any]) -> Utterance:
    """One row of `utterance`, as it was said."""
    return Utterance(
        channel=row.channel,
        start_s=row.start_s,
        end_s=row.end_s,
        text=row.text,
        avg_confidence=row.avg_confidence,
        speaker=Speaker(row.speaker),
        words=tuple(Word(*word) for word in row.words),
    )


def save_analysis(
    connection: sa.Connection,
    work: Work,
    transcript_id: UUID,
    given: Analysis,
    *,
    model: str,
    is_demo: bool,
    prompt_version: str,
    taxonomy_version: str,
    now: datetime,
) -> None:
    """Store a revision of the analysis and make it the current one.

    `model`, `is_demo` and `prompt_version` are those of the engine; where it is made of several, the analysis itself
    says which of them answered.
    """
    by = given.answered_by or AnsweredBy(model, prompt_version, is_demo)
    row = {
        "id": uuid4(),
        "call_id": work.call_id,
        "transcript_id": transcript_id,
        "revision": work.analysis_revision + 1,
        "is_current": True,
        "created_at": now,
        **analysis_columns(given),
        "model": by.model,
        "is_demo": by.is_demo,
        "prompt_version": by.prompt_version,
        "taxonomy_version": taxonomy_version,
        "tier": given.answered_by and by.tier,
        "escalated_for": by.escalated_for or None,
    }
    write_analysis(connection, row)


def file_call(connection: sa.Connection, call_id: UUID) -> None:
    """Put the call where a CRM user looks for it: with its customer, behind the customer's earlier call.

    The number is read here, under a lock: telephony may have told it while the call was being heard. Who the customer
    is by a person's word outranks the number.
    """
    row = connection.execute(_CUSTOMER, {"of_call": call_id}).one()
    number = row.to_number_e164 if row.direction == Direction.OUTBOUND else row.from_number_e164
    if row.contact_id is not None:
        # It is filed again: its time or its customer was told late.
        leave_chain(connection, call_id, row.contact_id)
    if row.said_customer is not None:
        if row.said_customer:
            file_under_contact(connection, call_id, UUID(row.said_customer), row.happened_at)
        return
    if number is None:
        return
    contact_id, account_id = match_contact(connection, number, row.customer_name)
    connection.execute(sa.update(call).where(call.c.id == call_id).values(contact_id=contact_id, account_id=account_id))
    link_into_chain(connection, call_id, contact_id, row.happened_at)


def _translation(said: Sequence[Utterance] | None) -> list[list[object]] | None:
    return None if said is None else [[one.channel, one.start_s, one.end_s, one.text] for one in said]


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
