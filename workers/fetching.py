"""The step `call.fetch`: a recording that telephony keeps comes into our store."""

from datetime import datetime

import sqlalchemy as sa

from calls.errors import ObjectGone, TerminalError
from calls.recording import StoredObject
from crm import results
from crm.announced import save_fetched
from ingest.twilio import SOURCE_SYSTEM, sids_of_key
from workers.folders import private_folder
from workers.parts import Parts, Write


def fetch(parts: Parts, work: results.Work) -> Write:
    """Download the recording and put it under the key that its call has been given.

    It is in the store already where an earlier attempt ended between putting it there and saying so.
    """
    stored = _lying(parts, work) or _download(parts, work)

    def write(connection: sa.Connection, _now: datetime) -> None:
        save_fetched(connection, work, stored)

    return write


def _lying(parts: Parts, work: results.Work) -> StoredObject | None:
    try:
        stored = parts.objects.head(work.ref.key)
    except ObjectGone:
        return None
    return stored if stored.ref.size_bytes else None


def _download(parts: Parts, work: results.Work) -> StoredObject:
    sids = sids_of_key(work.ref.key)
    if sids is None:
        raise TerminalError("nobody knows where this recording is kept", code="recording_gone")
    call_sid, recording_sid = sids
    # What the status callback said, for whoever has the store and not the database.
    metadata = {"source_system": SOURCE_SYSTEM, "call_id": call_sid}
    if work.started_at is not None:
        metadata["started_at"] = work.started_at.isoformat()
    with private_folder(parts.scratch) as folder:
        source = folder / "recording"
        parts.twilio().fetch(recording_sid, source)
        return parts.objects.put(work.ref.key, source, metadata=metadata)
