"""Which calls can teach a classifier: those whose reason a person stated, or a model that is no demo was sure of."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

import sqlalchemy as sa

from calls.reasons import Taxonomy
from crm.privacy_tables import taught_call
from crm.reviews import reviewed_reasons
from crm.tables import call_analysis, transcript

Source = Literal["person", "model"]


@dataclass(frozen=True)
class Label:
    """The reason of a call, as a code of the current taxonomy, and who stated it."""

    call_id: UUID
    reason_code: str
    source: Source


def labels_by_people(connection: sa.Connection) -> list[Label]:
    """The last word of people on each call that they reviewed, in the order of their saying it."""
    return [Label(one.call_id, one.reason_code, "person") for one in reviewed_reasons(connection)]


def labels_by_models(
    connection: sa.Connection, taxonomy: Taxonomy, *, sure_from: float, limit: int, without: Iterable[UUID] = ()
) -> list[Label]:
    """What language models were sure of under `taxonomy`, the latest `limit` calls; demo engines teach nothing, nor do
    reasons that failed their check.
    """
    a = call_analysis.c
    rows = connection.execute(
        sa.select(a.call_id, a.reason_code, a.skipped)
        .where(
            a.is_current,
            sa.not_(a.is_demo),
            a.taxonomy_version == taxonomy.version,
            a.reason_code.in_(taxonomy.codes),
            a.reason_confidence >= sure_from,
            # Whose words are still there.
            sa.exists().where(
                transcript.c.call_id == a.call_id, transcript.c.is_current, transcript.c.recording_id.is_not(None)
            ),
        )
        .order_by(a.created_at.desc(), a.call_id)
        .limit(limit)
    )
    left_out = set(without)
    return [
        Label(row.call_id, row.reason_code, "model")
        for row in rows
        if row.call_id not in left_out and not any(one["feature"] == "reason" for one in row.skipped)
    ]


def note_taught(connection: sa.Connection, taxonomy_version: str, call_ids: Iterable[UUID]) -> None:
    """Note which calls taught the classifier for this taxonomy, in place of those before: it goes with any of them."""
    connection.execute(sa.delete(taught_call).where(taught_call.c.taxonomy_version == taxonomy_version))
    rows = [{"taxonomy_version": taxonomy_version, "call_id": call_id} for call_id in sorted(set(call_ids))]
    if rows:
        connection.execute(sa.insert(taught_call), rows)
