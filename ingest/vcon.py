"""vCons, read: the container of the IETF for conversations. Source: draft-ietf-vcon-vcon-core, versions 0.0.1 to 0.4.

What a vCon keeps elsewhere, at a URL, is never fetched.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from calls.analysis import SkippedFeature
from calls.errors import TerminalError
from calls.recording import CallFacts
from calls.transcript import Speaker, Word
from ingest.captions import strip_tags
from ingest.spoken import UNREADABLE, Document, Said, read_line, read_offset, speaker_named
from ingest.transcript_bodies import Body, read_body
from ingest.values import Locality, as_mapping, read_moment
from ingest.vcon_facts import read_vcon as read_facts

_MAX_PARTIES = 100
_MAX_DIALOGS = 20_000
_MAX_NAME = 300
_SPOKEN = frozenset({"recording", "text"})
_SUFFIXES = {
    "wav": ".wav", "x-wav": ".wav", "wave": ".wav", "mp3": ".mp3", "x-mp3": ".mp3", "mpeg": ".mp3", "ogg": ".ogg",
    "opus": ".opus", "flac": ".flac", "mp4": ".mp4", "x-m4a": ".m4a", "webm": ".webm", "amr": ".amr", "basic": ".au",
}  # fmt: skip


@dataclass(frozen=True)
class _Party:
    place: int
    speaker: Speaker
    name: str | None

    @property
    def voice(self) -> tuple[str, Speaker]:
        return f"party {self.place}", self.speaker


@dataclass(frozen=True)
class _Dialog:
    """One dialog; `offset_s` is its start from the start of the call, None where it does not say."""

    item: Mapping[str, Any]
    kind: str
    parties: tuple[_Party, ...]
    started_at: datetime | None
    offset_s: float | None
    duration_s: float | None


def open_vcon(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[SkippedFeature, ...]]:
    """The vCon itself, out of its signed form where it has one; the signature is not checked, and the answer says so.

    Raises TerminalError (`unreadable_conversation`) for an encrypted one.
    """
    if "ciphertext" in document:
        raise TerminalError("this vCon is encrypted: put it into the bucket decrypted", code=UNREADABLE)
    if "payload" not in document or "signatures" not in document:
        return document, ()
    inner = _json(_bytes_of(document["payload"]) or b"")
    if not isinstance(inner, Mapping) or "ciphertext" in inner:
        raise TerminalError("the payload of this signed vCon cannot be read", code=UNREADABLE)
    return inner, (SkippedFeature("signature", "not_checked"),)


def read_vcon(given: Mapping[str, Any], local: Locality) -> Document:
    """Its messages and the transcripts of its recordings, and what it says of the call.

    Of several transcripts of one recording the first with times counts. Raises TerminalError
    (`unreadable_conversation`).
    """
    document, skipped = open_vcon(given)
    parties = [_party(item, place) for place, item in enumerate(_entries(document.get("parties"), _MAX_PARTIES))]
    dialogs = _dialogs(document, parties, local)
    said = [one for dialog in dialogs if dialog.kind == "text" for one in _message(dialog, parties)]
    language = ""
    for dialog, body in _transcripts(document, dialogs, parties):
        said += _later(body.said, dialog.offset_s or 0.0 if dialog else 0.0)
        language = language or body.language
    ends = [(d.offset_s or 0.0) + d.duration_s for d in dialogs if d.kind == "recording" and d.duration_s]
    return Document(
        said=said,
        facts=read_facts(document, local).facts,
        language=language,
        duration_s=max(ends, default=None),
        skipped=skipped,
    )


def facts_of_vcon(given: Mapping[str, Any], local: Locality) -> CallFacts:
    """What a vCon says of its call, without its words. Raises TerminalError (`unreadable_conversation`)."""
    return read_facts(open_vcon(given)[0], local).facts


def inline_recordings(given: Mapping[str, Any]) -> list[tuple[bytes, str]]:
    """The recordings that the vCon itself holds, each with the suffix that a file of it would have."""
    document, _ = open_vcon(given)
    found = []
    for item in _entries(document.get("dialog"), _MAX_DIALOGS):
        media, _, subtype = str(item.get("mediatype") or item.get("mimetype") or "").partition(";")[0].partition("/")
        raw = _bytes_of(item.get("body")) if "base64" in str(item.get("encoding")).lower() else None
        if raw and item.get("type") == "recording" and media.lower() in {"audio", "video", ""}:
            of_name = PurePosixPath(read_line(item.get("filename"))[-100:]).suffix.lower()
            found.append((raw, _SUFFIXES.get(subtype.strip().lower()) or of_name or ".audio"))
    return found


def _party(item: Mapping[str, Any], place: int) -> _Party:
    about = as_mapping(item.get("meta"))
    return _Party(
        place,
        speaker_named(read_line(item.get("role") or about.get("role"))[:60]),
        read_line(item.get("name"))[:_MAX_NAME] or None,
    )


def _dialogs(document: Mapping[str, Any], parties: Sequence[_Party], local: Locality) -> list[_Dialog]:
    """The dialogs in the order of the document, their starts told from that of the first message or recording."""
    items = _entries(document.get("dialog"), _MAX_DIALOGS)
    starts = [read_moment(str(item.get("start") or ""), local.zone) for item in items]
    spoken = [s for s, item in zip(starts, items, strict=True) if s and str(item.get("type")) in _SPOKEN]
    base = min(spoken, default=None)
    return [
        _Dialog(
            item,
            str(item.get("type") or ""),
            tuple(_those(item.get("parties"), parties)),
            start,
            read_offset((start - base).total_seconds()) if start and base else None,
            read_offset(item.get("duration")),
        )
        for item, start in zip(items, starts, strict=True)
    ]


def _those(indices: object, parties: Sequence[_Party]) -> list[_Party]:
    """The parties of an index, of a list of them, or of a list of lists (several on one channel: the first)."""
    listed = indices if isinstance(indices, list) else [indices]
    flat = [one[0] if isinstance(one, list) and one else one for one in listed]
    return [
        parties[one] for one in flat if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < len(parties)
    ]


def _originator(dialog: _Dialog, parties: Sequence[_Party]) -> _Party | None:
    """Who began the dialog: the one it names, else the first of its parties."""
    named = _those(dialog.item.get("originator"), parties) or list(dialog.parties)
    return named[0] if named else None


def _message(dialog: _Dialog, parties: Sequence[_Party]) -> list[Said]:
    text = _text_of(dialog.item)
    if "html" in str(dialog.item.get("mediatype") or dialog.item.get("mimetype") or "").lower():
        text = strip_tags(text)
    sender = _originator(dialog, parties)
    voice, speaker = sender.voice if sender else ("", Speaker.UNKNOWN)
    length_s = dialog.duration_s or None
    end_s = dialog.offset_s + length_s if dialog.offset_s is not None and length_s else None
    return [Said(voice, text, dialog.offset_s, end_s, speaker)] if text.strip() else []


def _transcripts(
    document: Mapping[str, Any], dialogs: Sequence[_Dialog], parties: Sequence[_Party]
) -> list[tuple[_Dialog | None, Body]]:
    """Each recording's transcript, those with times before those without, none of a dialog that another one covers."""
    names = {party.name.casefold(): party for party in parties if party.name}
    found: list[tuple[list[int], Body]] = []
    for item in _entries(document.get("analysis"), _MAX_DIALOGS):
        if "transcri" not in str(item.get("type") or "").lower():
            continue
        given = item.get("dialog")
        places = [one for one in (given if isinstance(given, list) else [given]) if isinstance(one, int)]
        places = [one for one in places if 0 <= one < len(dialogs)] or ([0] if len(dialogs) == 1 else [])
        if places and all(dialogs[one].kind == "text" for one in places):
            continue

        def named(label: object, place: int = places[0] if places else -1) -> tuple[str, Speaker]:
            text = read_line(label)[:_MAX_NAME] if isinstance(label, str) else str(label) if label is not None else ""
            speaker = speaker_named(text)
            # A role stands for the one party that has it.
            having = [party for party in parties if party.speaker is speaker is not Speaker.UNKNOWN]
            party = names.get(text.casefold()) or (having[0] if len(having) == 1 else None)
            return party.voice if party else (f"dialog {place}: {text}", speaker)

        scale = 0.001 if str(item.get("vendor") or "").lower().startswith("assembly") else 1.0
        channels = [party.voice for party in dialogs[places[0]].parties] if places else []
        body = read_body(_body_of(item), name=named, channels=channels, scale=scale)
        if body.said:
            found.append((places, body))
    found.sort(key=lambda pair: not pair[1].is_timed)
    covered: set[int] = set()
    kept: list[tuple[_Dialog | None, Body]] = []
    for places, body in found:
        if not covered & set(places or [-1]):
            covered |= set(places or [-1])
            kept.append((dialogs[places[0]] if places else None, body))
    return kept


