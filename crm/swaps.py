"""Speakers that were told apart wrongly: the current transcript renamed, without hearing the recording again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from calls.channels import MAYBE_SWAPPED
from calls.errors import CallwiseError
from calls.pipeline import UNDERSTAND, Stage, lane_of
from calls.recording import CallFacts, Direction
from calls.sides import take_sides
from calls.telling import Rank, Telling, object_subject
from calls.transcript import Speaker, Utterance
from crm import jobs
from crm.tables import call, call_analysis, recording, transcript, utterance
from crm.tellings import ToldOf, store_tellings

# What a person says of a call: one voice, of which the last word counts.
PERSON = "person"

_BEYOND_THE_TRANSCRIPT = (Stage.TRANSCRIBED, Stage.UNDERSTOOD, Stage.DONE, Stage.FAILED)


class NoChannels(CallwiseError):
    """The speakers of the call are not named by channel, so that there is nothing to swap."""

    code = "no_channels"


def correct_agent_channel(connection: sa.Connection, call_id: UUID, agent_channel: int, *, now: datetime) -> bool:
    """Let this be the agent's channel, 0 or 1, on a person's word; returns whether the speakers changed.

    The word outranks whatever telephony says of this recording later. Saying it again changes nothing. Raises
    NoChannels.
    """
    _channel_of(_locked_transcript(connection, call_id))
    place = connection.execute(
        sa.select(recording.c.bucket, recording.c.object_key).where(
            recording.c.call_id == call_id, recording.c.is_current
        )
    ).one()
    # Of the recording: other sound under another key may have its channels the other way round.
    subject = object_subject(place.bucket, place.object_key)
    word = Telling(PERSON, Rank.PERSON, CallFacts(agent_channel=agent_channel), as_of=now)
    store_tellings(connection, [ToldOf(subject, word)], now=now)
    connection.execute(sa.update(call).where(call.c.id == call_id).values(agent_channel=agent_channel, modified_at=now))
    return rename_speakers(connection, call_id, agent_channel, now=now)


def stated_agent_channel(connection: sa.Connection, call_id: UUID) -> int:
    """The channel by which the speakers are named now. Raises NoChannels."""
    return _channel_of(_locked_transcript(connection, call_id))


def rename_speakers(connection: sa.Connection, call_id: UUID, agent_channel: int, *, now: datetime) -> bool:
    """Name the speakers of the current transcript by this channel; returns whether that changed anything.

    The renamed transcript is a revision of its own, and the one before stays as history. What was understood of the
    call rests on who said what: it becomes history, too, and the call is to be understood again, which is one more
    request to the language engine. A call that was skipped stays skipped. It is marked for the roll-ups.
    """
    before = _locked_transcript(connection, call_id)
    if before is None or before["agent_channel"] in {None, agent_channel}:
        return False
    about = connection.execute(sa.select(call).where(call.c.id == call_id)).one()
    said = [
        dict(row)
        for row in connection.execute(
            sa.select(utterance).where(utterance.c.transcript_id == before["id"]).order_by(utterance.c.seq)
        ).mappings()
    ]
    sides = take_sides(
        [_utterance(row) for row in said],
        channel_count=2,
        agent_channel=agent_channel,
        direction=Direction(about.direction) if about.direction else None,
        is_timed=before["non_talk_time_s"] is not None,
    )
    doubt = asdict(MAYBE_SWAPPED)
    row = dict(before) | {
        "id": uuid4(),
        "revision": before["revision"] + 1,
        "created_at": now,
        "agent_channel": agent_channel,
        "turn_count": sides.turn_count,
        "skipped": [item for item in before["skipped"] if item != doubt] + [asdict(item) for item in sides.doubts],
        **asdict(sides.timing),
    }
    connection.execute(sa.update(transcript).where(transcript.c.id == before["id"]).values(is_current=False))
    connection.execute(sa.insert(transcript).values(**row))
    _copy_utterances(connection, said, row["id"], [u.speaker for u in sides.utterances])
    _understand_again(connection, about, now)
    return True


def _locked_transcript(connection: sa.Connection, call_id: UUID) -> sa.RowMapping | None:
    """The current transcript; whoever renames the speakers of this call waits for the one who does so now."""
    connection.execute(sa.select(call.c.id).where(call.c.id == call_id).with_for_update())
    return (
        connection.execute(sa.select(transcript).where(transcript.c.call_id == call_id, transcript.c.is_current))
        .mappings()
        .one_or_none()
    )


def _channel_of(current: sa.RowMapping | None) -> int:
    if current is None:
        raise NoChannels("this call has no transcript yet: there are no speakers to swap")
    if current["agent_channel"] is None:
        raise NoChannels(
            "the speakers of this call are not told apart by channel: it was recorded on one, or came as text that"
            " names them itself"
        )
    return int(current["agent_channel"])


def _utterance(row: Mapping[str, Any]) -> Utterance:
    return Utterance(row["channel"], row["start_s"], row["end_s"], row["text"])


def _copy_utterances(
    connection: sa.Connection, said: Sequence[Mapping[str, Any]], transcript_id: UUID, speakers: Sequence[Speaker]
) -> None:
    if said:
        copies = [
            dict(row) | {"transcript_id": transcript_id, "speaker": speaker}
            for row, speaker in zip(said, speakers, strict=True)
        ]
        connection.execute(sa.insert(utterance), copies)


def _understand_again(connection: sa.Connection, about: sa.Row[Any], now: datetime) -> None:
    if about.stage in _BEYOND_THE_TRANSCRIPT:
        connection.execute(
            sa.update(call_analysis)
            .where(call_analysis.c.call_id == about.id, call_analysis.c.is_current)
            .values(is_current=False)
        )
        jobs.start_anew(
            connection, jobs.first_job(about.id, now, step=UNDERSTAND, lane=lane_of(about.received_at, now))
        )
        connection.execute(
            sa.update(call)
            .where(call.c.id == about.id)
            .values(
                stage=Stage.TRANSCRIBED,
                failed_step=None,
                failed_code=None,
                failed_detail=None,
                finished_at=None,
                modified_at=now,
            )
        )
    jobs.touch_call(connection, about.id)
