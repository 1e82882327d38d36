"""Customers as people read them: who somebody is, all of their calls, and what they call about again and again."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from calls.reasons import INSUFFICIENT, OTHER
from calls.redaction import SensitiveFinder, find_sensitive
from crm.access import Viewer, visible_calls
from crm.call_lines import CallLine, label_of, line_of, select_lines
from crm.calls import CallPage, NoSuchCall, key_at, key_of, position_of
from crm.customer_words import has_digits, has_name, has_words
from crm.reason_tables import reason_successor
from crm.redacted import is_redacted, sees_names, shown_line, shown_number, shown_text
from crm.tables import account, call, call_analysis, contact, reason, taxonomy

# A call about the same thing within this time after another is a repeat (docs/measures.md).
REPEAT_WITHIN = timedelta(days=7)
# So many of a customer's latest calls tell what they call about; nobody reads more.
_CALLS_COUNTED = 2000
# So many customers are put in order of their latest calls.
_MATCHES = 500
_OF_CALLS = ("call_count", "first_call_at", "last_call_at")


class NoSuchCustomer(NoSuchCall):
    """No customer has that id, or none whose calls this viewer may see."""

    code = "no_such_customer"


@dataclass(frozen=True)
class Customer:
    """One contact with its account; `call_count` and the two times are of the calls that the viewer may see."""

    id: UUID
    first_name: str | None
    last_name: str | None
    email: str | None
    phone_e164: str | None
    account_id: UUID | None
    account: str | None
    account_domain: str | None
    anonymized_at: datetime | None
    call_count: int
    first_call_at: datetime
    last_call_at: datetime

    @property
    def name(self) -> str:
        """First and last name, as far as they are known; empty for somebody without a name."""
        return " ".join(part for part in (self.first_name, self.last_name) if part)


@dataclass(frozen=True)
class ReasonOfCustomer:
    """What a customer calls about: how many calls, how many of them another followed within REPEAT_WITHIN."""

    code: str
    label: str
    call_count: int
    repeat_count: int
    last_call_at: datetime


@dataclass(frozen=True)
class CustomerPage:
    """Customers in order of their latest visible call, newest first; `next_key` is the key of the page behind it, None
    on the last one.
    """

    customers: tuple[Customer, ...]
    next_key: str | None


def customer_in_full(
    connection: sa.Connection, viewer: Viewer, contact_id: UUID, find: SensitiveFinder = find_sensitive
) -> Customer:
    """The customer of that id. Raises NoSuchCustomer, also where the viewer may see none of their calls."""
    row = connection.execute(_select_customers(viewer).where(contact.c.id == contact_id)).one_or_none()
    if row is None:
        raise NoSuchCustomer(f"no customer has the id {contact_id}")
    return _shown(viewer, Customer(**row._mapping), find)


def find_customers(
    connection: sa.Connection,
    viewer: Viewer,
    words: str = "",
    *,
    limit: int = 50,
    after: str = "",
    find: SensitiveFinder = find_sensitive,
) -> CustomerPage:
    """Customers whose name, account, e-mail address or number has these words in it, "": all, from behind `after` on.

    Of more than _MATCHES that fit, which are shown is left open: the words have to say more. Raises WrongQuery.
    """
    words = words.strip()
    digits = "".join(letter for letter in words if letter.isdigit())
    # What fits either of them is wanted.
    fits: list[list[sa.ColumnElement[bool]]] = []
    if not words:
        fits.append([contact.c.id.in_(_who_called_last(connection, viewer, limit + 1, after))])
    elif len(digits) >= 3 and not any(letter.isalpha() for letter in words):
        fits.append([has_digits(viewer, contact.c.phone_e164, digits)])
    elif sees_names(viewer):
        accounts = sa.select(account.c.id).where(has_words(connection, account.c.name, words))
        others: list[sa.ColumnElement[bool]] = [contact.c.account_id.in_(accounts)]
        if not is_redacted(viewer):
            # A masked address is not to be guessed by looking for its letters.
            others.append(has_words(connection, contact.c.email, words))
        # Apart, since the index of names is of no use to a query that asks for something else as well.
        fits += [has_name(connection, words), [sa.or_(*others)]]
    its_calls = sa.select(call.c.id).where(call.c.contact_id == contact.c.id, visible_calls(viewer))
    matches = [
        sa.select(sa.select(contact.c.id).where(*one, its_calls.exists()).limit(_MATCHES).subquery().c.id)
        for one in fits
    ]
    found = (
        _select_customers(viewer)
        .where(contact.c.id.in_(sa.union(*matches)) if matches else sa.false())
        .subquery("found")
    )
    in_order = sa.select(found).order_by(found.c.last_call_at.desc(), found.c.id.desc()).limit(limit + 1)
    if after:
        in_order = in_order.where(sa.tuple_(found.c.last_call_at, found.c.id) < position_of(after))
    rows = connection.execute(in_order).all()
    customers = tuple(_shown(viewer, Customer(**row._mapping), find) for row in rows[:limit])
    last = rows[limit - 1] if len(rows) > limit else None
    return CustomerPage(customers, None if last is None else key_at(last.last_call_at, last.id))


def _who_called_last(connection: sa.Connection, viewer: Viewer, count: int, after: str) -> list[UUID]:
    """The ids of the `count` customers behind that key, by their latest visible call."""
    later = call.alias()
    is_latest = ~sa.exists().where(
        later.c.contact_id == call.c.contact_id,
        visible_calls(viewer, later),
        sa.tuple_(later.c.happened_at, later.c.id) > sa.tuple_(call.c.happened_at, call.c.id),
    )
    latest = sa.select(call.c.contact_id).where(call.c.contact_id.is_not(None), visible_calls(viewer), is_latest)
    if after:
        latest = latest.where(sa.tuple_(call.c.happened_at, call.c.contact_id) < position_of(after))
    in_order = latest.order_by(call.c.happened_at.desc(), call.c.contact_id.desc()).limit(count)
    return list(connection.execute(in_order).scalars())


def calls_of_customer(
    connection: sa.Connection,
    viewer: Viewer,
    contact_id: UUID,
    *,
    limit: int = 50,
    after: str = "",
    find: SensitiveFinder = find_sensitive,
) -> CallPage:
    """The customer's calls behind `after`, newest first, with marks for what `find` finds. Raises WrongQuery."""
    found = select_lines().where(call.c.contact_id == contact_id, visible_calls(viewer))
    if after:
        found = found.where(sa.tuple_(call.c.happened_at, call.c.id) < position_of(after))
    rows = connection.execute(found.order_by(call.c.happened_at.desc(), call.c.id.desc()).limit(limit + 1)).all()
    lines: tuple[CallLine, ...] = tuple(shown_line(viewer, line_of(row), find) for row in rows[:limit])
    return CallPage(lines, key_of(lines[-1]) if len(rows) > limit else None)


