"""Calls that are longer than a model's window: parts that fit, and what was found in each, for one answer about all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from calls.analysis import Analysis
from calls.prompts import estimate_tokens, turn_document
from calls.transcript import Turn

# What stands about a turn's text in the document, and about the turns.
_TURN_TOKENS = 16


def split_turns(turns: Sequence[Turn], room_tokens: int) -> list[list[Turn]]:
    """The turns in parts of about `room_tokens` at most, in order; a turn that is longer is cut between words.

    Every piece of a turn has the turn's own index.
    """
    parts: list[list[Turn]] = []
    taken = 0
    for piece in (piece for turn in turns for piece in _pieces(turn, room_tokens)):
        tokens = _tokens(piece)
        if not parts or taken + tokens > room_tokens:
            parts.append([])
            taken = 0
        parts[-1].append(piece)
        taken += tokens
    return parts


def group_found(found: Sequence[Mapping[str, Any]], room_tokens: int) -> list[list[Mapping[str, Any]]]:
    """What was found in neighbouring parts, in groups of about `room_tokens` at most, two parts at least in each but
    the last: fewer groups than parts, so that grouping again comes to an end.
    """
    groups: list[list[Mapping[str, Any]]] = []
    taken = 0
    for one in found:
        tokens = estimate_tokens(str(one))
        if not groups or (len(groups[-1]) >= 2 and taken + tokens > room_tokens):
            groups.append([])
            taken = 0
        groups[-1].append(one)
        taken += tokens
    return groups


def found_document(analysis: Analysis, turns: Sequence[Turn]) -> dict[str, Any]:
    """What a checked analysis of some turns says, with its quotes, for the question about the whole call."""
    return {
        "first_turn": turns[0].index,
        "last_turn": turns[-1].index,
        "headline": analysis.headline,
        "summary": analysis.summary,
        "reason": analysis.reason_code,
        "confidence": analysis.reason_confidence,
        "secondary_reasons": list(analysis.secondary_reason_codes),
        "outcome": analysis.outcome,
        "is_resolved": analysis.is_resolved,
        "next_steps": [
            {"owner": step.owner, "text": step.text, "due_on": step.due_on and step.due_on.isoformat()}
            for step in analysis.next_steps
        ],
        "sentiment": [analysis.sentiment.start, analysis.sentiment.end, analysis.sentiment.overall],
        "subject": analysis.subject,
        "answers": dict(analysis.answers),
        "quotes": [{"claim": item.field, "turn": item.turn, "quote": item.quote} for item in analysis.evidence],
    }


def _pieces(turn: Turn, room_tokens: int) -> Iterator[Turn]:
    words = turn.text.split(" ")
    while words:
        count = len(words)
        while count > 1 and _tokens(replace(turn, text=" ".join(words[:count]))) > room_tokens:
            count = (count + 1) // 2
        yield replace(turn, text=" ".join(words[:count]))
        words = words[count:]


def _tokens(turn: Turn) -> int:
    return _TURN_TOKENS + estimate_tokens(str(turn_document(turn)))
