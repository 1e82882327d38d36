"""Captions, read: WebVTT and SubRip (SRT). Source: W3C WebVTT; SRT has no standard, so that this reads what is met."""

import html
import re
from collections.abc import Iterator, Sequence

from calls.analysis import SkippedFeature
from calls.errors import TerminalError
from calls.transcript import Speaker
from ingest.spoken import UNREADABLE, Document, Said, read_offset, speaker_named

_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
_TIMING = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?")
_BLOCKS = ("NOTE", "STYLE", "REGION")
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?(?:\s([^<>]*))?>")
_TAG = re.compile(r"</?[A-Za-z0-9][^<>]*>|</>")
_STYLE = re.compile(r"\{\\[^{}]*\}")
# "Agent: hello", "- Customer: hello", "Speaker 2: hello".
_PREFIX = re.compile(r"\s*(?:-\s*)?\[?([A-Za-z][A-Za-z _-]{0,24}?[ _-]?\d{0,3})\]?:(?=\s|$)")
_NUMBERED = re.compile(r"(?:speaker|spk|voice|channel|ch)[ _-]?\d{1,3}", re.IGNORECASE)

Cue = tuple[float, float, list[str]]


def is_webvtt(text: str) -> bool:
    """Whether the text opens as WebVTT does."""
    return text.startswith("WEBVTT") and text[6:7] in {"", " ", "\t", "\n", "\r"}


def has_cue(text: str) -> bool:
    """Whether a line of the text is the time line of a caption."""
    return any("-->" in line and _TIMING.fullmatch(line) for line in text.splitlines())


def read_captions(text: str) -> Document:
    """The cues, their voices by `<v name>` or by a role before a colon; other names stay in the text.

    A cue whose times cannot be read is left out, and the result says so. Raises TerminalError
    (`unreadable_conversation`) where no cue can be read.
    """
    lines = text.lstrip("\N{ZERO WIDTH NO-BREAK SPACE}").splitlines()
    unread: list[str] = []
    cues = list(_webvtt_cues(lines, unread) if lines and is_webvtt(lines[0]) else _srt_cues(lines, unread))
    if not cues and (unread or not lines or not is_webvtt(lines[0])):
        raise TerminalError("no caption of this file has times that can be read", code=UNREADABLE)
    said = [one for start_s, end_s, cue in cues for one in _voices(cue, start_s, max(start_s, end_s))]
    return Document(
        said=said,
        duration_s=max((end_s for _, end_s, _ in cues), default=None),
        skipped=(SkippedFeature("transcript", "unreadable_cues"),) if unread else (),
    )


def split_prefix(text: str) -> tuple[str, str]:
    """(label, the rest) of a line that begins with a role or a numbered speaker and a colon; ("", text) of another."""
    found = _PREFIX.match(text)
    if not found:
        return "", text
    label = found[1].strip()
    if speaker_named(label) is Speaker.UNKNOWN and not _NUMBERED.fullmatch(label):
        return "", text
    return label, text[found.end() :]


def strip_tags(text: str) -> str:
    """The text without markup, its entities read."""
    return html.unescape(_TAG.sub("", _STYLE.sub("", text)))


def _webvtt_cues(lines: Sequence[str], unread: list[str]) -> Iterator[Cue]:
    """A blank line ends a cue, a comment, a style, a region, and the header."""
    block: list[str] = []
    for line in [*lines[1:], ""]:
        if line.strip():
            block.append(line)
            continue
        # A cue may have a name in the line before its times.
        at = next((place for place, told in enumerate(block[:2]) if "-->" in told), None)
        if at is not None and not (at == 1 and block[0].split()[0] in _BLOCKS):
            times = _read_times(block[at])
            if times is None:
                unread.append(block[at])
            else:
                yield (*times, block[at + 1 :])
        block = []


def _srt_cues(lines: Sequence[str], unread: list[str]) -> Iterator[Cue]:
    """The next time line ends a cue: blank lines within the text and missing numbers are met in the wild."""
    times: tuple[float, float] | None = None
    said: list[str] = []
    for line in lines:
        if "-->" not in line:
            said.append(line)
            continue
        if times:
            yield (*times, _without_number(said))
        times, said = _read_times(line), []
        if times is None:
            unread.append(line)
    if times:
        yield (*times, said)


def _without_number(said: list[str]) -> list[str]:
    """The lines without the number of the cue that follows."""
    kept = list(said)
    while kept and not kept[-1].strip():
        kept.pop()
    if kept and kept[-1].strip().isdigit():
        kept.pop()
    return kept


def _read_times(line: str) -> tuple[float, float] | None:
    found = _TIMING.fullmatch(line)
    if not found:
        return None
    start_s, end_s = _seconds(found.groups()[:4]), _seconds(found.groups()[4:])
    return None if start_s is None or end_s is None else (start_s, end_s)


def _seconds(parts: Sequence[str | None]) -> float | None:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return read_offset(int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{fraction}"))


def _voices(lines: Sequence[str], start_s: float, end_s: float) -> Iterator[Said]:
    """What each voice of one cue says; two voices of a cue share its times."""
    voice, said = "", ""
    for line in lines:
        # [text, name, text, name, text, ...]
        first, *named = _VOICE.split(line)
        for name, text in [(None, first), *zip(named[::2], named[1::2], strict=True)]:
            label, rest = (
                (html.unescape(name or "").strip(), text) if name is not None else split_prefix(strip_tags(text))
            )
            if (label or name is not None) and label != voice:
                if said.strip():
                    yield _said(voice, said, start_s, end_s)
                voice, said = label, ""
            said += " " + (strip_tags(rest) if name is not None else rest)
    if said.strip():
        yield _said(voice, said, start_s, end_s)


def _said(voice: str, text: str, start_s: float, end_s: float) -> Said:
    speaker = speaker_named(voice)
    # "Customer" here and "Caller" there are one side.
    return Said(voice.casefold() if speaker is Speaker.UNKNOWN else speaker, text, start_s, end_s, speaker=speaker)
