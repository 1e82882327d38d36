"""The step `call.fetch`: a recording that telephony keeps comes into our store."""

from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from calls.errors import EngineMisconfigured, ObjectGone, TerminalError
from calls.recording import StoredObject
from crm import results
from crm.announced import save_fetched
from ingest.twilio import SOURCE_SYSTEM, sids_of_key
from workers.folders import private_folder

if TYPE_CHECKING:
    from engines.twilio import TwilioRecordings
    from workers.steps import Parts, Write


def fetch(parts: "Parts", work: results.Work) -> "Write":
    """Download the recording and put it under the key that its call has been given.

    It is in the store already where an earlier attempt ended between putting it there and saying so.
    """
    stored = _lying(parts, work) or _download(parts, work)

    def write(connection: sa.Connection, _now: datetime) -> None:
        save_fetched(connection, work, stored)

    return write


def no_twilio() -> "TwilioRecordings":
    """Where no account is configured. Raises EngineMisconfigured: the calls wait until one is."""
    raise EngineMisconfigured(
        "a recording that Twilio keeps cannot be fetched: set CALLWISE_TELEPHONY__TWILIO__ACCOUNT_SID and"
        " CALLWISE_TELEPHONY__TWILIO__AUTH_TOKEN",
        code="missing_auth_token",
    )


def _lying(parts: "Parts", work: results.Work) -> StoredObject | None:
    try:
        stored = parts.objects.head(work.ref.key)
    except ObjectGone:
        return None
    return stored if stored.ref.size_bytes else None


def _download(parts: "Parts", work: results.Work) -> StoredObject:
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
