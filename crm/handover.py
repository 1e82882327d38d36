"""A call as it is handed over to CRMs, in the words that they may have."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

import sqlalchemy as sa

from calls.analysis import NextStep
from calls.handover import CrmIds, HandedCall
from calls.recording import Direction
from calls.redaction import SensitiveFinder, find_sensitive
from crm.access import Permission, Role, Viewer, visible_calls
from crm.call_lines import line_of, select_lines
from crm.calls import NoSuchCall
from crm.corrections import approval_of
from crm.crm_links import CrmLink, Entity, linked
from crm.redacted import shown_line, shown_number, shown_text
from crm.reviews import NotUnderstood, reviews_of
from crm.tables import agent, call, call_analysis

# Whose eyes a CRM's are, unless the owner lets it have the words as they were said.
MARKED = Viewer("handover", Role.ADMIN, scopes=frozenset({Permission.READ_CALLS}))
UNMARKED = Viewer("handover", Role.ADMIN)

_OF_CALL = (
    "source_system",
    "from_number_e164",
    "to_number_e164",
    "queued_at",
    "answered_at",
    "ended_at",
    "hold_time_s",
    "hold_count",
    "is_transferred",
    "contact_id",
    "account_id",
    "agent_id",
)
_OF_ANALYSIS = (
    "revision",
    "summary",
    "subject",
    "next_steps",
    "answers",
    "sentiment_customer_start",
    "sentiment_customer_end",
    "model",
)


@dataclass(frozen=True)
class Handed:
    """A call as it goes to CRMs, and the ids of our rows by which its people are known there."""

    call: HandedCall
    contact_id: UUID | None
    # The number of that customer, whom a person may have named: another than the one that called or was called.
    contact_number: str | None
    agent_id: UUID | None
    is_demo: bool
    is_sample: bool
    is_approved: bool
    stage: str


def handed_call(
    connection: sa.Connection,
    viewer: Viewer,
    call_id: UUID,
    *,
    find: SensitiveFinder = find_sensitive,
    page_url: str = "",
    to_crm: bool = False,
) -> Handed:
    """The call in the words that `viewer` may read. With `to_crm`, numbers and the customer's name stay as they are,
    whoever the viewer is: a CRM knows its customers by them. Raises NoSuchCall and NotUnderstood.
    """
    query = select_lines().add_columns(
        *(call.c[name] for name in _OF_CALL),
        *(call_analysis.c[name] for name in _OF_ANALYSIS),
        agent.c.email.label("agent_email"),
    )
    row = connection.execute(query.where(call.c.id == call_id, visible_calls(viewer))).one_or_none()
    if row is None:
        raise NoSuchCall(f"no call has the id {call_id}")
    if row.revision is None:
        raise NotUnderstood("this call has no analysis yet: there is nothing to hand over")
    told = line_of(row)
    line = told if to_crm else shown_line(viewer, told, find)

    def shown(text: str) -> str:
        return shown_text(viewer, text, find)

    def number(said: str | None) -> str | None:
        return said if to_crm else shown_number(viewer, said)

    is_approved = approval_of(connection, call_id) is not None
    said_by = [said.reviewed_by for said in reviews_of(connection, call_id)]
    handed = HandedCall(
        id=line.id,
        source_system=row.source_system,
        external_call_id=line.external_call_id,
        revision=row.revision,
        happened_at=line.happened_at,
        headline=shown(told.headline or ""),
        summary=shown(row.summary),
        summary_kind=line.summary_kind or "",
        subject=shown(row.subject),
        reason_code=line.reason_code,
        reason_label=line.reason_label,
        reason_confidence=line.reason_confidence,
        outcome=line.outcome or "",
        is_resolved=line.is_resolved,
        next_steps=tuple(
            NextStep(
                shown(step["text"]),
                shown(step["owner"] or ""),
                date.fromisoformat(step["due_on"]) if step["due_on"] else None,
            )
            for step in row.next_steps
        ),
        answers={name: shown(value) if isinstance(value, str) else value for name, value in row.answers.items()},
        sentiment=line.sentiment_customer,
        sentiment_start=row.sentiment_customer_start,
        sentiment_end=row.sentiment_customer_end,
        model=row.model,
        reviewed_by=said_by[-1] if said_by else "",
        direction=Direction(line.direction) if line.direction else None,
        from_number_e164=number(row.from_number_e164),
        to_number_e164=number(row.to_number_e164),
        customer_name=line.customer_name,
        agent=line.agent,
        agent_email=row.agent_email,
        team=line.team,
        queue=line.queue,
        queued_at=row.queued_at,
        started_at=line.started_at,
        answered_at=row.answered_at,
        ended_at=row.ended_at,
        duration_s=line.duration_s,
        hold_time_s=row.hold_time_s,
        hold_count=row.hold_count,
        is_transferred=row.is_transferred,
        page_url=page_url,
    )
    return Handed(
        call=handed,
        contact_id=row.contact_id,
        contact_number=row.contact_number,
        agent_id=row.agent_id,
        is_demo=line.is_demo,
        is_sample=line.is_sample,
        is_approved=is_approved,
        stage=line.stage,
    )


def ids_in(connection: sa.Connection, handed: Handed, destination: str) -> CrmIds:
    """What the people of the call are called in that CRM, as far as it is known."""
    people = [(Entity.CONTACT, handed.contact_id), (Entity.AGENT, handed.agent_id)]
    found = {
        kind: linked(connection, kind, [row_id], destination).get(row_id)
        for kind, row_id in people
        if row_id is not None
    }
    customer, owner = found.get(Entity.CONTACT), found.get(Entity.AGENT)
    return CrmIds(
        contact=customer.object_id if customer else "",
        account=customer.account_id if customer else "",
        owner=owner.object_id if owner else "",
    )


def call_link(connection: sa.Connection, call_id: UUID, destination: str) -> CrmLink | None:
    """What the call is called there, and the hash of what was sent last."""
    return linked(connection, Entity.CALL, [call_id], destination).get(call_id)