def _later(said: Sequence[Said], by_s: float) -> list[Said]:
    if not by_s:
        return list(said)
    return [
        replace(
            one,
            start_s=None if one.start_s is None else round(one.start_s + by_s, 3),
            end_s=None if one.end_s is None else round(one.end_s + by_s, 3),
            words=tuple(
                Word(w.text, round(w.start_s + by_s, 3), round(w.end_s + by_s, 3), w.confidence) for w in one.words
            ),
        )
        for one in said
    ]


def _entries(value: object, most: int) -> list[Mapping[str, Any]]:
    """The entries of a list, each in its place: others point at it by number."""
    return [as_mapping(item) for item in value[:most]] if isinstance(value, list) else []


def _body_of(item: Mapping[str, Any]) -> object:
    """The body as what it is encoded as; text that is JSON is read, whatever the encoding says."""
    body = item.get("body")
    encoding = str(item.get("encoding") or "").lower()
    if isinstance(body, str) and "base64" in encoding:
        body = (_bytes_of(body) or b"").decode("utf-8", "replace")
    if isinstance(body, str) and (encoding == "json" or body.lstrip()[:1] in {"{", "["}):
        parsed = _json(body)
        return body if parsed is None else parsed
    return body


def _text_of(item: Mapping[str, Any]) -> str:
    body = _body_of(item)
    if isinstance(body, Mapping):
        body = body.get("text") or body.get("body") or body.get("content")
    return body if isinstance(body, str) else ""


def _bytes_of(text: object) -> bytes | None:
    """The bytes of base64url, with or without padding; None for anything else."""
    if not isinstance(text, str):
        return None
    plain = "".join(text.split()).rstrip("=").translate(str.maketrans("+/", "-_"))
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
