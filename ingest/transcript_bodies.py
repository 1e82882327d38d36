"""Transcripts as speech engines write them into other documents: Deepgram, Whisper and its kin, Transcribe, text.

None of them has a standard that the others keep, so that they are told apart by their shape.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from calls.transcript import Speaker, Word
from ingest.aws_transcripts import read_contact_lens, read_transcribe
from ingest.captions import has_cue, is_webvtt, read_captions, split_prefix
from ingest.spoken import (
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
from ingest.values import as_mapping

_DEPTH = 6
_STRETCHES = ("utterances", "segments", "turns", "messages")
_TEXT = ("text", "transcript", "content", "message", "body", "punctuated_word", "word")
_START = ("start", "start_s", "start_time", "startTime", "begin")
_END = ("end", "end_s", "end_time", "endTime")
_WHO = ("speaker", "speaker_label", "speaker_name", "participant", "role", "name")
_SURE = ("confidence", "probability", "score")

# What a label for a speaker stands for: the voice, and the side where that is known.
NameVoice = Callable[[object], tuple[str, Speaker]]


@dataclass(frozen=True)
class Body:
    """What one transcript says; times are seconds from the start of its recording."""

    said: list[Said] = field(default_factory=list)
    language: str = ""

    @property
    def is_timed(self) -> bool:
        """Whether it says when anything was said."""
        return any(one.start_s is not None for one in self.said)


def name_voice(label: object) -> tuple[str, Speaker]:
    """The voice of a label by nothing but its own words."""
    text = str(label) if isinstance(label, str | int) else ""
    return text, speaker_named(text)


def read_body(
    body: object, *, name: NameVoice = name_voice, channels: Sequence[tuple[str, Speaker]] = (), scale: float = 1.0
) -> Body:
    """The transcript, an empty one where its shape is none that is known.

    `name` tells who a speaker's label is, `channels` who is on which channel of the recording; `scale` is the worth of
    one unit of its times, in seconds.
    """
    reader = _Reader(name, channels, scale)
    said = reader.read(body, _DEPTH)
    return Body(said, reader.language)


@dataclass
class _Reader:
    name: NameVoice
    channels: Sequence[tuple[str, Speaker]]
    scale: float
    language: str = ""

    def read(self, body: object, depth: int) -> list[Said]:
        if depth == 0:
            return []
        if isinstance(body, str):
            return self._plain(body)
        if isinstance(body, list):
            return self._stretches(mappings(body))
        if not isinstance(body, Mapping):
            return []
        self.language = self.language or read_language(
            first_of(body, ("language", "detected_language", "language_code"))
        )
        return self._amazon(body) or self._known(body, depth)

    def _known(self, body: Mapping[str, Any], depth: int) -> list[Said]:
        channels = mappings(body.get("channels"))
        if len(channels) > 1:
            return [one for place, channel in enumerate(channels) for one in self._channel(channel, place, depth)]
        inner: list[object] = [body.get("results"), *channels, *mappings(body.get("alternatives"))[:1]]
        tries: list[Callable[[], list[Said]]] = [
            lambda: self._first_stretches(body),
            lambda: self._first_of(inner, depth),
            lambda: self._paragraphs(body.get("paragraphs")),
            lambda: self._worded(mappings(body.get("words"))),
            lambda: self._first_of([body.get(part) for part in ("transcript", "transcription", "text")], depth),
        ]
        return next((said for attempt in tries if (said := attempt())), [])

    def _first_of(self, parts: Sequence[object], depth: int) -> list[Said]:
        return next((said for part in parts if (said := self.read(part, depth - 1))), [])

    def _first_stretches(self, body: Mapping[str, Any]) -> list[Said]:
        return next((said for part in _STRETCHES if (said := self._stretches(mappings(body.get(part))))), [])

    def _channel(self, channel: Mapping[str, Any], place: int, depth: int) -> list[Said]:
        voice, speaker = self.channels[place] if place < len(self.channels) else (f"channel {place}", Speaker.UNKNOWN)
        return [
            Said(voice, one.text, one.start_s, one.end_s, speaker, None, one.words, one.confidence)
            for one in self.read(channel, depth - 1)
        ]

    def _amazon(self, body: Mapping[str, Any]) -> list[Said]:
        results = as_mapping(body.get("results"))
        if mappings(results.get("items")) or mappings(results.get("transcripts")):
            found = read_transcribe(body)
        elif any("ParticipantId" in turn or "ParticipantRole" in turn for turn in mappings(body.get("Transcript"))):
            found = read_contact_lens(body)
        else:
            return []
        self.language = self.language or found.language
        return [Said(s.voice, s.text, s.start_s, s.end_s, s.speaker, None, s.words, s.confidence) for s in found.said]

    def _plain(self, text: str) -> list[Said]:
        opening = text.lstrip("\N{ZERO WIDTH NO-BREAK SPACE} \r\n\t")
        if is_webvtt(opening) or has_cue(opening):
            return list(read_captions(opening).said)
        said: list[Said] = []
        voice, speaker = "", Speaker.UNKNOWN
        for line in text.splitlines():
            label, rest = split_prefix(line)
            before, colon, after = line.partition(":")
            if not label and colon and len(before) <= 60 and self.name(before.strip())[1] is not Speaker.UNKNOWN:
                label, rest = before.strip(), after
            if label:
                voice, speaker = self.name(label)
            if rest.strip():
                said.append(Said(voice, rest, speaker=speaker))
        return said

    def _stretches(self, items: Sequence[Mapping[str, Any]]) -> list[Said]:
        found = []
        for item in items:
            voice, speaker = self.name(first_of(item, _WHO))
            start_s, end_s = self._span(item)
            found.append(
                Said(
                    voice,
                    str(first_of(item, _TEXT) or ""),
                    start_s,
                    end_s,
                    speaker,
                    words=tuple(self._words(mappings(item.get("words")))),
                    confidence=read_share(first_of(item, _SURE)),
                )
            )
        return [one for one in found if one.text.strip()]

    def _paragraphs(self, given: object) -> list[Said]:
        found = []
        for paragraph in mappings(as_mapping(given).get("paragraphs", given)):
            voice, speaker = self.name(first_of(paragraph, _WHO))
            for sentence in mappings(paragraph.get("sentences")) or [paragraph]:
                start_s, end_s = self._span(sentence)
                text = str(first_of(sentence, _TEXT) or "")
                if text.strip():
                    found.append(Said(voice, text, start_s, end_s, speaker))
        return found

    def _worded(self, items: Sequence[Mapping[str, Any]]) -> list[Said]:
        found: list[Said] = []
        for label, run in groupby(items, key=lambda item: str(first_of(item, _WHO) or "")):
            voice, speaker = self.name(label)
            found += cut(Said(voice, "", speaker=speaker, words=tuple(self._words(list(run)))))
        return found

    def _words(self, items: Sequence[Mapping[str, Any]]) -> list[Word]:
        words = []
        for item in items:
            text = read_line(first_of(item, ("punctuated_word", "word", "text")))
            start_s, end_s = self._span(item)
            if text and start_s is not None and end_s is not None:
                words.append(Word(text, start_s, max(start_s, end_s), read_share(first_of(item, _SURE))))
        return words

    def _span(self, item: Mapping[str, Any]) -> tuple[float | None, float | None]:
        return read_offset(first_of(item, _START), self.scale), read_offset(first_of(item, _END), self.scale)
