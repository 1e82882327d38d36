"""What the demo shows: the recordings of a made-up service centre with the truth about each, and a generated history.

The recordings are made by tools/make_samples from samples/scripts; nobody in them exists.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from calls.transcript import Speaker, Turn

_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class SampleRecording:
    """One bundled recording and the truth about it.

    `key`, `metadata` and `sidecar` are what its telephony system stores; `facts` what must be read from these, by the
    names of CallFacts (times as ISO text), and `profile` who reads the name (None: nobody can). `stage`, `skip_reason`
    and `failed_code` say how it must end. `turns` are the lines of its script that the file holds, in order of start;
    lengths and times are seconds.
    """

    name: str
    path: Path
    key: str
    metadata: Mapping[str, str]
    sidecar: Mapping[str, Any] | None
    profile: str | None
    upload_count: int
    duration_s: float
    channel_count: int
    facts: Mapping[str, str]
    stage: str
    skip_reason: str | None
    failed_code: str | None
    is_truncated: bool
    reason_code: str | None
    outcome: str | None
    turns: tuple[Turn, ...]

    @property
    def started_at(self) -> datetime | None:
        """When the call began (aware), None where nothing says so."""
        text = self.facts.get("started_at")
        return datetime.fromisoformat(text) if text else None


def sample_recordings() -> list[SampleRecording]:
    """The bundled recordings, in the order of their names."""
    rows = json.loads((_HERE / "gold.json").read_text(encoding="utf-8"))
    return [_recording(dict(row)) for row in rows]


def _recording(row: dict[str, Any]) -> SampleRecording:
    path = _HERE / "recordings" / row.pop("file")
    lines = row.pop("turns")
    turns = tuple(
        Turn(index, Speaker(line["speaker"]), line["start_s"], line["end_s"], line["text"])
        for index, line in enumerate(lines)
    )
    return SampleRecording(path=path, turns=turns, **row)
