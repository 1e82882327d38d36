"""One call in full: what telephony said, what was heard, what it was about, what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.channels import MAYBE_SWAPPED
from calls.corrections import OF_ANALYSIS, Changes, Field
from calls.recording import TEXT_SUFFIXES
from calls.redaction import SensitiveFinder, find_sensitive
from calls.timing import Timing
from calls.transcript import Speaker, Turn, Utterance, group_turns, turns_of
from crm.access import Viewer
from crm.analyses import analysis_of
from crm.call_lines import CallLine, label_of
from crm.calls import NoSuchCall
from crm.findings import recall
from crm.one_call_rows import WholeRow, read_labels, read_recording, read_said, read_whole
from crm.redacted import is_redacted, shown_call
from crm.results import GIVEN
from crm.reviews import Review, reviews_of
from crm.taxonomies import known_successors


@dataclass(frozen=True)
class RecordingRow:
    """The current recording of a call; `duration_s` is its decoded length in seconds, None before it was decoded."""

    id: UUID
    bucket: str
    object_key: str
    version_id: str
    etag: str
    size_bytes: int
    container: str | None
    codec: str | None
    channel_count: int | None
    sample_rate_hz: int | None
    duration_s: float | None
    playback_key: str | None
    # When the sound was deleted because its time was over.
    removed_at: datetime | None = None

    @property
    def has_sound(self) -> bool:
        """Whether there is something to play: a conversation that came as text has nothing, and a recording that
        telephony still keeps is not here, nor is one whose time is over.
        """
        if self.removed_at is not None:
            return False
        return bool(self.playback_key) or (self.size_bytes > 0 and not self.object_key.lower().endswith(TEXT_SUFFIXES))


@dataclass(frozen=True)
class ChannelRow:
    """One channel of the recording and whose voice it carries."""

    channel: int
    speaker: Speaker


@dataclass(frozen=True)
class TranscriptRow:
    """The current transcript: turns in order of start. `agent_channel` is the one by which the speakers were named,
    None where they are unknown or the text that was given names them.
    """

    engine: str
    is_demo: bool
    language: str | None
    revision: int
    created_at: datetime
    turns: tuple[Turn, ...]
    utterances_by_turn: tuple[tuple[Utterance, ...], ...]
    channels: tuple[ChannelRow, ...]
    agent_channel: int | None
    timing: Timing
    skipped: Sequence[Mapping[str, str]]
    # In English, in order of start; empty where no translation was made.
    translation: tuple[Utterance, ...] = ()

    @property
    def is_given(self) -> bool:
        """Whether the words came as text, and no engine heard them."""
        return self.engine.startswith(GIVEN)

    @property
    def has_times(self) -> bool:
        """Whether somebody knows when each turn began; without, only their order is known."""
        return not any(item["code"] == "no_times" for item in self.skipped)

    @property
    def is_maybe_swapped(self) -> bool:
        """Whether what is said contradicts the map of the channels."""
        return asdict(MAYBE_SWAPPED) in [dict(item) for item in self.skipped]


@dataclass(frozen=True)
class AnalysisRow:
    """The current analysis, as it is stored; `secondary_reasons` are (code, label)."""

    headline: str
    summary: str
    summary_kind: str
    subject: str
    reason_code: str | None
    reason_label: str | None
    reason_confidence: float | None
    secondary_reasons: tuple[tuple[str, str], ...]
    outcome: str
    is_resolved: bool | None
    next_steps: Sequence[Mapping[str, str | None]]
    evidence: Sequence[Mapping[str, Any]]
    answers: Mapping[str, bool | float | str | None]
    skipped: Sequence[Mapping[str, str]]
    sentiment_customer: float | None
    sentiment_customer_start: float | None
    sentiment_customer_end: float | None
    model: str
    is_demo: bool
    prompt_version: str
    taxonomy_version: str
    revision: int
    created_at: datetime
    # Which engine of several answered, counted from 0, and why the one before did not do; None where one is alone.
    tier: int | None = None
    escalated_for: str | None = None
    # What people said of the call, in order: of this revision or of an earlier one.
    reviews: tuple[Review, ...] = ()

    # From codes that the current reasons have not to those that go on in their place.
    following: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason_said_by(self) -> str | None:
        """The person by whose word the call has its reason; None where an engine gave it."""
        of_reason = [one for one in self.reviews if one.field == Field.REASON]
        said = of_reason[-1] if of_reason else None
        given = (said.after, self.following.get(said.after)) if said else ()
        return said.reviewed_by if said and self.reason_code in given else None

    @property
    def said_by(self) -> Mapping[str, str]:
        """The fields that say what a person said, each with that person: their words outlive every engine's."""
        found = {one.field: one.reviewed_by for one in self.reviews if one.field in OF_ANALYSIS}
        if self.reason_said_by is None:
            found.pop(Field.REASON, None)
        return found

    @property
    def approved(self) -> Review | None:
        """Who let this revision go to a CRM, and when; None where nobody has."""
        given = (one for one in self.reviews if one.field == Field.APPROVAL and one.revision == self.revision)
        return next(given, None)


