"""Conversations as text with what people found in them: a folder with `dialogues.jsonl` or `calls.jsonl`, one JSON
object a line.

    {"id": "1", "reason": "refund_request", "turns": [{"speaker": "customer", "text": "My refund ..."}, ...]}

`turns` are in order; where there are `segments` with times (`start_ms`) instead, these are. `reason` may be called
`task` or `problem`; `summary` is a text or a list of them. A `reasons.yaml` beside it is the taxonomy of the labels, a
`summaries.jsonl` ({"id", "summary"} a line) holds the summaries of calls that have none of their own.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calls.reasons import INSUFFICIENT, OTHER, Reason, Taxonomy
from calls.redaction import SensitiveFinder, redact_turns
from calls.taxonomy_file import parse_taxonomy
from calls.transcript import Speaker, Turn
from cli.evaluation_data import BadData

FILES = ("dialogues.jsonl", "calls.jsonl")
NAMES = "the names of the labels"
_LABELS = ("reason", "task", "problem")
_SPEAKERS = {"agent": Speaker.AGENT, "customer": Speaker.CUSTOMER, "caller": Speaker.CUSTOMER}
# Nobody knows when typed words were said: each turn gets so long.
_TURN_S = 3.0


@dataclass(frozen=True)
class Dialogue:
    """One conversation, redacted as any call is before an engine sees it, with what people found in it."""

    id: str
    turns: tuple[Turn, ...] = field(repr=False)
    reason_code: str | None = None
    summaries: tuple[str, ...] = field(default=(), repr=False)


def read_dialogues(folder: Path, find: SensitiveFinder | None = None) -> list[Dialogue]:
    """The conversations of the folder, in order, without what `find` finds. Raises BadData."""
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        raise BadData(f"{folder}: DATA is a folder with a {' or a '.join(FILES)} in it")
    summaries = _summaries(folder / "summaries.jsonl")
    found: dict[str, Dialogue] = {}
    for number, row in _rows(path):
        try:
            one = _dialogue(row, summaries, find)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadData(f"{path}, line {number}: {type(error).__name__}: {error}") from None
        if one.id in found:
            raise BadData(f"{path}, line {number}: the id {one.id!r} stands there twice")
        found[one.id] = one
    if not any(one.turns for one in found.values()):
        raise BadData(f"{path} has no conversations: a line needs `turns` or `segments`")
    return [one for one in found.values() if one.turns]


def taxonomy_for(labels: Sequence[str], folder: Path, given: Path | None, configured: Taxonomy) -> tuple[Taxonomy, str]:
    """The taxonomy that the labels are of, and where it comes from.

    The file that was named, else the folder's own reasons.yaml, else the configured one where it has every label; else
    one that knows no more of each reason than its name.
    """
    path = given or folder / "reasons.yaml"
    if given is not None or path.is_file():
        try:
            return parse_taxonomy(path.read_text(encoding="utf-8")), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise BadData(f"{path}: {type(error).__name__}") from None
    if set(labels) <= set(configured.codes):
        return configured, "the configured reasons"
    names = sorted(set(labels) - {OTHER, INSUFFICIENT})
    reasons = tuple(Reason(code, code.replace("_", " ").capitalize(), code.replace("_", " ")) for code in names)
    return Taxonomy("names", reasons, title="Names of the labels"), NAMES


def as_code(label: str) -> str:
    """A label as a reason's code: "check balance" is `check_balance`."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")


def _rows(path: Path) -> list[tuple[int, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: {type(error).__name__}") from None
    rows = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                rows.append((number, json.loads(line)))
            except ValueError as error:
                raise BadData(f"{path}, line {number}: {error}") from None
    return rows


def _summaries(path: Path) -> dict[str, tuple[str, ...]]:
    if not path.is_file():
        return {}
    try:
        return {str(row["id"]): _texts(row["summary"]) for _, row in _rows(path)}
    except (TypeError, KeyError) as error:
        raise BadData(f"{path}: each line needs `id` and `summary` ({type(error).__name__})") from None


def _dialogue(
    row: Mapping[str, Any], summaries: Mapping[str, tuple[str, ...]], find: SensitiveFinder | None
) -> Dialogue:
    label = next((str(row[name]) for name in _LABELS if row.get(name)), None)
    given = row.get("turns") or sorted(row.get("segments") or [], key=lambda segment: float(segment["start_ms"]))
    said = [
        (_SPEAKERS.get(str(one["speaker"]), Speaker.UNKNOWN), str(one.get("text_clean", one.get("text", ""))).strip())
        for one in given
    ]
    turns = [
        Turn(index, speaker, _TURN_S * index, _TURN_S * index + _TURN_S, text)
        for index, (speaker, text) in enumerate(_joined(said))
    ]
    return Dialogue(
        id=str(row["id"]),
        turns=tuple(redact_turns(turns, find)),
        reason_code=as_code(label) if label else None,
        summaries=_texts(row["summary"]) if row.get("summary") else summaries.get(str(row["id"]), ()),
    )


def _joined(said: Sequence[tuple[Speaker, str]]) -> list[tuple[Speaker, str]]:
    """Neighbouring words of one speaker as one turn; noises without a word are none."""
    joined: list[tuple[Speaker, str]] = []
    for speaker, text in said:
        if text and joined and joined[-1][0] is speaker:
            joined[-1] = (speaker, f"{joined[-1][1]} {text}")
        elif text:
            joined.append((speaker, text))
    return joined


def _texts(value: object) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a summary is a text or a list of texts")
    return tuple(texts)
