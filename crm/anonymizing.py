"""Customers without a name: what tells who somebody is goes, the row stays."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from calls.recording import Direction
from crm.bulk import among
from crm.erasing_rules import ROWS_THAT_GO
from crm.handover_tables import crm_link
from crm.kept_answers import kept_answer
from crm.tables import account, awaited_object, call, contact, metadata, telling, unreadable_event

ERASED = "Erased"


def anonymize(connection: sa.Connection, contact_ids: Collection[UUID], *, now: datetime) -> int:
    """Take the name, number and e-mail from these customers; returns how many had any. The rows stay, so that repeated
    calls stay repeated ones; a later call from the same number is somebody new's.
    """
    accounts = sa.select(contact.c.account_id).where(
        among(connection, contact.c.id, contact_ids), contact.c.account_id.is_not(None)
    )
    account_ids = set(connection.execute(accounts).scalars())
    changed = connection.execute(
        sa.update(contact)
        .where(among(connection, contact.c.id, contact_ids), contact.c.anonymized_at.is_(None))
        .values(first_name=None, last_name=None, email=None, phone_e164=None, account_id=None, anonymized_at=now)
    ).rowcount
    # A company of which nobody is known any more may be named after that person.
    connection.execute(
        sa.update(account)
        .where(account.c.id.in_(account_ids), ~sa.exists().where(contact.c.account_id == account.c.id))
        .values(name=ERASED, domain=None)
    )
    forget_kept_answers(connection, contact_ids)
    for table, columns in ROWS_THAT_GO.items():
        if columns.contact is not None:
            named = metadata.tables[table]
            connection.execute(sa.delete(named).where(among(connection, named.c[columns.contact], contact_ids)))
    return changed


def anonymize_lonely(connection: sa.Connection, contact_ids: Collection[UUID], *, now: datetime) -> int:
    """Anonymise those of these customers who have no call any more: nobody needs their names."""
    if not contact_ids:
        return 0
    alone = connection.execute(
        sa.select(contact.c.id).where(
            among(connection, contact.c.id, contact_ids), ~sa.exists().where(call.c.contact_id == contact.c.id)
        )
    ).scalars()
    return anonymize(connection, list(alone), now=now)


def take_from_side_tables(connection: sa.Connection, number: str) -> None:
    """Take what was told of the customer of this number (E.164) without any call that is known."""
    told = telling.c.facts
    direction = told["direction"].as_string()
    is_outbound = direction == Direction.OUTBOUND
    is_theirs = sa.or_(
        sa.and_(told["from_number_e164"].as_string() == number, sa.or_(direction.is_(None), ~is_outbound)),
        sa.and_(told["to_number_e164"].as_string() == number, sa.or_(direction.is_(None), is_outbound)),
    )
    connection.execute(sa.delete(telling).where(is_theirs))
    digits = number.lstrip("+")
    for table, column in (
        (unreadable_event, unreadable_event.c.body),
        (awaited_object, awaited_object.c.object_key),
    ):
        connection.execute(sa.delete(table).where(column.contains(digits, autoescape=True)))


def forget_kept_answers(connection: sa.Connection, ids: Collection[UUID]) -> None:
    """Delete what the API keeps for a day to say it again, where it is about one of these; the same write is then done
    anew, which each of them bears.
    """
    for id_ in ids:
        connection.execute(sa.delete(kept_answer).where(kept_answer.c.body.contains(str(id_))))


def crm_objects(connection: sa.Connection, ids: Collection[UUID]) -> list[tuple[str, str]]:
    """What CRMs hold of these calls or customers, as (system, id there)."""
    linked = sa.select(crm_link.c.crm_system, crm_link.c.crm_object_id).where(
        among(connection, crm_link.c.entity_id, ids), crm_link.c.crm_object_id != ""
    )
    return [
        (row.crm_system, row.crm_object_id) for row in connection.execute(linked.order_by(*linked.selected_columns))
    ]
