"""One call as a list shows it, and the query that reads it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from calls.reasons import Taxonomy
from calls.recording import Direction
from crm.tables import agent, call, call_analysis, contact, queue, reason, team, transcript

_NOTHING = sa.literal_column("'[]'", sa.Text)
_GENERAL_LABELS = Taxonomy(version="", reasons=())


@dataclass(frozen=True)
class CallLine:
    """One call. Numbers are E.164 text: `told_number` is the customer's as telephony told it, `customer_number` that of
    whom the call is filed with. `is_demo` says that a demo engine heard or understood the call.
    """

    id: UUID
    contact_id: UUID | None
    external_call_id: str
    stage: str
    skip_reason: str | None
    failed_code: str | None
    happened_at: datetime
    started_at: datetime | None
    received_at: datetime
    direction: str | None
    profile: str | None
    customer_name: str | None
    customer_number: str | None
    agent: str | None
    team: str | None
    queue: str | None
    duration_s: float | None
    headline: str | None
    summary_kind: str | None
    reason_code: str | None
    reason_label: str | None
    reason_confidence: float | None
    outcome: str | None
    is_resolved: bool | None
    sentiment_customer: float | None
    is_demo: bool
    is_sample: bool
    is_truncated: bool
    told_number: str | None = None


def label_of(code: str | None, label: str | None) -> str | None:
    """What people read for a reason's code; `label` is the taxonomy's own, None for the general codes."""
    return None if code is None else label or _GENERAL_LABELS.label(code)


def select_lines(source: sa.FromClause = call) -> sa.Select[Any]:
    """The query whose rows `line_of` reads: calls with their agent, queue, customer and current analysis.

    `source` is `call`, or a join that begins with the few calls that are wanted: PostgreSQL plans so many tables in
    the order in which they are named.
    """
    return _lines_of_calls() if source is call else _lines(source)


def read_lines(connection: sa.Connection, ids: Sequence[UUID]) -> list[CallLine]:
    """The calls of these ids, in their order; those that there are not are left out."""
    if not ids:
        return []
    hexed = [one.hex for one in ids]
    told = json.dumps(hexed) if connection.dialect.name == "sqlite" else "{" + ",".join(hexed) + "}"
    rows = connection.execute(_lines_of_ids(connection.dialect.name), {"ids": told})
    found = {row.id: line_of(row) for row in rows}
    return [found[one] for one in ids if one in found]


@cache
def _lines_of_ids(dialect: str) -> sa.Select[Any]:
    """One statement for any ids, with one parameter: PostgreSQL plans nine tables once, and not for each page."""
    if dialect == "sqlite":
        listed = sa.func.json_each(sa.bindparam("ids", type_=sa.Text()))
        wanted = listed.table_valued(sa.column("value", sa.Uuid()), name="wanted")
        return _lines(wanted.join(call, call.c.id == wanted.c.value))
    # Text, since the driver writes an array id by id; and selected, so that PostgreSQL does not count the ids: where
    # they are few, a plan for so few would seem worth making each time.
    told = sa.select(sa.cast(sa.bindparam("ids", type_=sa.Text()), ARRAY(sa.Uuid()))).scalar_subquery()
    unnested = sa.func.unnest(told)
    wanted = unnested.table_valued(sa.column("id", sa.Uuid()), name="wanted").render_derived()
    return _lines(wanted.join(call, call.c.id == wanted.c.id))


@cache
def _lines_of_calls() -> sa.Select[Any]:
    # Putting the query together takes longer than sending it.
    return _lines(call)


def _lines(source: sa.FromClause) -> sa.Select[Any]:
    return (
        sa.select(
            *(call.c[name] for name in _OF_CALL),
            agent.c.display_name.label("agent"),
            team.c.name.label("team"),
            queue.c.name.label("queue"),
            contact.c.first_name,
            contact.c.last_name,
            contact.c.phone_e164.label("contact_number"),
            *(call_analysis.c[name] for name in _OF_ANALYSIS),
            reason.c.label.label("reason_label"),
            sa.func.coalesce(call_analysis.c.is_demo, sa.false()).label("analysis_is_demo"),
            sa.func.coalesce(transcript.c.is_demo, sa.false()).label("transcript_is_demo"),
            # Read where there is something in it, as a rule nothing.
            sa.case((sa.cast(transcript.c.skipped, sa.Text) != _NOTHING, transcript.c.skipped)).label(
                "transcript_skipped"
            ),
        )
        .select_from(source)
        .outerjoin(agent, agent.c.id == call.c.agent_id)
        .outerjoin(team, team.c.id == agent.c.team_id)
        .outerjoin(queue, queue.c.id == call.c.queue_id)
        .outerjoin(contact, contact.c.id == call.c.contact_id)
        .outerjoin(call_analysis, sa.and_(call_analysis.c.call_id == call.c.id, call_analysis.c.is_current))
        .outerjoin(transcript, sa.and_(transcript.c.call_id == call.c.id, transcript.c.is_current))
        .outerjoin(
            reason,
            sa.and_(
                reason.c.taxonomy_version == call_analysis.c.taxonomy_version,
                reason.c.code == call_analysis.c.reason_code,
            ),
        )
    )


_OF_CALL = (
    "id",
    "contact_id",
    "external_call_id",
    "stage",
    "skip_reason",
    "failed_code",
    "happened_at",
    "started_at",
    "received_at",
    "direction",
    "profile",
    "customer_name",
    "from_number_e164",
    "to_number_e164",
    "duration_s",
    "is_sample",
)
_OF_ANALYSIS = (
    "headline",
    "summary_kind",
    "reason_code",
    "reason_confidence",
    "outcome",
    "is_resolved",
    "sentiment_customer",
)
_AS_THEY_ARE = (
    *(n for n in _OF_CALL if n not in {"customer_name", "from_number_e164", "to_number_e164"}),
    *_OF_ANALYSIS,
)


def line_of(row: sa.Row[Any]) -> CallLine:
    """One row of `select_lines` as a value."""
    contact_name = " ".join(part for part in (row.first_name, row.last_name) if part)
    number = row.to_number_e164 if row.direction == Direction.OUTBOUND else row.from_number_e164
    # A person may have said that it is another customer's call than whom telephony named.
    is_anothers = row.contact_number not in {None, row.from_number_e164, row.to_number_e164}
    return CallLine(
        **{name: getattr(row, name) for name in _AS_THEY_ARE},
        agent=row.agent,
        team=row.team,
        queue=row.queue,
        customer_name=contact_name or (None if is_anothers else row.customer_name),
        customer_number=row.contact_number if is_anothers else number,
        told_number=number,
        reason_label=label_of(row.reason_code, row.reason_label),
        is_demo=bool(row.analysis_is_demo or row.transcript_is_demo),
        is_truncated=any(item["code"] == "truncated" for item in row.transcript_skipped or ()),
    )
