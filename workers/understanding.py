"""The steps `call.understand` and `call.reclassify`: what a call was about, by its own words."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa

from calls.checking import check_analysis
from calls.pipeline import Lane
from calls.prompts import PROMPT_VERSION
from calls.redaction import find_in_turns, mark_turns, redact_turns
from calls.transcript import take_turns
from crm import results
from crm.batch_questions import forget_questions
from crm.findings import save_findings
from crm.reclassify import KEPT_BY_PERSON, note_ended, settle
from crm.review_examples import with_reviewed_calls
from crm.reviews import keep_peoples_word
from crm.tables import call
from crm.taxonomies import current_taxonomy, store_taxonomy
from engines.language import Conversation
from workers.parts import Parts, Write
from workers.questions import StoredQuestions


def understand(parts: Parts, work: results.Work, *, refuse: Callable[[sa.Connection], None] | None = None) -> Write:
    """Ask once what the call was about, and keep only what its own turns bear out.

    A reason that a person has given stays. Where it has no counterpart among the reasons of now, the engine's counts,
    unless somebody is there to `refuse` it: then nothing is written but what that writes.
    """
    parts.may_spend("language", work.lane)
    with parts.database.read() as connection:
        transcript = results.current_transcript(connection, work.call_id)
        taxonomy = current_taxonomy(connection, parts.taxonomies)
        if taxonomy is not None:
            taxonomy = with_reviewed_calls(
                connection,
                taxonomy,
                lambda turns: redact_turns(turns, parts.redaction()),
                per_reason=parts.reviewed_examples,
                known=parts.taxonomies,
            )
    if taxonomy is None:
        taxonomy = parts.default_taxonomy()
        with parts.database.write() as connection:
            store_taxonomy(connection, taxonomy, datetime.now(UTC))
    find = parts.redaction()
    said = take_turns(transcript.utterances)
    sensitive = find_in_turns(said, find)
    turns = mark_turns(said, sensitive)
    conversation = Conversation(
        turns=turns,
        direction=work.direction,
        started_at=work.started_at,
        duration_s=transcript.duration_s,
        language=transcript.language,
        lane=work.lane,
    )
    # With what is shown of the call: a question that waits is not sent any more once redaction finds more in it.
    shown = hashlib.sha256("\n".join(turn.text for turn in turns).encode()).hexdigest()[:16]
    subject = f"{transcript.id}/{taxonomy.version}/{PROMPT_VERSION}/{shown}"
    engine = parts.batched(work.lane, StoredQuestions(parts.database, work.call_id, subject)) or parts.language()
    analysis = check_analysis(engine.analyse(conversation, taxonomy, parts.ledger(work.call_id)), turns, taxonomy)

    def write(connection: sa.Connection, now: datetime) -> None:
        save_findings(connection, transcript.id, sensitive, find)
        if work.lane is Lane.BACKFILL:
            forget_questions(connection, work.call_id)
        onto, kept = work, analysis
        if work.analysis_revision:
            found = keep_peoples_word(connection, work, analysis, taxonomy)
            if found.has_lost_reason and refuse is not None:
                refuse(connection)
                return
            onto, kept = found.work, found.analysis
        results.save_analysis(
            connection,
            onto,
            transcript.id,
            kept,
            model=engine.name,
            is_demo=engine.is_demo,
            prompt_version=engine.prompt_version,
            taxonomy_version=taxonomy.version,
            now=now,
        )

    return write


def reclassify(parts: Parts, work: results.Work) -> Write:
    """Ask anew about a call that has ended, under the reasons of now, where asking is needed at all."""
    with parts.database.write() as connection:
        taxonomy = current_taxonomy(connection, parts.taxonomies)
        connection.execute(sa.select(call.c.id).where(call.c.id == work.call_id).with_for_update())
        if taxonomy is not None and settle(connection, work.call_id, taxonomy, now=datetime.now(UTC)) is not None:
            return lambda _connection, _now: None
    return understand(parts, work, refuse=lambda connection: note_ended(connection, work.call_id, KEPT_BY_PERSON))
