"""Handing calls over to CRMs: what of a call goes there, when, and how often it is tried."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

from calls.analysis import NextStep
from calls.pipeline import Stage
from calls.recording import Direction

# Seconds from an attempt that failed to the next, the first at once; after the last one a person has to look.
ATTEMPTS_AFTER_S = (0.0, 30.0, 120.0, 600.0, 3600.0)
# So many failures without a success between them, and a destination waits for a person.
PAUSE_AFTER_FAILURES = 10


class State(StrEnum):
    """Where the hand-over of one call to one destination stands."""

    WAITING = "waiting"
    # It may not go yet: somebody has to approve the summary.
    HELD = "held"
    SENT = "sent"
    FAILED = "failed"
    # It does not go at all: a demo engine wrote it.
    LEFT = "left"


NOT_APPROVED = "not_approved"
DEMO_RESULT = "demo_result"
WORDS_GONE = "words_gone"


@dataclass(frozen=True)
class CrmIds:
    """What a CRM calls the people of a call; empty where that is not known."""

    contact: str = ""
    account: str = ""
    owner: str = ""


@dataclass(frozen=True)
class HandedCall:
    """All of one call that any CRM is told. Times are aware UTC, `_s` seconds, numbers E.164, sentiment -5..+5; None
    and "" mean that nobody said it. `page_url` is the call's page, `revision` that of the analysis.
    """

    id: UUID
    source_system: str
    external_call_id: str
    revision: int
    happened_at: datetime
    headline: str
    summary: str
    summary_kind: str
    subject: str
    reason_code: str | None
    reason_label: str | None
    reason_confidence: float | None
    outcome: str
    is_resolved: bool | None
    next_steps: tuple[NextStep, ...] = ()
    answers: Mapping[str, bool | float | str | None] | None = None
    sentiment: float | None = None
    sentiment_start: float | None = None
    sentiment_end: float | None = None
    model: str = ""
    reviewed_by: str = ""
    direction: Direction | None = None
    from_number_e164: str | None = None
    to_number_e164: str | None = None
    customer_name: str | None = None
    agent: str | None = None
    agent_email: str | None = None
    team: str | None = None
    queue: str | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: float | None = None
    hold_time_s: float | None = None
    hold_count: int | None = None
    is_transferred: bool | None = None
    page_url: str = ""

    @property
    def customer_number_e164(self) -> str | None:
        """The customer's number: the caller's of an inbound call, the called one's of an outbound call."""
        return self.to_number_e164 if self.direction is Direction.OUTBOUND else self.from_number_e164


def next_attempt_s(attempt: int) -> float | None:
    """How long after the failure of this attempt, counted from 1, the next one comes; None: there is no next."""
    return ATTEMPTS_AFTER_S[attempt] if attempt < len(ATTEMPTS_AFTER_S) else None


@dataclass(frozen=True)
class Rules:
    """What the owner lets go to CRMs."""

    needs_approval: bool = False
    demo_results: bool = False


def first_state(
    *, stage: str, is_sample: bool, is_demo: bool, is_approved: bool, rules: Rules
) -> tuple[State, str] | None:
    """Where a call's hand-over begins, and the code that says why it does not go; None: there is nothing to go."""
    if stage != Stage.DONE or is_sample:
        return None
    if is_demo and not rules.demo_results:
        return State.LEFT, DEMO_RESULT
    if rules.needs_approval and not is_approved:
        return State.HELD, NOT_APPROVED
    return State.WAITING, ""


def payload_hash(payload: Mapping[str, Any]) -> str:
    """SHA-256 of a payload in a form of its own, as hexadecimal digits: the same for the same values in any order."""
    written = json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(written.encode()).hexdigest()
