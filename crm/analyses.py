"""What was understood of a call, as a value and as a row of `call_analysis`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import sqlalchemy as sa

from calls.analysis import Analysis, Evidence, NextStep, Outcome, Sentiment, SkippedFeature
from crm.tables import call_analysis

# Built once, as in crm.jobs.
_PAST = sa.update(call_analysis).where(call_analysis.c.call_id == sa.bindparam("of_call"), call_analysis.c.is_current)
_NEW = sa.insert(call_analysis)


def write_analysis(connection: sa.Connection, row: Mapping[str, Any]) -> None:
    """Store this row of `call_analysis` and make it the current one of its call: every revision comes through here."""
    if row["revision"] > 1:
        connection.execute(_PAST, {"of_call": row["call_id"], "is_current": False})
    connection.execute(_NEW, row)


def analysis_columns(given: Analysis) -> dict[str, Any]:
    """The columns of `call_analysis` that hold what was understood."""
    return {
        "headline": given.headline,
        "summary": given.summary,
        "summary_kind": given.summary_kind,
        "subject": given.subject,
        "reason_code": given.reason_code,
        "reason_confidence": given.reason_confidence,
        "secondary_reason_codes": list(given.secondary_reason_codes),
        "outcome": given.outcome,
        "is_resolved": given.is_resolved,
        "next_steps": [
            {"text": step.text, "owner": step.owner, "due_on": step.due_on.isoformat() if step.due_on else None}
            for step in given.next_steps
        ],
        "evidence": [asdict(quoted) for quoted in given.evidence],
        "answers": dict(given.answers),
        "skipped": skipped_rows(given.skipped),
        "sentiment_customer": given.sentiment.overall,
        "sentiment_customer_start": given.sentiment.start,
        "sentiment_customer_end": given.sentiment.end,
    }


def analysis_of(row: Mapping[str, Any]) -> Analysis:
    """What `analysis_columns` made a row of `call_analysis` of."""
    return Analysis(
        headline=row["headline"],
        summary=row["summary"],
        summary_kind=row["summary_kind"],
        subject=row["subject"],
        reason_code=row["reason_code"],
        reason_confidence=row["reason_confidence"],
        secondary_reason_codes=tuple(row["secondary_reason_codes"]),
        outcome=Outcome(row["outcome"]),
        is_resolved=row["is_resolved"],
        next_steps=tuple(
            NextStep(step["text"], step["owner"], date.fromisoformat(step["due_on"]) if step["due_on"] else None)
            for step in row["next_steps"]
        ),
        evidence=tuple(Evidence(item["field"], item["turn"], item["quote"]) for item in row["evidence"]),
        answers=row["answers"],
        skipped=tuple(SkippedFeature(item["feature"], item["code"]) for item in row["skipped"]),
        sentiment=Sentiment(row["sentiment_customer_start"], row["sentiment_customer_end"], row["sentiment_customer"]),
    )


def skipped_rows(skipped: Sequence[SkippedFeature]) -> list[dict[str, str]]:
    """What an engine left out, as the column `skipped` of a transcript or an analysis holds it."""
    return [asdict(item) for item in skipped]
