"""What our rows are called in a CRM: calls that were handed over, and the people of them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import sqlalchemy as sa

from crm.database import insert
from crm.handover_tables import crm_link


class Entity(StrEnum):
    """The kinds of our rows that a CRM knows."""

    CALL = "call"
    CONTACT = "contact"
    AGENT = "agent"


@dataclass(frozen=True)
class CrmLink:
    """One row there; `account_id` is a contact's, `payload_sha256` that of what a call was sent as last."""

    object_id: str
    account_id: str
    payload_sha256: str | None
    linked_at: datetime


def link(
    connection: sa.Connection,
    entity: Entity,
    entity_id: UUID,
    destination: str,
    object_id: str,
    *,
    account_id: str = "",
    payload_sha256: str | None = None,
    now: datetime,
) -> None:
    """Note what one of our rows is called there. A call that is known keeps its id where none is told."""
    new = insert(connection, crm_link).values(
        entity=entity,
        entity_id=entity_id,
        crm_system=destination,
        crm_object_id=object_id,
        crm_account_id=account_id,
        payload_sha256=payload_sha256,
        linked_at=now,
    )
    said = new.excluded
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["entity", "entity_id", "crm_system"],
            set_={
                "crm_object_id": sa.case(
                    (said.crm_object_id != "", said.crm_object_id), else_=crm_link.c.crm_object_id
                ),
                "crm_account_id": said.crm_account_id,
                "payload_sha256": said.payload_sha256,
                "linked_at": said.linked_at,
            },
        )
    )


def unlink(connection: sa.Connection, entity: Entity, entity_id: UUID, destination: str) -> None:
    """Forget what one of our rows was called there."""
    connection.execute(
        sa.delete(crm_link).where(
            crm_link.c.entity == entity, crm_link.c.entity_id == entity_id, crm_link.c.crm_system == destination
        )
    )


def linked(
    connection: sa.Connection, entity: Entity, entity_ids: Collection[UUID], destination: str
) -> dict[UUID, CrmLink]:
    """What these rows are called there, those that are known."""
    rows = connection.execute(
        sa.select(
            crm_link.c.entity_id,
            crm_link.c.crm_object_id,
            crm_link.c.crm_account_id,
            crm_link.c.payload_sha256,
            crm_link.c.linked_at,
        ).where(crm_link.c.entity == entity, crm_link.c.crm_system == destination, crm_link.c.entity_id.in_(entity_ids))
    )
    return {row.entity_id: CrmLink(*row[1:]) for row in rows}
