"""Calls as JSON documents with stable keys: what the command line's `--json` and `/api/v1/calls` give."""

from datetime import datetime
from typing import Any

from calls.analysis import Outcome
from calls.pipeline import UNDERSTAND
from calls.timing import NOT_TIMED, talk_share, words_per_minute
from crm.call_lines import CallLine
from crm.calls import CallPage
from crm.one_call import AnalysisRow, CallInFull, RecordingRow, TranscriptRow
from crm.reviews import Review


def page_document(page: CallPage) -> dict[str, Any]:
    """`{"calls": [...], "next": key or null}`."""
    return {"calls": [line_document(line) for line in page.calls], "next": page.next_key}


def line_document(line: CallLine) -> dict[str, Any]:
    """One call of a list. Times are ISO 8601 in UTC, `_s` seconds."""
    return {
        "id": str(line.id),
        "external_call_id": line.external_call_id,
        "stage": line.stage,
        "skip_reason": line.skip_reason,
        "failed_code": line.failed_code,
        "happened_at": moment(line.happened_at),
        "started_at": moment(line.started_at),
        "direction": line.direction,
        "profile": line.profile,
        "customer": {"name": line.customer_name, "number": line.customer_number},
        "agent": line.agent,
        "team": line.team,
        "queue": line.queue,
        "duration_s": line.duration_s,
        "headline": line.headline,
        "reason": reason_document(line.reason_code, line.reason_label, line.reason_confidence),
        "outcome": line.outcome,
        "is_resolved": line.is_resolved,
        "sentiment": line.sentiment_customer,
        "is_demo": line.is_demo,
        "is_sample": line.is_sample,
        "is_truncated": line.is_truncated,
    }


def call_document(found: CallInFull) -> dict[str, Any]:
    """One call in full; `analysis` is null where there is none, `turns` is empty before the call was heard."""
    line = found.line
    heard, analysis = found.transcript, found.analysis
    return {
        "id": str(line.id),
        "revision": found.revision,
        "external_call_id": line.external_call_id,
        "source_system": found.source_system,
        "profile": line.profile,
        "stage": line.stage,
        "skip_reason": line.skip_reason,
        "failure": _failure(found),
        "waiting": _waiting(found),
        "is_sample": line.is_sample,
        "is_demo": line.is_demo,
        "happened_at": moment(line.happened_at),
        "received_at": moment(line.received_at),
        "queued_at": moment(found.queued_at),
        "started_at": moment(line.started_at),
        "answered_at": moment(found.answered_at),
        "ended_at": moment(found.ended_at),
        "finished_at": moment(found.finished_at),
        "modified_at": moment(found.modified_at),
        "direction": line.direction,
        "from_number_e164": found.from_number_e164,
        "to_number_e164": found.to_number_e164,
        "customer": {
            "id": str(found.contact_id) if found.contact_id else None,
            "name": line.customer_name,
            "number": line.customer_number,
        },
        "agent": line.agent,
        "team": line.team,
        "queue": line.queue,
        "is_transferred": found.is_transferred,
        "disconnect_reason": found.disconnect_reason,
        "earlier_call_id": str(found.earlier_call_id) if found.earlier_call_id else None,
        "attributes": dict(found.attributes),
        "recording": _recording(found.recording) if found.recording else None,
        "transcript": _transcript(heard) if heard else None,
        "channels": [{"channel": c.channel, "speaker": c.speaker.value} for c in heard.channels] if heard else [],
        "turns": [
            {"speaker": turn.speaker.value, "start_s": turn.start_s, "end_s": turn.end_s, "text": turn.text}
            for turn in (heard.turns if heard else ())
        ],
        "analysis": _analysis(analysis, found.cost_microusd) if analysis else None,
        "timing": timing_document(found),
        "skipped": _skipped(found),
        "reviews": [_review(said) for said in found.reviews],
        "cost_microusd": found.cost_microusd,
    }


def _skipped(found: CallInFull) -> list[dict[str, str]]:
    """What is missing or doubtful, and why; the analysis itself where the engine gave none that can be used."""
    told = [dict(item) for part in (found.transcript, found.analysis) if part for item in part.skipped]
    if found.line.failed_code and found.failed_step == UNDERSTAND.name:
        told.append({"feature": "analysis", "code": found.line.failed_code})
    return told


