"""The step `call.read`: a conversation that came as text is read instead of heard."""

import hashlib
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from calls.errors import TerminalError
from calls.gates import gate
from calls.pipeline import TRANSCRIBE, SkipReason
from calls.recording import TEXT_SUFFIXES
from calls.sides import take_sides
from crm import results
from ingest.conversations import (
    EMPTY,
    MAX_BYTES,
    UNREADABLE,
    TextConversation,
    inline_recording,
    kind_of,
    read_conversation,
)
from workers.folders import private_folder
from workers.parts import Parts, Write


def read(parts: Parts, work: results.Work) -> Write:
    """Read the conversation: its words, who said them, its timing where it has times.

    A vCon that holds its recording and no words is handed over to be heard. Raises TerminalError:
    `unreadable_conversation`, `empty_conversation`, or `no_conversation` for a vCon with neither words nor sound.
    """
    raw = _fetch(parts, work)
    conversation = _read(work.ref.key, raw)
    if conversation is None:
        return lambda _connection, _now: TRANSCRIBE
    facts = results.RecordingFacts(
        sha256=hashlib.sha256(raw).hexdigest(),
        container=conversation.kind,
        codec="",
        channel_count=conversation.channel_count,
        sample_rate_hz=None,
        duration_s=conversation.duration_s,
        playback_key="",
    )
    # Seconds of speech that nobody measured must not make a call one without speech.
    min_speech_s = parts.min_speech_s if conversation.is_timed else 0.0
    skip_reason = gate(conversation.utterances, conversation.channel_count or 1, min_speech_s)

    def write(connection: sa.Connection, now: datetime) -> SkipReason | None:
        # Under the lock: telephony, or a person, may have told it in the meantime.
        agent_channel = results.agent_channel_of(connection, work.call_id)
        transcript = results.NewTranscript(
            engine=f"{results.GIVEN}{conversation.kind}",
            is_demo=False,
            sides=take_sides(
                conversation.utterances,
                channel_count=conversation.channel_count or 1,
                agent_channel=parts.default_agent_channel if agent_channel is None else agent_channel,
                direction=work.direction,
                is_timed=conversation.is_timed,
            ),
            language=conversation.language,
            skipped=conversation.skipped,
        )
        results.save_recording_facts(connection, work, facts)
        results.save_transcript(connection, work, transcript, now=now)
        return skip_reason

    return write


def take_out_recording(source: Path, key: str) -> Path:
    """The recording that a vCon holds, in a file beside it; any other file is the recording itself.

    Raises TerminalError (`unreadable_conversation`, `no_conversation`).
    """
    if not key.lower().endswith(TEXT_SUFFIXES) or source.stat().st_size > MAX_BYTES:
        return source
    found = inline_recording(source.read_bytes())
    if found is None:
        return source
    sound, suffix = found
    taken_out = source.with_name(f"sound{suffix}")
    taken_out.write_bytes(sound)
    return taken_out


def _fetch(parts: Parts, work: results.Work) -> bytes:
    """The document's bytes, of which there are MAX_BYTES at most."""
    too_large = TerminalError(f"longer than {MAX_BYTES >> 20} MB", code=UNREADABLE)
    if (work.ref.size_bytes or 0) > MAX_BYTES:
        raise too_large
    with private_folder(parts.scratch) as folder:
        source = folder / "conversation"
        parts.objects.fetch(work.ref, source)
        if source.stat().st_size > MAX_BYTES:
            raise too_large
        return source.read_bytes()


def _read(key: str, raw: bytes) -> TextConversation | None:
    """The conversation; None for a vCon without words that holds its recording."""
    try:
        conversation = read_conversation(key, raw)
    except TerminalError as error:
        if error.code != EMPTY or kind_of(key, raw) != "vcon":
            raise
        if inline_recording(raw) is None:
            raise TerminalError(
                "there are no words in it and no recording; what it keeps at a URL is not fetched: put the recording"
                " itself into the bucket",
                code="no_conversation",
            ) from None
        return None
    if conversation is None:
        raise TerminalError("this is no conversation in a form that is read", code=UNREADABLE)
    return conversation
