"""The statements behind one call in full: all that there is once in one row, then what was said, then what is rare.

They are put together once, and so is their SQL: for each request anew, that takes ten times as long as sending them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.timing import Timing
from calls.transcript import Speaker, Utterance
from crm.access import Viewer, visible_calls
from crm.call_lines import CallLine, line_of, select_lines
from crm.corrections import revision_column
from crm.reason_tables import review
from crm.results import utterance_of
from crm.tables import call, call_analysis, job, paid_request, reason, recording, transcript, utterance

RECORDING = (
    *("id", "bucket", "object_key", "version_id", "etag", "size_bytes", "container", "codec", "channel_count"),
    *("sample_rate_hz", "duration_s", "playback_key", "removed_at"),
)
_CALL = (
    *("source_system", "failed_step", "failed_detail", "finished_at", "modified_at", "from_number_e164"),
    *("to_number_e164", "queued_at", "answered_at", "ended_at", "hold_time_s", "hold_count", "acw_time_s"),
    *("is_transferred", "disconnect_reason", "contact_id", "attributes"),
)
_TRANSCRIPT = (
    *("id", "engine", "is_demo", "language", "revision", "created_at", "translation", "agent_channel", "skipped"),
    *Timing.__dataclass_fields__,
)
_ANALYSIS = (
    *("headline", "summary", "summary_kind", "subject", "reason_code", "reason_confidence", "secondary_reason_codes"),
    *("outcome", "is_resolved", "next_steps", "evidence", "answers", "skipped", "sentiment_customer"),
    *("sentiment_customer_start", "sentiment_customer_end", "model", "is_demo", "prompt_version", "taxonomy_version"),
    *("revision", "created_at", "tier", "escalated_for"),
)
_ATTEMPT = ("step", "attempt_count", "due_at", "last_code", "last_detail")
# The parts of the row behind those of the line, in their order; each begins with a column that is never NULL in a row
# that is there.
_PARTS: Sequence[tuple[sa.Table, Sequence[str]]] = (
    (call, _CALL),
    (recording, RECORDING),
    (transcript, _TRANSCRIPT),
    (call_analysis, _ANALYSIS),
    (job, _ATTEMPT),
)
_OF_CALL: sa.BindParameter[UUID] = sa.bindparam("of_call", type_=sa.Uuid())
_SAID_OF = ("channel", "start_s", "end_s", "text", "avg_confidence", "speaker")
_OF_TRANSCRIPT: sa.BindParameter[UUID] = sa.bindparam("of_transcript", type_=sa.Uuid())
_SAID = (
    sa.select(*(utterance.c[name] for name in _SAID_OF))
    .where(utterance.c.transcript_id == _OF_TRANSCRIPT)
    .order_by(utterance.c.seq)
)
_SAID_WORD_BY_WORD = _SAID.add_columns(utterance.c.words)
_LABELS = sa.select(reason.c.code, reason.c.label).where(
    reason.c.taxonomy_version == sa.bindparam("version"), reason.c.code.in_(sa.bindparam("codes", expanding=True))
)
_RECORDING = sa.select(*(recording.c[name] for name in RECORDING)).where(
    recording.c.call_id == _OF_CALL, recording.c.is_current
)


@dataclass(frozen=True)
class WholeRow:
    """What there is once of a call, part by part as it is stored; None for a part that it has not.

    `earlier_call_id` is the customer's call before, None where this viewer may not see it; `cost_microusd` is None
    when a paid request has no known price.
    """

    line: CallLine
    call: Mapping[str, Any]
    recording: Mapping[str, Any] | None
    transcript: Mapping[str, Any] | None
    analysis: Mapping[str, Any] | None
    attempt: Mapping[str, Any] | None
    revision: int
    earlier_call_id: UUID | None
    review_count: int
    paid_request_count: int
    cost_microusd: int | None


def read_whole(connection: sa.Connection, viewer: Viewer, call_id: UUID) -> WholeRow | None:
    """The call of that id; None where there is none that `viewer` may see."""
    row = connection.execute(_whole(viewer), {"of_call": call_id}).one_or_none()
    if row is None:
        return None
    values = tuple(row)
    start = len(_columns_of_line())
    found: list[dict[str, Any] | None] = []
    for _, names in _PARTS:
        part = values[start : start + len(names)]
        found.append(None if part[0] is None else dict(zip(names, part, strict=True)))
        start += len(names)
    facts, held, heard, analysis, attempt = found
    paid, priced = row.paid_request_count, row.priced_request_count
    return WholeRow(
        line=line_of(row),
        call=facts or {},
        recording=held,
        transcript=heard,
        analysis=analysis,
        attempt=attempt,
        revision=row.whole_revision,
        earlier_call_id=row.seen_earlier_call_id,
        review_count=row.review_count,
        paid_request_count=paid,
        cost_microusd=int(row.cost_microusd or 0) if priced == paid else None,
    )


def read_recording(connection: sa.Connection, call_id: UUID) -> dict[str, Any] | None:
    """The columns RECORDING of the call's current recording."""
    row = connection.execute(_RECORDING, {"of_call": call_id}).one_or_none()
    return None if row is None else row._asdict()


