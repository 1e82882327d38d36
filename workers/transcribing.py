"""The step `call.transcribe`: a recording is heard."""

import hashlib
from datetime import datetime
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa

from calls.analysis import SkippedFeature
from calls.gates import gate
from calls.pipeline import SkipReason
from calls.recording import PEAKS, PLAYBACK, own_key
from calls.sides import take_sides
from crm import results
from crm.heard_pieces import forget_answers
from engines.audio import write_peaks
from engines.speech import ChannelAudio
from workers.folders import private_folder
from workers.hearing import hear
from workers.parts import Parts, Write
from workers.reading import take_out_recording


def transcribe(parts: Parts, work: results.Work) -> Write:
    """Hear the recording: its words, who said them, its timing, a playback copy."""
    parts.may_spend("speech", work.lane)
    with private_folder(parts.scratch) as folder:
        source = folder / "recording"
        parts.objects.fetch(work.ref, source)
        sound = take_out_recording(source, work.ref.key)
        decoded = parts.decode(sound)
        with source.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        heard, translation = hear(parts, work, decoded.audio, parts.ledger(work.call_id))
        if heard.utterances:
            _keep_copies(parts, folder, decoded.audio, work.recording_id)
    engine = parts.speech()
    facts = results.RecordingFacts(
        sha256=sha256,
        container=decoded.container,
        codec=decoded.codec,
        channel_count=decoded.source_channel_count,
        sample_rate_hz=decoded.source_rate_hz,
        duration_s=round(decoded.decoded_s, 3),
        playback_key=own_key(PLAYBACK, work.recording_id) if heard.utterances else "",
    )
    channel_count = decoded.audio.channel_count
    skip_reason = gate(heard.utterances, channel_count, parts.min_speech_s)

    def write(connection: sa.Connection, now: datetime) -> SkipReason | None:
        # Under the lock: telephony, or a person, may have told it while the recording was heard.
        agent_channel = results.agent_channel_of(connection, work.call_id)
        transcript = results.NewTranscript(
            engine=engine.name,
            is_demo=engine.is_demo,
            sides=take_sides(
                heard.utterances,
                channel_count=channel_count,
                agent_channel=parts.default_agent_channel if agent_channel is None else agent_channel,
                direction=work.direction,
            ),
            language=heard.language,
            language_probability=heard.language_probability,
            translation=translation,
            skipped=(SkippedFeature("recording", "truncated"),) if decoded.is_truncated else (),
        )
        results.save_recording_facts(connection, work, facts)
        results.save_transcript(connection, work, transcript, now=now)
        forget_answers(connection, work.recording_id, now=now)
        return skip_reason

    return write


def _keep_copies(parts: Parts, folder: Path, audio: ChannelAudio, recording_id: UUID) -> None:
    """What the page of the call plays and draws, written once beside the recordings."""
    for kind, write in ((PLAYBACK, parts.write_playback), (PEAKS, write_peaks)):
        copy = folder / kind
        write(audio, copy)
        parts.objects.put(own_key(kind, recording_id), copy)
