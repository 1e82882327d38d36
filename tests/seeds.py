"""Rows for tests that read: a small CRM database, written through the tables themselves."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.reasons import Reason, Taxonomy
from crm import tables
from crm.taxonomies import store_taxonomy

NOW = datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
TAXONOMY = Taxonomy(
    version="seeds-1",
    title="Seeds",
    reasons=(
        Reason("delivery_status", "Delivery status", "Where is my order?"),
        Reason("repair_booking", "Repair booking", "Something has to be repaired."),
        Reason("new_order", "New order", "The customer wants to buy.", is_sales=True),
    ),
)
SAID = (
    (1, "agent", 0.5, 2.8, "Thank you for calling, how can I help?"),
    (0, "customer", 3.1, 6.4, "My dishwasher has not arrived and it was due on Monday."),
    (1, "agent", 7.0, 9.5, "I am sorry, let me look that up for you."),
    (0, "customer", 13.0, 14.2, "Thank you."),
)


def seed_taxonomy(connection: sa.Connection) -> None:
    """Make TAXONOMY the current one."""
    store_taxonomy(connection, TAXONOMY, NOW)


def seed_call(
    connection: sa.Connection,
    *,
    agent: str | None = "Andrew K",
    queue: str | None = "Deliveries",
    contact_number: str | None = None,
    said: Sequence[tuple[int, str, float, float, str]] | None = SAID,
    analysis: dict[str, Any] | None = None,
    recording: dict[str, Any] | None = None,
    transcript: dict[str, Any] | None = None,
    with_analysis: bool = True,
    **facts: Any,
) -> UUID:
    """One call with its recording, transcript and analysis; `facts` are columns of `call`."""
    call_id = facts.pop("id", None) or uuid4()
    happened_at = facts.pop("happened_at", NOW)
    row = {
        "id": call_id,
        "source_system": "plain",
        "external_call_id": f"ext-{call_id.hex[:12]}",
        "profile": "plain",
        "stage": "done",
        "received_at": happened_at,
        "modified_at": happened_at,
        "finished_at": happened_at,
        "happened_at": happened_at,
        "started_at": happened_at,
        "direction": "inbound",
        "from_number_e164": "+15550100",
        "to_number_e164": "+15550199",
        "customer_name": "Rosa Diaz",
        "duration_s": 15.0,
        "agent_id": _named(connection, tables.agent, "display_name", agent),
        "queue_id": _named(connection, tables.queue, "name", queue),
        "contact_id": _named(connection, tables.contact, "phone_e164", contact_number),
        "attributes": {},
    } | facts
    connection.execute(sa.insert(tables.call).values(**row))
    if recording is not None or said is not None:
        _seed_recording(connection, call_id, recording or {})
    if said is not None:
        _seed_transcript(connection, call_id, said, transcript or {})
    if with_analysis:
        _seed_analysis(connection, call_id, analysis or {})
    return call_id


def seed_failed_call(connection: sa.Connection, **facts: Any) -> UUID:
    """A recording that is no audio, parked for a person."""
    return seed_call(
        connection,
        recording={"duration_s": None, "codec": None, "container": None} | facts.pop("recording", {}),
        said=None,
        with_analysis=False,
        **{
            "stage": "failed",
            "failed_step": "call.transcribe",
            "failed_code": "not_audio",
            "failed_detail": "no container that we read begins like this",
            "duration_s": None,
        }
        | facts,
    )


def _named(connection: sa.Connection, table: sa.Table, column: str, name: str | None) -> UUID | None:
    if name is None:
        return None
    found = connection.execute(sa.select(table.c.id).where(table.c[column] == name)).scalar_one_or_none()
    if found is None:
        found = uuid4()
        connection.execute(sa.insert(table).values(id=found, **{column: name}))
    return found


def _seed_recording(connection: sa.Connection, call_id: UUID, facts: dict[str, Any]) -> None:
    row = {
        "id": uuid4(),
        "call_id": call_id,
        "bucket": "recordings",
        "object_key": f"2026/03/{call_id.hex}.wav",
        "version_id": "",
        "etag": call_id.hex,
        "size_bytes": 240_044,
        "is_current": True,
        "container": "wav",
        "codec": "pcm_s16le",
        "channel_count": 2,
        "sample_rate_hz": 8000,
        "duration_s": 15.0,
        "playback_key": "",
    } | facts
    connection.execute(sa.insert(tables.recording).values(**row))


def _seed_transcript(
    connection: sa.Connection, call_id: UUID, said: Sequence[tuple[int, str, float, float, str]], facts: dict[str, Any]
) -> None:
    transcript_id = uuid4()
    row = {
        "id": transcript_id,
        "call_id": call_id,
        "recording_id": connection.execute(
            sa.select(tables.recording.c.id).where(tables.recording.c.call_id == call_id)
        ).scalar_one(),
        "revision": 1,
        "is_current": True,
        "engine": "faster-whisper/small",
        "is_demo": False,
        "language": "en",
        "created_at": NOW,
        "talk_time_agent_s": 4.8,
        "talk_time_customer_s": 4.5,
        "non_talk_time_s": 3.5,
        "interruption_count": 0,
        "turn_count": len(said),
        "skipped": [],
    } | facts
    connection.execute(sa.insert(tables.transcript).values(**row))
    if said:
        connection.execute(
            sa.insert(tables.utterance),
            [
                {
                    "transcript_id": transcript_id,
                    "seq": seq,
                    "channel": channel,
                    "speaker": speaker,
                    "start_s": start_s,
                    "end_s": end_s,
                    "text": text,
                    "words": [],
                }
                for seq, (channel, speaker, start_s, end_s, text) in enumerate(said)
            ],
        )


def _seed_analysis(connection: sa.Connection, call_id: UUID, facts: dict[str, Any]) -> None:
    row = {
        "id": uuid4(),
        "call_id": call_id,
        "revision": 1,
        "is_current": True,
        "created_at": NOW,
        "headline": "Dishwasher has not arrived",
        "summary": "The customer's dishwasher was due on Monday and has not arrived. The agent looks it up.",
        "summary_kind": "written",
        "subject": "dishwasher",
        "reason_code": "delivery_status",
        "reason_confidence": 0.87,
        "secondary_reason_codes": ["repair_booking"],
        "outcome": "follow_up",
        "is_resolved": False,
        "next_steps": [{"text": "Call the customer back", "owner": "agent", "due_on": "2026-03-23"}],
        "evidence": [{"field": "reason", "turn": 1, "quote": "My dishwasher has not arrived"}],
        "answers": {"new_customer": False},
        "skipped": [],
        "sentiment_customer": -1.0,
        "sentiment_customer_start": -3.0,
        "sentiment_customer_end": 1.0,
        "model": "openai/gpt-5.4-mini",
        "is_demo": False,
        "prompt_version": "1",
        "taxonomy_version": TAXONOMY.version,
    } | facts
    connection.execute(sa.insert(tables.call_analysis).values(**row))
