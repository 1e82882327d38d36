"""What fine-tuning is fed with: reviewed calls, each with its transcript and the analysis that stands now."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from calls.analysis import Analysis
from calls.recording import Direction
from calls.transcript import Utterance
from crm.analyses import analysis_of
from crm.results import current_transcript
from crm.reviews import corrected_calls, current_analysis
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
    """Every call of whose analysis a person said anything, as they left it, where a model, no demo, had written the
    summary; in the order of saying it.
    """
    for call_id, reason_code in corrected_calls(connection):
        row = current_analysis(connection, call_id)
        if row is None or row["is_demo"] or row["summary_kind"] != "written":
            continue
        heard = current_transcript(connection, call_id)
        facts = connection.execute(sa.select(call.c.direction, call.c.started_at).where(call.c.id == call_id)).one()
        yield ReviewedAnalysis(
            call_id=call_id,
            utterances=heard.utterances,
            language=heard.language,
            direction=Direction(facts.direction) if facts.direction else None,
            started_at=facts.started_at,
            analysis=replace(analysis_of(row), reason_code=reason_code, language=heard.language, skipped=()),
        )
