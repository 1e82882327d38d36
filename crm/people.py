"""Customers: found by number, made when a number is new; the chain of one customer's calls."""

from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa

from crm.database import insert
from crm.tables import call, contact


def match_contact(connection: sa.Connection, phone_e164: str, name: str | None = None) -> tuple[UUID, UUID | None]:
    """The contact with that number and its account; a new contact where nobody has it.

    `name` becomes that of a contact who has none yet, so that it does not matter which call is filed first. The
    contact's row stays locked until the transaction ends, so that its chain of calls grows one call at a time.
    """
    first, _, last = (name or "").rpartition(" ")
    connection.execute(
        insert(connection, contact)
        .values(id=uuid4(), phone_e164=phone_e164, first_name=first or None, last_name=last or None)
        .on_conflict_do_nothing(index_elements=["phone_e164"])
    )
    found = connection.execute(sa.select(contact).where(contact.c.phone_e164 == phone_e164).with_for_update()).one()
    is_nameless = found.first_name is None and found.last_name is None and found.anonymized_at is None
    if last and is_nameless:
        named = {"first_name": first or None, "last_name": last}
        connection.execute(sa.update(contact).where(contact.c.id == found.id).values(named))
    return found.id, found.account_id


def file_under_contact(connection: sa.Connection, call_id: UUID, contact_id: UUID, happened_at: datetime) -> bool:
    """Put a call that is in nobody's chain with this contact; returns whether there is one of that id."""
    found = connection.execute(
        sa.select(contact.c.account_id).where(contact.c.id == contact_id).with_for_update()
    ).one_or_none()
    if found is None:
        return False
    filed = {"contact_id": contact_id, "account_id": found.account_id}
    connection.execute(sa.update(call).where(call.c.id == call_id).values(filed))
    link_into_chain(connection, call_id, contact_id, happened_at)
    return True


def link_into_chain(connection: sa.Connection, call_id: UUID, contact_id: UUID, happened_at: datetime) -> None:
    """Point the call to the customer's call before it, and the one after it to this: the order of filing does not
    matter.
    """
    position = sa.tuple_(call.c.happened_at, call.c.id)
    here = _position(call_id, happened_at)
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


def leave_chain(connection: sa.Connection, call_id: UUID, contact_id: UUID) -> None:
    """Take a call out of this customer's chain: the call after it points to the one before."""
    connection.execute(sa.select(contact.c.id).where(contact.c.id == contact_id).with_for_update())
    of_customer = sa.select(call.c.id, call.c.happened_at).where(call.c.contact_id == contact_id)
    for after in connection.execute(of_customer.where(call.c.earlier_call_id == call_id)).all():
        before = connection.execute(
            of_customer.where(
                call.c.id != call_id,
                sa.tuple_(call.c.happened_at, call.c.id) < _position(after.id, after.happened_at),
            )
            .order_by(call.c.happened_at.desc(), call.c.id.desc())
            .limit(1)
        ).one_or_none()
        earlier = before.id if before else None
        connection.execute(sa.update(call).where(call.c.id == after.id).values(earlier_call_id=earlier))
    cleared = {"contact_id": None, "account_id": None, "earlier_call_id": None}
    connection.execute(sa.update(call).where(call.c.id == call_id).values(cleared))


def _position(call_id: UUID, happened_at: datetime) -> sa.Tuple:
    return sa.tuple_(sa.literal(happened_at, call.c.happened_at.type), sa.literal(call_id, call.c.id.type))
