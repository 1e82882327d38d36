"""What a call was about: the analysis of one conversation, every claim of it traceable to a turn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum


class Outcome(StrEnum):
    """How the call ended for the customer."""

    RESOLVED = "resolved"
    FOLLOW_UP = "follow_up"
    ESCALATED = "escalated"
    SALE = "sale"
    NO_SALE = "no_sale"
    UNRESOLVED = "unresolved"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class NextStep:
    """One thing that somebody said they would do; `owner` is `agent`, `customer` or a name that was said."""

    text: str
    owner: str = ""
    due_on: date | None = None


@dataclass(frozen=True)
class Evidence:
    """A verbatim quote from turn `turn` (counted from 0) that `field` of the analysis rests on."""

    field: str
    turn: int
    quote: str


@dataclass(frozen=True)
class Sentiment:
    """The customer's mood, -5 (very bad) to +5 (very good); `end` is the last quarter. None means not judged."""

    start: float | None = None
    end: float | None = None
    overall: float | None = None


@dataclass(frozen=True)
class SkippedFeature:
    """A part of the result that is not there, and the code that says why: an honest partial result."""

    feature: str
    code: str


@dataclass(frozen=True)
class AnsweredBy:
    """Which of several engines an analysis comes from: its name, the version of its prompt, whether it is a demo's.

    `tier` counts from 0, the one that is asked first, and is None where there are no others; `escalated_for` is the
    code of the doubt for which the tier before was not enough, empty where the first one was.
    """

    model: str
    prompt_version: str
    is_demo: bool
    tier: int | None = 0
    escalated_for: str = ""


@dataclass(frozen=True)
class Analysis:
    """The checked analysis of one call.

    `reason_code` is a code of the taxonomy, `other` or `insufficient_content`, and None when no usable one was given;
    `reason_confidence` is 0..1. `summary_kind` says what the summary is: `written` by a model or `excerpts` of the
    call. `answered_by` is None where there is one engine alone.
    """

    headline: str
    summary: str
    reason_code: str | None
    reason_confidence: float | None = None
    secondary_reason_codes: tuple[str, ...] = ()
    outcome: Outcome = Outcome.UNKNOWN
    is_resolved: bool | None = None
    next_steps: tuple[NextStep, ...] = ()
    sentiment: Sentiment = Sentiment()
    subject: str = ""
    language: str = ""
    answers: Mapping[str, bool | float | str | None] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    skipped: tuple[SkippedFeature, ...] = ()
    summary_kind: str = "written"
    answered_by: AnsweredBy | None = None
