"""Recordings with what was really said: a folder with `calls.jsonl`, one JSON object a line, and the audio it names.

    {"id": "1", "audio": "audio/1.wav", "channels": {"0": "customer", "1": "agent"},
     "segments": [{"speaker": "agent", "start_ms": 0, "end_ms": 1500, "text": "good morning"}, ...]}

`segments` have times; where nobody knows them, `turns` are in order ([{"speaker", "text"}]), or `ref` is one text for
all, or one for each speaker. `caller` is the customer. `channels` says who is on which; without it the agent is where
telephony.agent_channel says. A call with none of the three is only timed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calls.errors import CallwiseError
from calls.transcript import Speaker

LIST = "calls.jsonl"
_SPEAKERS = {"agent": Speaker.AGENT, "customer": Speaker.CUSTOMER, "caller": Speaker.CUSTOMER}


class BadData(CallwiseError):
    """The folder is no evaluation data: which line is wrong, and how."""

    code = "bad_data"


@dataclass(frozen=True)
class Said:
    """What somebody really said; times in seconds, None where nobody knows them. Empty text is a noise."""

    speaker: Speaker
    text: str
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class Spoken:
    """One recording and what was said in it; `is_in_order` is False where only the order of each speaker's own words is
    known, and not who spoke when.
    """

    id: str
    audio: Path
    said: tuple[Said, ...] = field(repr=False)
    agent_channel: int | None = None
    is_in_order: bool = True

    @property
    def is_timed(self) -> bool:
        """Whether it is known when everything was said."""
        return bool(self.said) and all(one.start_s is not None for one in self.said)


def read_data(folder: Path) -> list[Spoken]:
    """The calls of the folder, in order. Raises BadData."""
    try:
        lines = (folder / LIST).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{folder / LIST}: {type(error).__name__}; DATA is a folder with a {LIST} in it") from None
    found: dict[str, Spoken] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            one = _spoken(folder, json.loads(line))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadData(f"{folder / LIST}, line {number}: {type(error).__name__}: {error}") from None
        if one.id in found:
            raise BadData(f"{folder / LIST}, line {number}: the id {one.id!r} stands there twice")
        found[one.id] = one
    if not found:
        raise BadData(f"{folder / LIST} has no calls")
    return list(found.values())


def _spoken(folder: Path, row: Mapping[str, Any]) -> Spoken:
    audio = folder / str(row["audio"])
    if not audio.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{row['audio']!r} lies outside of the folder")
    if not audio.is_file():
        raise ValueError(f"there is no file {row['audio']!r}")
    # Elsewhere `channels` is a number, how many there are: that is seen in the file.
    given = row.get("channels")
    by_channel = given.items() if isinstance(given, dict) else ()
    agents = [int(channel) for channel, name in by_channel if _SPEAKERS[name] is Speaker.AGENT]
    said, is_in_order = _said(row)
    return Spoken(str(row["id"]), audio, said, agents[0] if agents else None, is_in_order)


def _said(row: Mapping[str, Any]) -> tuple[tuple[Said, ...], bool]:
    if row.get("segments"):
        timed = [_segment(segment) for segment in row["segments"]]
        return tuple(sorted(timed, key=lambda one: one.start_s or 0.0)), True
    if row.get("turns"):
        return tuple(Said(_SPEAKERS[turn["speaker"]], str(turn["text"])) for turn in row["turns"]), True
    ref = row.get("ref")
    if isinstance(ref, dict):
        return tuple(Said(_SPEAKERS[speaker], str(text)) for speaker, text in ref.items()), False
    return ((Said(Speaker.UNKNOWN, str(ref)),), True) if ref else ((), True)


def _segment(segment: Mapping[str, Any]) -> Said:
    start_s, end_s = float(segment["start_ms"]) / 1000, float(segment["end_ms"]) / 1000
    if end_s < start_s:
        raise ValueError("a segment ends before it starts")
    text = str(segment.get("text_clean", segment.get("text", "")))
    return Said(_SPEAKERS[segment["speaker"]], text, start_s, end_s)
