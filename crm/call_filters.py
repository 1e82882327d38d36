"""Filters of calls as conditions that an index serves: the page of a list is read from where it begins.

Of the filters that are set, one leads: that whose index leaves the fewest calls as a rule. Its index is in the order
of the list, so that a page costs the rows that are looked at for the other filters, and not what lies before it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.operators import custom_op

from calls.errors import CallwiseError
from calls.pipeline import Stage
from crm.access import Viewer, visible_calls
from crm.bulk import among
from crm.customer_words import look_for_customer
from crm.database import BY_VALUES
from crm.filter_values import Chosen, ChosenValues, chosen_values
from crm.tables import call

MOODS = ("low", "even", "high")
# A customer's name that so many have is no longer looked up by customer, but call by call.
_MANY_CONTACTS = 2000
# SQLite joins no more SELECTs than 500; a team of more agents has calls enough everywhere in the list.
_MANY_AGENTS = 400
# Of each of many values, so many times its share of a page is read at first.
_SHARES = 3
# A value of another column, as a rule, has a tenth of all calls.
_USUAL_PARTS = 10


class WrongQuery(CallwiseError):
    """A filter or a page key that cannot be read; the text names it."""

    code = "wrong_query"


@dataclass(frozen=True)
class CallFilter:
    """Which calls are wanted; None and "" do not restrict. `since` <= happened_at < `until`.

    `reason` is a code, and calls with one that it replaces have it, too; `agent`, `team` and `queue` are whole names;
    `customer` is part of a name, or at least three digits of a number; `sentiment` is one of MOODS; `text` is words
    and "phrases" of the summary or the conversation (crm.search). Upper and lower case are the same. `only` is a
    condition on `call` that whoever asks has made.
    """

    since: datetime | None = None
    until: datetime | None = None
    reason: str = ""
    agent: str = ""
    team: str = ""
    queue: str = ""
    customer: str = ""
    stage: str = ""
    direction: str = ""
    outcome: str = ""
    sentiment: str = ""
    needs_review: bool = False
    text: str = ""
    with_samples: bool = False
    only: sa.ColumnElement[bool] | None = None


@dataclass(frozen=True)
class Conditions:
    """A filter as conditions on `call`; the words are not among them.

    `leading` is the column whose index is walked, for each of `values`; None: the list itself is. `rest` holds the
    other conditions; `is_none` says that nothing can fit.
    """

    rest: tuple[sa.ColumnElement[bool], ...] = ()
    leading: sa.Column[Any] | None = None
    values: tuple[Any, ...] = ()
    # Customers are many with few calls each: their calls are read and put in order.
    few_each: bool = False
    is_none: bool = False

    def all(self, connection: sa.Connection) -> list[sa.ColumnElement[bool]]:
        """Every condition, for a query that something else leads."""
        if self.is_none:
            return [sa.false()]
        leading = [] if self.leading is None else [_is_one_of(connection, self.leading, self.values)]
        return [*leading, *self.rest]


def conditions_of(connection: sa.Connection, viewer: Viewer, wanted: CallFilter) -> list[Conditions]:
    """The filter as conditions, those of what `viewer` may see among them; calls that fit any of them are wanted.

    Names are looked up here. Several only where customers are asked for: filed and not yet filed calls are found in
    different places.
    """
    values = chosen_values(connection, viewer, wanted)
    chosen = values.columns
    if any(not found for _, found in chosen):
        return [Conditions(is_none=True)]
    # Agents are looked up among those whose calls may be seen. That is said once: PostgreSQL would take what is said
    # twice for twice as rare, and asks each call for it.
    rest = [] if any(column is call.c.agent_id for column, _ in chosen) else [visible_calls(viewer)]
    if not wanted.with_samples:
        rest.append(call.c.is_sample.is_(False))
    if wanted.since:
        rest.append(call.c.happened_at >= wanted.since)
    if wanted.until:
        rest.append(call.c.happened_at < wanted.until)
    if wanted.only is not None:
        rest.append(wanted.only)
    if wanted.needs_review:
        rest.append(call.c.needs_review)
    # A list of the calls to be looked at has an index of its own.
    leading = None if wanted.needs_review and not _leads_over_review(chosen) else _leader(connection, values)
    others = [_is_one_of(connection, *one) for one in chosen if one is not leading]
    if connection.dialect.name == "sqlite":
        # Without statistics SQLite would take any of the indexes.
        others = [unindexed(one) for one in others]
    found = Conditions((*rest, *others))
    if wanted.customer:
        return _of_customer(connection, viewer, wanted.customer, replace(found, rest=_all(connection, found, leading)))
    return [found if leading is None else replace(found, leading=leading[0], values=leading[1])]


def newest_keys(
    connection: sa.Connection, conditions: Sequence[Conditions], *, count: int, before: sa.Tuple | None = None
) -> Sequence[sa.Row[Any]]:
    """`happened_at` and `id` of the newest `count` calls that fit, behind the place `before`, the newest first."""
    one = conditions[0]
    if len(conditions) == 1 and one.leading is not None and _is_by_each(connection, one):
        few = _SHARES * count // len(one.values) + 1
        some = _by_each(_keys(one, before), one.leading, one.values, count, few)
        rows = connection.execute(some, execution_options=BY_VALUES).all()
        # Who has given all that was asked of them may have more that are newer than those of others.
        if few >= count or max(Counter(row.value for row in rows).values(), default=0) < few:
            return rows
    keys = newest(connection, conditions, count=count, before=before)
    in_order = sa.select(keys).order_by(keys.c.happened_at.desc(), keys.c.id.desc())
    return connection.execute(in_order, execution_options=BY_VALUES).all()


def newest(
    connection: sa.Connection, conditions: Sequence[Conditions], *, count: int, before: sa.Tuple | None = None
) -> sa.Subquery:
    """A subquery of `happened_at` and `id` of the newest `count` calls that fit, behind the place `before`."""
    branches = [branch for one in conditions if not one.is_none for branch in _branches(connection, one, count, before)]
    if not branches:
        return sa.select(call.c.happened_at, call.c.id).where(sa.false()).subquery("newest")
    if len(branches) == 1:
        return branches[0].subquery("newest")
    # Each is a subquery, so that each has an order and a limit on SQLite, too.
    both = sa.union_all(*(sa.select(*branch.subquery().c) for branch in branches)).subquery()
    return (
        sa.select(both.c.happened_at, both.c.id)
        .order_by(both.c.happened_at.desc(), both.c.id.desc())
        .limit(_as_number(count))
        .subquery("newest")
    )


def _branches(connection: sa.Connection, one: Conditions, count: int, before: sa.Tuple | None) -> list[sa.Select[Any]]:
    keys = _keys(one, before)
    page = keys.limit(_as_number(count))
    if one.leading is None:
        return [page]
    if one.few_each:
        return [page.where(_is_one_of(connection, one.leading, one.values))]
    if not _is_by_each(connection, one):
        return [page.where(one.leading == value) for value in one.values]
    found = _by_each(keys, one.leading, one.values, count, count).subquery("found")
    return [sa.select(found.c.happened_at, found.c.id)]


def _keys(one: Conditions, before: sa.Tuple | None) -> sa.Select[Any]:
    keys = sa.select(call.c.happened_at, call.c.id).where(*one.rest)
    behind = keys if before is None else keys.where(_position() < before)
    return behind.order_by(call.c.happened_at.desc(), call.c.id.desc())


def _is_by_each(connection: sa.Connection, one: Conditions) -> bool:
    """Whether the calls of each value are asked for within one query, as PostgreSQL can."""
    return connection.dialect.name == "postgresql" and len(one.values) > 1 and not one.few_each


def _by_each(
    keys: sa.Select[Any], leading: sa.Column[Any], values: tuple[Any, ...], count: int, of_each: int
) -> sa.Select[Any]:
    """Of the newest `of_each` calls of each value the newest `count`, each with its value."""
    each = sa.values(sa.column("value", leading.type), name="each").data([(value,) for value in values])
    found = keys.where(leading == each.c.value).limit(_as_number(min(of_each, count))).lateral("of_each")
    return (
        sa.select(found.c.happened_at, found.c.id, each.c.value)
        .select_from(each.join(found, sa.true()))
        .order_by(found.c.happened_at.desc(), found.c.id.desc())
        .limit(_as_number(count))
    )


# The smaller, the fewer calls one value has, as a rule.
_RANK = ("agent_id", "reason_code", "queue_id", "outcome", "mood", "direction", "stage")
# What the index of an agent's calls says of them.
_OF_AGENT = frozenset({"reason_code", "outcome", "mood"})


def _leader(connection: sa.Connection, values: ChosenValues) -> Chosen | None:
    able = [one for one in values.columns if len(one[1]) <= _MANY_AGENTS]
    # All that was received is done in the end: whoever asks for another stage asks for little.
    rank = {name: place for place, name in enumerate(_RANK)}
    able.sort(key=lambda one: (one[1] == (Stage.DONE,) or one[0].name != "stage", rank[one[0].name]))
    if len(able) > 1 and len(able[0][1]) > 1 and values.agent_count is not None:
        # Each of many agents' lists would be read until it has a page of what the other filters leave; PostgreSQL takes
        # a tenth of the time for what the index itself tells.
        is_told = connection.dialect.name == "postgresql" and all(one[0].name in _OF_AGENT for one in able[1:])
        agents = len(able[0][1])
        if values.agent_count / agents < agents * (1 if is_told else _USUAL_PARTS):
            return able[1]
    return able[0] if able else None


def _leads_over_review(chosen: Sequence[Chosen]) -> bool:
    return any(column.name == "agent_id" and len(values) == 1 for column, values in chosen)


def _all(connection: sa.Connection, found: Conditions, leading: Chosen | None) -> tuple[sa.ColumnElement[bool], ...]:
    if leading is None:
        return found.rest
    of_leading = _is_one_of(connection, *leading)
    return (*found.rest, unindexed(of_leading) if connection.dialect.name == "sqlite" else of_leading)


def _is_one_of(connection: sa.Connection, column: sa.Column[Any], values: tuple[Any, ...]) -> sa.ColumnElement[bool]:
    if len(values) > _MANY_AGENTS:
        return among(connection, column, values)
    # PostgreSQL plans by the values themselves, where they are few enough to be written out.
    found: sa.ColumnElement[bool] = column == values[0] if len(values) == 1 else column.in_(values)
    return found


def unindexed(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The same, which SQLite does not look for an index for."""
    return sa.sql.elements.UnaryExpression(
        sa.sql.elements.Grouping(condition), operator=custom_op("+"), type_=sa.Boolean()
    )


