"""Customers by parts of their names and numbers: what an index finds of them, and what no viewer may find out."""

import re
from typing import Any

import sqlalchemy as sa

from calls.recording import Direction
from crm.access import Viewer
from crm.redacted import SHOWN_DIGITS, is_redacted, sees_names
from crm.tables import call, contact

_TRIGRAM = 3
# The end of a number tells customers apart, and its beginning is everybody's.
_TELLING_DIGITS = 6


def look_for_customer(
    connection: sa.Connection, viewer: Viewer, words: str
) -> tuple[sa.Select[Any], sa.ColumnElement[bool]] | None:
    """The ids of the contacts whose name or number has these words in it, and the condition on `call` for those that
    were not filed with a customer. Three digits and more are a number. None where this viewer may not look for that:
    nobody finds out by looking what they are not shown.
    """
    words = words.strip()
    digits = "".join(letter for letter in words if letter.isdigit())
    if len(digits) >= 3 and not any(letter.isalpha() for letter in words):
        outbound = call.c.direction == Direction.OUTBOUND
        number = sa.case((outbound, call.c.to_number_e164), else_=call.c.from_number_e164)
        contacts = sa.select(contact.c.id).where(*_has_number(connection, viewer, digits))
        if is_redacted(viewer):
            return contacts, has_digits(viewer, number, digits)
        # No index leads to these: the function takes two thirds of the time of a pattern.
        place = sa.func.instr if connection.dialect.name == "sqlite" else sa.func.strpos
        return contacts, place(number, digits) > 0
    if not sees_names(viewer):
        return None
    contacts = sa.select(contact.c.id).where(*has_name(connection, words))
    return contacts, has_words(connection, call.c.customer_name, words)


def has_name(connection: sa.Connection, words: str) -> list[sa.ColumnElement[bool]]:
    """Whether a contact's name has these words in it, upper and lower case alike; by the index of its trigrams."""
    # As the index on PostgreSQL has it, to the letter.
    nothing: sa.ColumnElement[str] = sa.literal_column("''")
    space: sa.ColumnElement[str] = sa.literal_column("' '")
    first, last = (sa.func.coalesce(part, nothing) for part in (contact.c.first_name, contact.c.last_name))
    name = first.concat(space).concat(last)
    return [_in_contact(connection, "name", words.lower()), has_words(connection, name, words)]


def has_words(connection: sa.Connection, text: sa.ColumnElement[Any], words: str) -> sa.ColumnElement[bool]:
    """Whether a text has these words in it, upper and lower case alike."""
    if connection.dialect.name == "sqlite" and words.isascii():
        # Its LIKE takes upper and lower case of these letters for the same; its lower() takes longer than all the rest.
        return text.contains(words, autoescape=True)
    # The database says what lower case is on both sides.
    escaped = re.sub(r"([/%_])", r"/\1", words)
    return sa.func.lower(text).contains(sa.func.lower(escaped), escape="/")


def has_digits(viewer: Viewer, number: sa.ColumnElement[Any], digits: str) -> sa.ColumnElement[bool]:
    """Whether a number (E.164) has these digits in it; where its end alone is shown, whether it ends so."""
    if not is_redacted(viewer):
        return number.contains(digits, autoescape=True)
    if len(digits) <= SHOWN_DIGITS:
        return number.endswith(digits, autoescape=True)
    return number == f"+{digits}"


def _has_number(connection: sa.Connection, viewer: Viewer, digits: str) -> list[sa.ColumnElement[bool]]:
    """Whether a contact's number has these digits; by the trigrams of its end, where there are more."""
    telling = digits[-_TELLING_DIGITS:]
    if connection.dialect.name == "sqlite":
        return [_in_contact(connection, "phone", telling), has_digits(viewer, contact.c.phone_e164, digits)]
    if is_redacted(viewer) or telling == digits:
        return [has_digits(viewer, contact.c.phone_e164, digits)]
    # Whether all of them are there is no question to the index: what begins every number lies in half of it.
    return [contact.c.phone_e164.contains(telling, autoescape=True), sa.func.strpos(contact.c.phone_e164, digits) > 0]


def _in_contact(connection: sa.Connection, column: str, words: str) -> sa.ColumnElement[bool]:
    """What SQLite's trigrams leave of the customers; PostgreSQL takes its own for a LIKE by itself."""
    if connection.dialect.name != "sqlite" or len(words) < _TRIGRAM:
        return sa.true()
    quoted = words.replace('"', '""')
    return contact.c.id.in_(
        sa.select(sa.column("contact_id", sa.Uuid()))
        .select_from(sa.text("contact_text JOIN contact_words ON contact_words.rowid = contact_text.number"))
        .where(sa.text("contact_words MATCH :looked_for").bindparams(looked_for=f'{column} : "{quoted}"'))
    )
