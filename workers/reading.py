"""The step `call.read`: a conversation that came as text is read instead of heard."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from calls.errors import TerminalError
from calls.gates import gate
from calls.pipeline import TRANSCRIBE, SkipReason, Step
from calls.recording import TEXT_SUFFIXES
from calls.timing import Timing, time_call
from calls.transcript import Speaker, Utterance, name_speakers, take_turns
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

if TYPE_CHECKING:
    from workers.steps import Parts

NOT_MEASURED = Timing(None, None, None, None)


def read(parts: "Parts", work: results.Work) -> Callable[[sa.Connection, datetime], SkipReason | Step | None]:
    """Read the conversation: its words, who said them, its timing where it has times.

    A vCon that holds its recording and no words is handed over to be heard. Raises TerminalError:
    `unreadable_conversation`, `empty_conversation`, or `no_conversation` for a vCon with neither words nor sound.
    """
    raw = _fetch(parts, work)
    conversation = _read(work.ref.key, raw)
    if conversation is None:
        return lambda _connection, _now: TRANSCRIBE
    agent_channel = parts.default_agent_channel if work.agent_channel is None else work.agent_channel
    utterances = name_voices(conversation, agent_channel)
    transcript = results.NewTranscript(
        engine=f"{results.GIVEN}{conversation.kind}",
        is_demo=False,
        utterances=utterances,
        timing=time_call(utterances) if conversation.is_timed else NOT_MEASURED,
        turn_count=len(take_turns(utterances)),
        language=conversation.language,
        skipped=conversation.skipped,
    )
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
    skip_reason = gate(utterances, conversation.channel_count or 1, min_speech_s)

    def write(connection: sa.Connection, now: datetime) -> SkipReason | None:
        results.save_recording_facts(connection, work, facts)
        results.save_transcript(connection, work, transcript, now=now)
        return skip_reason

    return write


def name_voices(conversation: TextConversation, agent_channel: int | None) -> list[Utterance]:
    """The utterances with their speakers: those that the document names, else by channel where it tells two apart."""
    if any(said.speaker is not Speaker.UNKNOWN for said in conversation.utterances):
        return list(conversation.utterances)
    return name_speakers(
        conversation.utterances, channel_count=conversation.channel_count or 1, agent_channel=agent_channel
    )


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


def _fetch(parts: "Parts", work: results.Work) -> bytes:
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
