"""What fine-tuning is fed with: reviewed calls, each with its transcript and the analysis that stands now."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.analysis import Analysis, Evidence, NextStep, Outcome, Sentiment
from calls.recording import Direction
from calls.transcript import Utterance
from crm.results import current_transcript
from crm.reviews import current_analysis, reviewed_reasons
from crm.tables import call


@dataclass(frozen=True)
class ReviewedAnalysis:
    """One reviewed call. Its words are as they were heard, not redacted."""

    call_id: UUID
    utterances: list[Utterance]
    language: str
    direction: Direction | None
    started_at: datetime | None
    analysis: Analysis


def reviewed_analyses(connection: sa.Connection) -> Iterator[ReviewedAnalysis]:
    """Every call that a person reviewed and of which a model, no demo, wrote the summary, in the order of reviewing."""
    for reviewed in reviewed_reasons(connection):
        row = current_analysis(connection, reviewed.call_id)
        if row is None or row["is_demo"] or row["summary_kind"] != "written":
            continue
        heard = current_transcript(connection, reviewed.call_id)
        facts = connection.execute(
            sa.select(call.c.direction, call.c.started_at).where(call.c.id == reviewed.call_id)
        ).one()
        yield ReviewedAnalysis(
            call_id=reviewed.call_id,
            utterances=heard.utterances,
            language=heard.language,
            direction=Direction(facts.direction) if facts.direction else None,
            started_at=facts.started_at,
            analysis=_analysis(row, reviewed.reason_code, heard.language),
        )


def _analysis(row: dict[str, Any], reason_code: str, language: str) -> Analysis:
    return Analysis(
        headline=row["headline"],
        summary=row["summary"],
        reason_code=reason_code,
        reason_confidence=row["reason_confidence"],
        secondary_reason_codes=tuple(row["secondary_reason_codes"]),
        outcome=Outcome(row["outcome"]),
        is_resolved=row["is_resolved"],
        next_steps=tuple(
            NextStep(step["text"], step["owner"], date.fromisoformat(step["due_on"]) if step["due_on"] else None)
            for step in row["next_steps"]
        ),
        sentiment=Sentiment(row["sentiment_customer_start"], row["sentiment_customer_end"], row["sentiment_customer"]),
        subject=row["subject"],
        language=language,
        answers=row["answers"],
        evidence=tuple(Evidence(item["field"], item["turn"], item["quote"]) for item in row["evidence"]),
    )
