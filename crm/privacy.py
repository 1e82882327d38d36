"""Whose calls are meant: by number, by customer, by age."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.errors import CallwiseError
from calls.recording import Direction
from crm.erased import is_erased
from crm.tables import call, contact, recording

_E164 = re.compile(r"\+[1-9]\d{5,14}")
_BETWEEN_DIGITS = re.compile(r"[\s().\-/]")


class WrongNumber(CallwiseError):
    """What should be a phone number is none in E.164."""

    code = "wrong_query"


class NoSuchContact(CallwiseError):
    """No customer has that id."""

    code = "no_such_customer"


# The moment of a call, and the id by which rows of one moment are told apart.
Place = tuple[datetime, UUID]


@dataclass(frozen=True)
class Person:
    """Somebody who asked to be erased: by the number (E.164), or as the contacts that are theirs."""

    number: str | None
    contact_ids: tuple[UUID, ...]


def person_of_number(connection: sa.Connection, written: str) -> Person:
    """Whoever has this number, known as a contact or not. Raises WrongNumber."""
    number = _BETWEEN_DIGITS.sub("", written)
    if number.startswith("00"):
        number = f"+{number[2:]}"
    if not _E164.fullmatch(number):
        raise WrongNumber("write the number as +, the country's code and the rest, such as +4930123456")
    found = connection.execute(sa.select(contact.c.id).where(contact.c.phone_e164 == number)).scalars()
    return Person(number, tuple(found))


def person_of_contact(connection: sa.Connection, contact_id: UUID) -> Person:
    """The contact of that id. Raises NoSuchContact."""
    row = connection.execute(sa.select(contact.c.phone_e164).where(contact.c.id == contact_id)).one_or_none()
    if row is None:
        raise NoSuchContact(f"no customer has the id {contact_id}")
    return Person(row.phone_e164, (contact_id,))


def calls_of_person(connection: sa.Connection, person: Person, *, limit: int | None = None) -> Sequence[Any]:
    """Id and contact of the calls of this person that are not erased yet: filed with them, or from their number."""
    theirs: list[sa.ColumnElement[bool]] = []
    if person.contact_ids:
        theirs.append(call.c.contact_id.in_(person.contact_ids))
    if person.number is not None:
        # Of a call whose direction nobody knows, either side may be the customer.
        is_from = sa.and_(
            call.c.from_number_e164 == person.number,
            sa.or_(call.c.direction.is_(None), call.c.direction != Direction.OUTBOUND),
        )
        is_to = sa.and_(
            call.c.to_number_e164 == person.number,
            sa.or_(call.c.direction.is_(None), call.c.direction == Direction.OUTBOUND),
        )
        theirs += [is_from, is_to]
    if not theirs:
        return []
    wanted = sa.select(call.c.id, call.c.contact_id).where(sa.or_(*theirs), ~is_erased()).order_by(call.c.id)
    return connection.execute(wanted.limit(limit)).all()


def calls_before(
    connection: sa.Connection, before: datetime, *, limit: int, after: Place | None = None
) -> Sequence[Any]:
    """The oldest calls behind `after` that happened before then and are not erased yet: when, and their ids."""
    wanted = sa.select(call.c.happened_at, call.c.id).where(call.c.happened_at < before, ~is_erased())
    if after is not None:
        wanted = wanted.where(is_behind(call.c.happened_at, call.c.id, after))
    return connection.execute(wanted.order_by(call.c.happened_at, call.c.id).limit(limit)).all()


def is_behind(moment: sa.ColumnElement[Any], id_: sa.ColumnElement[Any], after: Place) -> sa.ColumnElement[bool]:
    """Whether a row of this moment and id comes behind that place: portions do not look at those before them again."""
    here = sa.tuple_(sa.literal(after[0], moment.type), sa.literal(after[1], id_.type))
    return sa.tuple_(moment, id_) > here


def count_before(connection: sa.Connection, before: datetime) -> int:
    """How many calls `calls_before` would give, in all."""
    wanted = sa.select(sa.func.count()).select_from(call).where(call.c.happened_at < before, ~is_erased())
    return connection.execute(wanted).scalar_one()


def recording_count(connection: sa.Connection, call_ids: Sequence[UUID]) -> int:
    """How many recordings these calls have in the store, those included that are not current any more."""
    wanted = sa.select(sa.func.count()).where(recording.c.call_id.in_(call_ids), recording.c.removed_at.is_(None))
    return connection.execute(wanted).scalar_one()


def recordings_before(connection: sa.Connection, before: datetime) -> int:
    """How many recordings the calls before then have in the store."""
    wanted = (
        sa.select(sa.func.count())
        .select_from(recording)
        .join(call, call.c.id == recording.c.call_id)
        .where(call.c.happened_at < before, recording.c.removed_at.is_(None))
    )
    return connection.execute(wanted).scalar_one()