def _of_customer(connection: sa.Connection, viewer: Viewer, words: str, given: Conditions) -> list[Conditions]:
    """Calls of customers whose name or number has these words in it, and those that were not filed with a customer."""
    looked_for = look_for_customer(connection, viewer, words)
    if looked_for is None:
        return [Conditions(is_none=True)]
    contacts, of_unfiled = looked_for
    # As the index says it.
    is_told = sa.or_(
        *(told.is_not(None) for told in (call.c.from_number_e164, call.c.to_number_e164, call.c.customer_name))
    )
    unfiled = replace(given, rest=(*given.rest, call.c.contact_id.is_(None), is_told, of_unfiled))
    first = contacts.limit(_MANY_CONTACTS + 1)
    ids = tuple(connection.execute(first, execution_options=BY_VALUES).scalars())
    if not ids:
        return [unfiled]
    if len(ids) <= _MANY_CONTACTS:
        return [unfiled, replace(given, leading=call.c.contact_id, values=ids, few_each=True)]
    # So many that the newest calls are full of them.
    return [unfiled, replace(given, rest=(*given.rest, call.c.contact_id.in_(contacts)))]


def _as_number(count: int) -> sa.ColumnElement[int]:
    """For a LIMIT: PostgreSQL plans for a tenth of the table where it is a parameter."""
    return sa.literal_column(str(int(count)), sa.Integer)


def _position() -> sa.Tuple:
    return sa.tuple_(call.c.happened_at, call.c.id)