@dataclass(frozen=True)
class Attempt:
    """Work that is still to be done: the step, how often it was tried, when it is due, and what went wrong last."""

    step: str
    attempt_count: int
    due_at: datetime
    last_code: str | None
    last_detail: str | None


@dataclass(frozen=True)
class CallInFull:
    """Everything about one call. `cost_microusd` is None when a paid request has no known price; `revision` is what a
    correction of it has to name (crm.corrections.revision_of).
    """

    line: CallLine
    revision: int
    source_system: str
    failed_step: str | None
    failed_detail: str | None
    finished_at: datetime | None
    modified_at: datetime
    from_number_e164: str | None
    to_number_e164: str | None
    queued_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    hold_time_s: float | None
    hold_count: int | None
    acw_time_s: float | None
    is_transferred: bool | None
    disconnect_reason: str | None
    contact_id: UUID | None
    earlier_call_id: UUID | None
    attributes: Mapping[str, str]
    recording: RecordingRow | None
    transcript: TranscriptRow | None
    analysis: AnalysisRow | None
    attempt: Attempt | None
    paid_request_count: int
    cost_microusd: int | None
    # What people said of the call, in order, also while it is being understood anew.
    reviews: tuple[Review, ...] = ()


def call_in_full(
    connection: sa.Connection,
    viewer: Viewer,
    call_id: UUID,
    find: SensitiveFinder = find_sensitive,
    *,
    word_by_word: bool = True,
) -> CallInFull:
    """The call of that id, with marks in place of what `find` finds where `viewer` may not read it. Raises NoSuchCall,
    also for one that `viewer` may not see.

    Who shows turns alone asks for less than `word_by_word`: the utterances are then without their words.
    """
    row = read_whole(connection, viewer, call_id)
    if row is None:
        raise NoSuchCall(f"no call has the id {call_id}")
    reviews = tuple(reviews_of(connection, call_id)) if row.review_count else ()
    found = CallInFull(
        line=row.line,
        revision=row.revision,
        **row.call,
        earlier_call_id=row.earlier_call_id,
        recording=RecordingRow(**row.recording) if row.recording else None,
        transcript=_transcript(connection, row, word_by_word=word_by_word),
        analysis=_analysis(connection, row, reviews),
        attempt=Attempt(**row.attempt) if row.attempt else None,
        paid_request_count=row.paid_request_count,
        cost_microusd=row.cost_microusd,
        reviews=reviews,
    )
    if found.transcript and is_redacted(viewer):
        recall(connection, {call_id: found.transcript.turns}, find)
    return shown_call(viewer, found, find)


def beyond_shown(changes: Changes, shown: CallInFull) -> Changes:
    """What is said beyond what was shown: forms and programs send back all that they hold, which may be redacted, and
    a button may be pressed twice.
    """
    if shown.transcript and shown.transcript.agent_channel == changes.agent_channel:
        changes = replace(changes, agent_channel=None)
    if shown.analysis is None:
        return changes
    row = vars(shown.analysis)
    return changes.beyond(analysis_of(row | {"secondary_reason_codes": [code for code, _ in row["secondary_reasons"]]}))


def recording_of(connection: sa.Connection, call_id: UUID) -> RecordingRow | None:
    """The current recording of a call; None for a call without one (generated history)."""
    found = read_recording(connection, call_id)
    return RecordingRow(**found) if found else None


def _transcript(connection: sa.Connection, row: WholeRow, *, word_by_word: bool) -> TranscriptRow | None:
    if row.transcript is None:
        return None
    said = read_said(connection, row.transcript["id"], word_by_word=word_by_word)
    groups = group_turns(said)
    told = row.transcript
    return TranscriptRow(
        **{name: told[name] for name in ("engine", "is_demo", "language", "revision", "created_at", "skipped")},
        turns=tuple(turns_of(groups)),
        utterances_by_turn=tuple(tuple(group) for group in groups),
        translation=tuple(Utterance(*one) for one in told["translation"] or ()),
        channels=_channels(said, row.recording["channel_count"] if row.recording else None),
        agent_channel=told["agent_channel"],
        timing=Timing(**{name: told[name] for name in Timing.__dataclass_fields__}),
    )


def _channels(said: Sequence[Utterance], channel_count: int | None) -> tuple[ChannelRow, ...]:
    speakers = {u.channel: u.speaker for u in said}
    return tuple(
        ChannelRow(channel, speakers.get(channel, Speaker.UNKNOWN))
        for channel in range(channel_count or max(speakers, default=-1) + 1)
    )


def _analysis(connection: sa.Connection, row: WholeRow, reviews: tuple[Review, ...]) -> AnalysisRow | None:
    if row.analysis is None:
        return None
    told = dict(row.analysis)
    codes = told.pop("secondary_reason_codes")
    labels = read_labels(connection, told["taxonomy_version"], codes)
    return AnalysisRow(
        **told,
        reason_label=row.line.reason_label,
        secondary_reasons=tuple((code, label_of(code, labels.get(code)) or code) for code in codes),
        reviews=reviews,
        # Of use where a person gave the reason alone.
        following=known_successors(connection) if any(one.field == Field.REASON for one in reviews) else {},
    )