def timing_document(found: CallInFull) -> dict[str, Any]:
    """The timing that the recording tells, and that telephony told; a hold that was recorded is in both."""
    timing = found.transcript.timing if found.transcript else NOT_TIMED
    return {
        "duration_s": found.line.duration_s,
        **vars(timing),
        "words_per_minute_agent": words_per_minute(timing.word_agent_count, timing.talk_time_agent_s),
        "words_per_minute_customer": words_per_minute(timing.word_customer_count, timing.talk_time_customer_s),
        "agent_talk_share": talk_share(timing.talk_time_agent_s, timing.talk_time_customer_s),
        "hold_time_s": found.hold_time_s,
        "hold_count": found.hold_count,
        "acw_time_s": found.acw_time_s,
    }


def _recording(held: RecordingRow) -> dict[str, Any]:
    return {
        "bucket": held.bucket,
        "key": held.object_key,
        "version_id": held.version_id,
        "etag": held.etag,
        "size_bytes": held.size_bytes,
        "container": held.container,
        "codec": held.codec,
        "channel_count": held.channel_count,
        "sample_rate_hz": held.sample_rate_hz,
        "duration_s": held.duration_s,
        "playback_key": held.playback_key or None,
    }


def _transcript(heard: TranscriptRow) -> dict[str, Any]:
    return {
        "engine": heard.engine,
        "is_demo": heard.is_demo,
        "language": heard.language,
        "revision": heard.revision,
        "created_at": moment(heard.created_at),
        "agent_channel": heard.agent_channel,
    }


def _analysis(given: AnalysisRow, cost_microusd: int | None) -> dict[str, Any]:
    """`cost_microusd` is that of all paid requests of the call: a recording is heard in order to be understood."""
    return {
        "headline": given.headline,
        "summary": given.summary,
        "summary_kind": given.summary_kind,
        "subject": given.subject,
        "reason": reason_document(given.reason_code, given.reason_label, given.reason_confidence),
        "secondary_reasons": [{"code": code, "label": label} for code, label in given.secondary_reasons],
        "outcome": given.outcome,
        "is_resolved": given.is_resolved,
        "is_sale": {Outcome.SALE.value: True, Outcome.NO_SALE.value: False}.get(given.outcome),
        "next_steps": [dict(step) for step in given.next_steps],
        "evidence": [dict(item) for item in given.evidence],
        "sentiment": {
            "start": given.sentiment_customer_start,
            "end": given.sentiment_customer_end,
            "overall": given.sentiment_customer,
        },
        "answers": dict(given.answers),
        "model": given.model,
        "is_demo": given.is_demo,
        "prompt_version": given.prompt_version,
        "tier": given.tier,
        "escalated_for": given.escalated_for,
        "taxonomy_version": given.taxonomy_version,
        "reason_said_by": given.reason_said_by,
        "said_by": dict(given.said_by),
        "approved": given.approved and {"by": given.approved.reviewed_by, "at": moment(given.approved.reviewed_at)},
        "reviews": [_review(said) for said in given.reviews],
        "revision": given.revision,
        "created_at": moment(given.created_at),
        "cost_microusd": cost_microusd,
    }


def _review(said: Review) -> dict[str, Any]:
    return {
        "field": said.field,
        "before": said.before,
        "after": said.after,
        "by": said.reviewed_by,
        "at": moment(said.reviewed_at),
        "revision": said.revision,
    }


def _failure(found: CallInFull) -> dict[str, Any] | None:
    if found.line.failed_code is None:
        return None
    return {"step": found.failed_step, "code": found.line.failed_code, "detail": found.failed_detail}


def _waiting(found: CallInFull) -> dict[str, Any] | None:
    waiting = found.attempt
    if waiting is None:
        return None
    return {
        "step": waiting.step,
        "attempt_count": waiting.attempt_count,
        "due_at": moment(waiting.due_at),
        "last_code": waiting.last_code,
        "last_detail": waiting.last_detail,
    }


def reason_document(code: str | None, label: str | None, confidence: float | None) -> dict[str, Any] | None:
    """A reason as every document has it; null where there is none."""
    return None if code is None else {"code": code, "label": label, "confidence": confidence}


def moment(at: datetime | None) -> str | None:
    """A moment as every document has it: ISO 8601 in UTC."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")
