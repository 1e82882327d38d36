"""Customers: found by number, made when a number is new."""

from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from crm.database import insert
from crm.tables import call, contact


def match_contact(connection: sa.Connection, phone_e164: str, name: str | None = None) -> tuple[UUID, UUID | None]:
    """The contact with that number and its account; a new contact where nobody has it. `name` is used for a new one only."""
    first, _, last = (name or "").rpartition(" ")
    connection.execute(
        insert(connection, contact)
        .values(id=uuid4(), phone_e164=phone_e164, first_name=first or None, last_name=last or None)
        .on_conflict_do_nothing(index_elements=["phone_e164"])
    )
    found = connection.execute(
        sa.select(contact.c.id, contact.c.account_id).where(contact.c.phone_e164 == phone_e164)
    ).one()
    return found.id, found.account_id


def earlier_call_id(connection: sa.Connection, contact_id: UUID, before: datetime, call_id: UUID) -> UUID | None:
    """The customer's call just before `before`, leaving out `call_id` itself."""
    return connection.execute(
        sa.select(call.c.id)
        .where(call.c.contact_id == contact_id, call.c.happened_at <= before, call.c.id != call_id)
        .order_by(call.c.happened_at.desc(), call.c.id.desc())
        .limit(1)
    ).scalar_one_or_none()
