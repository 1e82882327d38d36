"""Customers: found by number, made when a number is new; the chain of one customer's calls."""

from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from crm.database import insert
from crm.tables import call, contact


def match_contact(connection: sa.Connection, phone_e164: str, name: str | None = None) -> tuple[UUID, UUID | None]:
    """The contact with that number and its account; a new contact where nobody has it. `name` is used for a new one
    only.

    The contact's row stays locked until the transaction ends, so that its chain of calls grows one call at a time.
    """
    first, _, last = (name or "").rpartition(" ")
    connection.execute(
        insert(connection, contact)
        .values(id=uuid4(), phone_e164=phone_e164, first_name=first or None, last_name=last or None)
        .on_conflict_do_nothing(index_elements=["phone_e164"])
    )
    found = connection.execute(
        sa.select(contact.c.id, contact.c.account_id).where(contact.c.phone_e164 == phone_e164).with_for_update()
    ).one()
    return found.id, found.account_id


def link_into_chain(connection: sa.Connection, call_id: UUID, contact_id: UUID, happened_at: datetime) -> None:
    """Point the call to the customer's call before it, and the one after it to this: the order of filing does not
    matter.
    """
    position = sa.tuple_(call.c.happened_at, call.c.id)
    here = sa.tuple_(sa.literal(happened_at, call.c.happened_at.type), sa.literal(call_id, call.c.id.type))
    of_customer = sa.select(call.c.id).where(call.c.contact_id == contact_id, call.c.id != call_id).limit(1)
    before = connection.execute(
        of_customer.where(position < here).order_by(call.c.happened_at.desc(), call.c.id.desc())
    ).scalar_one_or_none()
    after = connection.execute(
        of_customer.where(position > here).order_by(call.c.happened_at, call.c.id)
    ).scalar_one_or_none()
    connection.execute(sa.update(call).where(call.c.id == call_id).values(earlier_call_id=before))
    if after is not None:
        connection.execute(sa.update(call).where(call.c.id == after).values(earlier_call_id=call_id))
