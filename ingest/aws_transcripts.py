"""Transcripts of Amazon, read: Transcribe's output of a job, and Contact Lens after or during a call.

Source: Amazon Transcribe, "Data input and output"; Amazon Connect, "Contact Lens output files" and
"ListRealtimeContactAnalysisSegments"; Transcribe Call Analytics writes what Contact Lens does.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from typing import Any

from calls.analysis import SkippedFeature
from calls.recording import CallFacts
from calls.transcript import Speaker, Word
from ingest.spoken import (
    Document,
    Said,
    cut,
    first_of,
    mappings,
    read_language,
    read_line,
    read_offset,
    read_share,
    speaker_named,
)
from ingest.values import as_mapping, read_moment

# Amazon Connect records the customer on channel 0 and the agent on channel 1.
_CONNECT_CHANNELS = {Speaker.CUSTOMER: 0, Speaker.AGENT: 1}
_MAX_SKIPPED = 20

Item = Mapping[str, Any]


def read_transcribe(document: Mapping[str, Any]) -> Document:
    """A job's output: by channel where channels were told apart, else by speaker label, else one voice.

    Who is who a speaker label does not say; punctuation is joined to the word before it. Without items the plain text
    of the job is all there is, and it has no times.
    """
    results = as_mapping(document.get("results"))
    language = read_language(results.get("language_code") or document.get("languageCode"))
    channels = mappings(as_mapping(results.get("channel_labels")).get("channels"))
    said: list[Said] = []
    for place, channel in enumerate(channels):
        number = _number(channel.get("channel_label"), place)
        words = _words(mappings(channel.get("items")))
        said += cut(Said(f"channel {number}", "", channel=number, words=tuple(words)))
    if not said:
        for label, items in _runs(mappings(results.get("items")), _labels(results)):
            said += cut(Said(label, "", words=tuple(_words(items))))
    if not said:
        said = [
            Said(_label(segment), str(segment.get("transcript") or ""), *_span(segment))
            for segment in mappings(results.get("audio_segments"))
        ]
    if not said:
        said = [Said("", str(whole.get("transcript") or "")) for whole in mappings(results.get("transcripts"))]
    is_by_channel = any(one.channel is not None for one in said)
    return Document(said, language=language, channel_count=len(channels) if is_by_channel else None)


def read_contact_lens(document: Mapping[str, Any]) -> Document:
    """A contact's analysis: each turn with its participant; what was redacted stays as it is.

    Partial utterances of a call in progress are left out: their whole follows.
    """
    roles = {
        str(one.get("ParticipantId") or ""): str(one.get("ParticipantRole") or "")
        for one in mappings(document.get("Participants"))
    }
    turns = mappings(document.get("Transcript")) or [
        as_mapping(segment["Transcript"]) for segment in mappings(document.get("Segments")) if "Transcript" in segment
    ]
    # A chat says when each message came, a call how long after its start.
    moments = [read_moment(str(turn.get("AbsoluteTime") or ""), UTC) for turn in turns]
    started_at = min((moment for moment in moments if moment), default=None)
    said = [
        _lens_turn(turn, roles, (moment - started_at).total_seconds() if moment and started_at else None)
        for turn, moment in zip(turns, moments, strict=True)
    ]
    is_by_channel = all(one.channel is not None for one in said)
    if not is_by_channel:
        # A bot, a third participant: the voices are told apart, the channels are not.
        said = [Said(s.voice, s.text, s.start_s, s.end_s, s.speaker, None, s.words) for s in said]
    measured = as_mapping(document.get("ConversationCharacteristics"))
    about = as_mapping(document.get("CustomerMetadata"))
    contact_id = read_line(first_of(about, ["ContactId"]) or document.get("ContactId"))[:200]
    return Document(
        said=said,
        facts=CallFacts(external_call_id=contact_id or None, started_at=started_at),
        language=read_language(document.get("LanguageCode")),
        duration_s=read_offset(measured.get("TotalConversationDurationMillis"), 0.001),
        skipped=_skipped(as_mapping(document.get("JobDetails"))),
        channel_count=2 if said and is_by_channel else None,
    )


def _lens_turn(turn: Item, roles: Mapping[str, str], since_s: float | None) -> Said:
    who = read_line(turn.get("ParticipantId"))
    role = str(turn.get("ParticipantRole") or roles.get(who) or who)
    speaker = speaker_named(role)
    words = [
        Word(text, start_s, end_s, read_share(item.get("Confidence")))
        for item in mappings(turn.get("Items"))
        if (text := read_line(item.get("Content")))
        and (start_s := read_offset(item.get("BeginOffsetMillis"), 0.001)) is not None
        and (end_s := read_offset(item.get("EndOffsetMillis"), 0.001)) is not None
        and start_s <= end_s
    ]
    return Said(
        voice=who or role,
        text=str(turn.get("Content") or ""),
        start_s=read_offset(turn.get("BeginOffsetMillis"), 0.001) if since_s is None else read_offset(since_s),
        end_s=read_offset(turn.get("EndOffsetMillis"), 0.001),
        speaker=speaker,
        channel=_CONNECT_CHANNELS.get(speaker),
        words=tuple(words),
    )


def _skipped(job: Mapping[str, Any]) -> tuple[SkippedFeature, ...]:
    told = [*mappings(job.get("SkippedAnalysis")), *mappings(job.get("Skipped"))]
    return tuple(SkippedFeature(_code(one.get("Feature")), _code(one.get("ReasonCode"))) for one in told[:_MAX_SKIPPED])


def _code(value: object) -> str:
    return re.sub(r"[^a-z0-9]+", "_", read_line(value).lower())[:60].strip("_") or "unknown"


def _words(items: Iterable[Item]) -> list[Word]:
    """Words with their times; punctuation, which has none, closes up to the word before it."""
    words: list[Word] = []
    for item in items:
        alternatives = mappings(item.get("alternatives"))
        said = alternatives[0] if alternatives else item
        text = read_line(said.get("content"))
        start_s, end_s = _span(item)
        if not text:
            continue
        if start_s is None or end_s is None:
            if words:
                before = words[-1]
                words[-1] = Word(before.text + text, before.start_s, before.end_s, before.confidence)
            continue
        words.append(Word(text, start_s, max(start_s, end_s), read_share(said.get("confidence"))))
    return words


def _runs(items: Sequence[Item], labels: Mapping[tuple[object, object], str]) -> list[tuple[str, list[Item]]]:
    """Neighbouring items of one voice; punctuation belongs to whoever spoke last."""
    runs: list[tuple[str, list[Item]]] = []
    for item in items:
        is_word = item.get("start_time") is not None
        label = _label(item) or labels.get((str(item.get("start_time")), str(item.get("end_time"))), "")
        if not runs or (is_word and label != runs[-1][0]):
            runs.append((label, []))
        runs[-1][1].append(item)
    return runs


def _labels(results: Mapping[str, Any]) -> dict[tuple[object, object], str]:
    """The speaker of each item by its times: older outputs keep the labels apart from the items."""
    return {
        (str(item.get("start_time")), str(item.get("end_time"))): _label(item)
        for segment in mappings(as_mapping(results.get("speaker_labels")).get("segments"))
        for item in mappings(segment.get("items"))
    }


def _label(item: Item) -> str:
    return read_line(item.get("speaker_label")) or read_line(item.get("channel_label"))


def _span(item: Item) -> tuple[float | None, float | None]:
    return read_offset(item.get("start_time")), read_offset(item.get("end_time"))


def _number(label: object, place: int) -> int:
    found = re.fullmatch(r"ch_(\d{1,2})", str(label))
    return int(found[1]) if found else place
