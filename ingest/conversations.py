"""Conversations that come as text: which objects are some, and what they say. Pure: nothing is ever fetched."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from calls.analysis import SkippedFeature
from calls.errors import TerminalError
from calls.recording import CallFacts
from calls.transcript import Utterance
from ingest.aws_transcripts import read_contact_lens, read_transcribe
from ingest.captions import has_cue, is_webvtt, read_captions
from ingest.spoken import EMPTY, UNREADABLE, Document, make_utterances, mappings
from ingest.told import Told, storable
from ingest.values import Locality, as_mapping
from ingest.vcon import facts_of_vcon, inline_recordings, read_vcon

__all__ = [
    "EMPTY",
    "MAX_BYTES",
    "UNREADABLE",
    "TextConversation",
    "facts_of",
    "inline_recording",
    "kind_of",
    "read_conversation",
]

MAX_BYTES = 32 << 20
# So much of a document shows its shape where the rest is not at hand, or is broken.
HEAD_BYTES = 1 << 18
ANYWHERE = Locality()

Kind = Literal["vcon", "transcribe", "contact_lens", "webvtt", "srt"]

_KINDS_OF_SUFFIX: dict[str, Kind | None] = {".vcon": "vcon", ".vtt": "webvtt", ".srt": "srt", ".json": None}
# A string may be cut off by the end.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[{}\[\]:,]', re.DOTALL)


@dataclass(frozen=True)
class TextConversation:
    """A conversation that came as text.

    `duration_s` is its length in seconds, None where the document has no times. `channel_count` is how many channels of
    its recording the utterances tell apart; None where `channel` numbers voices instead. `skipped` says what is not
    there; the feature `timing` among it means that times must not be measured.
    """

    kind: Kind
    utterances: tuple[Utterance, ...]
    facts: CallFacts
    language: str
    duration_s: float | None
    skipped: tuple[SkippedFeature, ...]
    channel_count: int | None = None

    @property
    def is_timed(self) -> bool:
        """Whether the document says of everything when it began and ended."""
        return not any(item.feature == "timing" for item in self.skipped)


def kind_of(key: str, raw: bytes) -> Kind | None:
    """What conversation the object is, by its name and by its content; None for a sidecar or anything else.

    The beginning of the object, HEAD_BYTES of it, is enough. A name that ends in `.vcon`, `.vcon.json`, `.vtt` or
    `.srt` says what is meant, whether or not it can be read.
    """
    name = PurePosixPath(key.lower())
    if name.suffix not in _KINDS_OF_SUFFIX:
        return None
    meant: Kind | None = "vcon" if name.name.endswith(".vcon.json") else _KINDS_OF_SUFFIX[name.suffix]
    opening = _text(raw[:HEAD_BYTES]).lstrip()
    if is_webvtt(opening):
        return "webvtt"
    if opening[:1] == "{":
        return _kind_by_shape(_shape(raw)) or meant
    if name.suffix in {".vtt", ".srt"} and has_cue(opening):
        return "srt"
    return meant


def read_conversation(key: str, raw: bytes, local: Locality = ANYWHERE) -> TextConversation | None:
    """Read a conversation; None for an object that is none.

    Raises TerminalError and nothing else: `unreadable_conversation` for one that is meant to be a conversation and
    cannot be read, `empty_conversation` for one in which nothing is said.
    """
    kind = kind_of(key, raw)
    if kind is None:
        return None
    document = _read(kind, raw, local)
    utterances, left_open = make_utterances(document.said)
    last_s = max(u.end_s for u in utterances)
    is_placed = not any(item.code == "no_times" for item in left_open)
    return TextConversation(
        kind=kind,
        utterances=utterances,
        facts=_storable(document.facts),
        language=document.language,
        duration_s=max(document.duration_s or 0.0, last_s) if is_placed else document.duration_s,
        skipped=(*document.skipped, *left_open),
        channel_count=document.channel_count,
    )


def facts_of(key: str, raw: bytes, local: Locality = ANYWHERE) -> CallFacts:
    """What a conversation says of its call, whether or not anything is said in it; nothing for what cannot be read."""
    kind = kind_of(key, raw)
    try:
        # Listeners ask this: words that are not needed are not read.
        if kind == "vcon":
            return _storable(facts_of_vcon(_object(raw), local))
        return _storable(_read(kind, raw, local).facts) if kind == "contact_lens" else CallFacts()
    except TerminalError:
        return CallFacts()


def inline_recording(raw: bytes) -> tuple[bytes, str] | None:
    """The one recording that a vCon holds, with a suffix for it; None where it holds none.

    Raises TerminalError: `unreadable_conversation` for what is no vCon, `no_conversation` where it holds several,
    since nothing says how they belong together.
    """
    found = inline_recordings(_object(raw))
    if len(found) > 1:
        raise TerminalError(
            f"this vCon holds {len(found)} recordings and no transcript: put each into the bucket by itself",
            code="no_conversation",
        )
    return found[0] if found else None


def _storable(facts: CallFacts) -> CallFacts:
    return storable(Told(facts)).facts


def _read(kind: Kind, raw: bytes, local: Locality) -> Document:
    if len(raw) > MAX_BYTES:
        raise TerminalError(f"longer than {MAX_BYTES >> 20} MB", code=UNREADABLE)
    if kind == "vcon":
        return read_vcon(_object(raw), local)
    if kind in _READERS:
        return _READERS[kind](_object(raw))
    try:
        return read_captions(raw.decode(_encoding(raw)))
    except UnicodeDecodeError:
        raise TerminalError("this caption file is not UTF-8: save it as that", code=UNREADABLE) from None


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Document]] = {
    "transcribe": read_transcribe,
    "contact_lens": read_contact_lens,
}


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise TerminalError("this document is not JSON, or is cut off", code=UNREADABLE) from None
    if not isinstance(document, Mapping):
        raise TerminalError("this document is no JSON object", code=UNREADABLE)
    return document


def _encoding(raw: bytes) -> str:
    return "utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"


def _text(raw: bytes) -> str:
    return raw.decode(_encoding(raw), "replace")


def _kind_by_shape(paths: set[str]) -> Kind | None:
    is_unversioned = {"uuid", "parties"} <= paths and paths & {"created_at", "dialog", "analysis"}
    if "vcon" in paths or is_unversioned or {"payload", "signatures"} <= paths:
        return "vcon"
    if "results/transcripts" in paths or "results/items" in paths:
        return "transcribe"
    if "Transcript" in paths and paths & {"Participants", "Transcript/ParticipantId", "Transcript/ParticipantRole"}:
        return "contact_lens"
    return "contact_lens" if "Segments/Transcript" in paths else None


def _shape(raw: bytes) -> set[str]:
    """The names in a JSON object, and those in its objects and in the objects of its lists: `a`, `a/b`."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return set(_outline(_text(raw[:HEAD_BYTES])))
    found = set(as_mapping(document))
    for name, value in as_mapping(document).items():
        for inner in [value, *mappings(value)[:10]]:
            found |= {f"{name}/{below}" for below in as_mapping(inner)}
    return found


def _outline(text: str) -> Iterator[str]:
    """The same of text that may end anywhere. A name is a string with a colon behind it."""
    opened: list[str] = []
    names = [""]
    last = ""
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "{[":
            opened.append(mark)
            names.append("")
        elif mark in "}]" and opened:
            opened.pop()
            names.pop()
        elif mark == ":" and last.startswith('"') and len(opened) <= 3:
            names[-1] = last[1:-1]
            inner = [name for name in names if name]
            if len(inner) <= 2:
                yield "/".join(inner)
        last = mark