def read_said(connection: sa.Connection, transcript_id: UUID, *, word_by_word: bool) -> list[Utterance]:
    """The utterances of a transcript in order; without their words, they are read in a fraction of the time."""
    if word_by_word:
        rows = connection.execute(_SAID_WORD_BY_WORD, {"of_transcript": transcript_id})
        return [utterance_of(row) for row in rows]
    rows = connection.execute(_SAID, {"of_transcript": transcript_id})
    return [
        Utterance(channel, start_s, end_s, text, avg_confidence, Speaker(speaker))
        for channel, start_s, end_s, text, avg_confidence, speaker in rows
    ]


def read_labels(connection: sa.Connection, taxonomy_version: str, codes: Sequence[str]) -> Mapping[str, str]:
    """The labels that a version of the taxonomy has for these codes; of one without any, nothing is asked."""
    if not codes:
        return {}
    rows = connection.execute(_LABELS, {"version": taxonomy_version, "codes": list(codes)})
    return {row.code: row.label for row in rows}


@cache
def _columns_of_line() -> Sequence[str]:
    return select_lines().selected_columns.keys()


# What a viewer may see is part of the statement; a viewer whose rights change is another one.
@lru_cache(maxsize=256)
def _whole(viewer: Viewer) -> sa.Select[Any]:
    return _for_everybody().where(call.c.id == _OF_CALL, visible_calls(viewer)).add_columns(_seen_earlier(viewer))


@cache
def _for_everybody() -> sa.Select[Any]:
    parts = [table.c[name].label(f"{table.name}__{name}") for table, names in _PARTS for name in names]
    return (
        select_lines()
        .add_columns(*parts)
        .add_columns(
            revision_column().label("whole_revision"),
            _of_the_call(review, sa.func.count()).label("review_count"),
            _of_the_call(paid_request, sa.func.count()).label("paid_request_count"),
            _of_the_call(paid_request, sa.func.count(paid_request.c.cost_microusd)).label("priced_request_count"),
            _of_the_call(paid_request, sa.func.sum(paid_request.c.cost_microusd)).label("cost_microusd"),
        )
        .outerjoin(recording, sa.and_(recording.c.call_id == call.c.id, recording.c.is_current))
        .outerjoin(job, job.c.call_id == call.c.id)
    )


def _of_the_call(table: sa.Table, found: sa.ColumnElement[Any]) -> sa.ScalarSelect[Any]:
    of_the_call = sa.select(found).select_from(table).where(table.c.call_id == call.c.id)
    return of_the_call.correlate(call).scalar_subquery()


def _seen_earlier(viewer: Viewer) -> sa.Label[Any]:
    # Another's call may be one that this viewer is not to know of.
    earlier = call.alias("earlier")
    seen = sa.select(earlier.c.id).where(earlier.c.id == call.c.earlier_call_id, visible_calls(viewer, earlier))
    return seen.correlate(call).scalar_subquery().label("seen_earlier_call_id")
