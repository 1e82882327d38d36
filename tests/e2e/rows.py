"""Every row that a run leaves of its calls, without what may differ between runs: ids, times of processing, places."""

from typing import Any

import sqlalchemy as sa

from crm import tables
from crm.database import Database

_OURS = {"id", "call_id", "recording_id", "transcript_id", "contact_id", "account_id", "agent_id", "queue_id"}
_TIMES = {"received_at", "finished_at", "modified_at", "created_at", "stored_at", "happened_at"}
_PLACES = {"bucket", "playback_key", "earlier_call_id", "external_call_id", "version_id"}


def final_rows(database: Database) -> dict[str, dict[str, Any]]:
    """By object key: the call, its recording, transcript, utterances and analysis, and whose call it was."""
    found: dict[str, dict[str, Any]] = {}
    with database.read() as connection:
        keys = dict(connection.execute(sa.select(tables.recording.c.call_id, tables.recording.c.object_key)).all())
        for call in connection.execute(sa.select(tables.call).where(tables.call.c.is_sample.is_(False))).mappings():
            key = keys[call["id"]]
            transcript = _current(connection, tables.transcript, call["id"])
            found[key] = {
                "call": _comparable(call),
                "earlier": keys.get(call["earlier_call_id"]),
                "agent": _name(connection, tables.agent.c.display_name, tables.agent, call["agent_id"]),
                "queue": _name(connection, tables.queue.c.name, tables.queue, call["queue_id"]),
                "customer": _name(connection, tables.contact.c.phone_e164, tables.contact, call["contact_id"]),
                "recording": _comparable(_current(connection, tables.recording, call["id"])),
                "transcript": _comparable(transcript),
                "utterances": _utterances(connection, transcript),
                "analysis": _comparable(_current(connection, tables.call_analysis, call["id"])),
            }
    return found


def _current(connection: sa.Connection, table: sa.Table, call_id: Any) -> Any:
    return connection.execute(sa.select(table).where(table.c.call_id == call_id, table.c.is_current)).mappings().first()


def _utterances(connection: sa.Connection, transcript: Any) -> list[dict[str, Any]]:
    if transcript is None:
        return []
    said = tables.utterance
    rows = connection.execute(sa.select(said).where(said.c.transcript_id == transcript["id"]).order_by(said.c.seq))
    return [_comparable(row) for row in rows.mappings()]


def _name(connection: sa.Connection, column: Any, table: sa.Table, row_id: Any) -> Any:
    return connection.execute(sa.select(column).where(table.c.id == row_id)).scalar_one_or_none()


def _comparable(row: Any) -> dict[str, Any]:
    left_out = _OURS | _TIMES | _PLACES
    return {} if row is None else {name: value for name, value in row.items() if name not in left_out}