def reasons_of_customer(connection: sa.Connection, viewer: Viewer, contact_id: UUID) -> list[ReasonOfCustomer]:
    """What this customer calls about, the most frequent first; codes are of the current taxonomy where it has one.

    A call is a repeat where the same customer called about the same reason within REPEAT_WITHIN before it; nobody knows
    that of the general reasons, and they count none.
    """
    code = sa.func.coalesce(reason_successor.c.successor_code, call_analysis.c.reason_code)
    rows = connection.execute(
        sa.select(code.label("code"), call.c.happened_at)
        .join_from(call, call_analysis, sa.and_(call_analysis.c.call_id == call.c.id, call_analysis.c.is_current))
        .outerjoin(reason_successor, reason_successor.c.code == call_analysis.c.reason_code)
        .where(call.c.contact_id == contact_id, call_analysis.c.reason_code.is_not(None), visible_calls(viewer))
        .order_by(call.c.happened_at.desc(), call.c.id.desc())
        .limit(_CALLS_COUNTED)
    ).all()
    moments: dict[str, list[datetime]] = {}
    for row in rows:
        moments.setdefault(row.code, []).append(row.happened_at)
    labels = _labels(connection, list(moments))
    found = [
        ReasonOfCustomer(
            code=one,
            label=label_of(one, labels.get(one)) or one,
            call_count=len(at),
            repeat_count=0 if one in {OTHER, INSUFFICIENT} else _repeats(at),
            last_call_at=at[0],
        )
        for one, at in moments.items()
    ]
    return sorted(found, key=lambda one: (-one.call_count, one.label))


def _repeats(newest_first: list[datetime]) -> int:
    return sum(later - earlier <= REPEAT_WITHIN for later, earlier in pairwise(newest_first))


def _labels(connection: sa.Connection, codes: list[str]) -> dict[str, str]:
    """What the codes are called now, where the current version has them; else what they were called last."""
    rows = connection.execute(
        sa.select(reason.c.code, reason.c.label)
        .join(taxonomy, taxonomy.c.version == reason.c.taxonomy_version)
        .where(reason.c.code.in_(codes))
        .order_by(taxonomy.c.is_current, taxonomy.c.loaded_at)
    )
    return {row.code: row.label for row in rows}


def _shown(viewer: Viewer, found: Customer, find: SensitiveFinder) -> Customer:
    """The customer as this viewer may know them."""
    if not is_redacted(viewer):
        return found
    if not sees_names(viewer):
        found = replace(found, first_name=None, last_name=None, account=None, account_domain=None)
    email = found.email and shown_text(viewer, found.email, find)
    return replace(found, email=email, phone_e164=shown_number(viewer, found.phone_e164))


def _select_customers(viewer: Viewer) -> sa.Select[Any]:
    """Contacts with what the viewer may see of their calls, of which there has to be one."""
    seen = (
        sa.select(
            sa.func.count().label("call_count"),
            sa.func.min(call.c.happened_at, type_=call.c.happened_at.type).label("first_call_at"),
            sa.func.max(call.c.happened_at, type_=call.c.happened_at.type).label("last_call_at"),
        )
        .where(call.c.contact_id == contact.c.id, visible_calls(viewer))
        .correlate(contact)
    )
    values = {name: seen.with_only_columns(seen.selected_columns[name]).scalar_subquery() for name in _OF_CALLS}
    own = ("id", "first_name", "last_name", "email", "phone_e164", "account_id", "anonymized_at")
    its_calls = sa.select(call.c.id).where(call.c.contact_id == contact.c.id, visible_calls(viewer))
    return (
        sa.select(
            *(contact.c[name] for name in own),
            account.c.name.label("account"),
            account.c.domain.label("account_domain"),
            *(value.label(name) for name, value in values.items()),
        )
        .outerjoin_from(contact, account, account.c.id == contact.c.account_id)
        .where(its_calls.correlate(contact).exists())
    )
