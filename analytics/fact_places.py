"""Where the fact of a call lies: at the time of the call, or at one before that, which a trigger has kept."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from analytics.facts import FACT_NAMES, Fact
from analytics.many_rows import Among, AmongPairs, Prepared
from analytics.star import fact_call
from crm.touched_tables import moved_call

# By the call's id: the fact's key and the fact.
Stored = dict[Any, tuple[int, Fact]]
# A moment of a call, and the call's id.
CallAt = tuple[Any, Any]

_AT, _MOVED = fact_call.c, moved_call.c
STORED = sa.select(_AT.call_key, *(_AT[name] for name in FACT_NAMES))
_STORED_OF_CALLS = Prepared(
    STORED.where(AmongPairs([_AT.happened_at_utc, _AT.call_id], ["moments", "call_ids"])), ["moments", "call_ids"]
)
_MOVES_OF_CALLS = Prepared(
    sa.select(_MOVED.id.label("moved_id"), _MOVED.call_id.label("id"), _MOVED.was_at).where(
        Among(_MOVED.call_id, "call_ids")
    ),
    ["call_ids"],
)
_FORGET = Prepared(sa.delete(moved_call).where(Among(_MOVED.id, "moved_ids")), ["moved_ids"])
_TWICE = sa.select(_AT.call_id).group_by(_AT.call_id).having(sa.func.count() > 1)


def placed(rows: Sequence[Any], moved_ids: set[Any]) -> tuple[list[Any], list[CallAt]]:
    """Each call once, and where their facts can lie; the marks that told so are added to `moved_ids`."""
    places = [(row.happened_at, row.id) for row in rows] + _moves(rows, moved_ids)
    return list({row.id: row for row in rows}.values()), places


def places_of_gone(connection: sa.Connection, call_ids: Iterable[Any], moved_ids: set[Any]) -> list[CallAt]:
    """The same of calls that are no more."""
    return _moves(_MOVES_OF_CALLS.rows(connection, call_ids=list(call_ids)), moved_ids)


def stored_at(connection: sa.Connection, places: Sequence[CallAt]) -> Stored:
    """The facts that lie there."""
    if not places:
        return {}
    moments, call_ids = map(list, zip(*places, strict=True))
    return stored(_STORED_OF_CALLS.rows(connection, moments=moments, call_ids=call_ids))


def stored(rows: Iterable[Any]) -> Stored:
    """Rows of STORED by the call's id."""
    return {row[1]: (row[0], tuple(row[1:])) for row in rows}


def forget(connection: sa.Connection, moved_ids: Iterable[Any]) -> None:
    """Take away the marks of moves that have been followed."""
    if listed := list(moved_ids):
        _FORGET.run(connection, moved_ids=listed)


def keys_of_doubles(connection: sa.Connection) -> list[int]:
    """The keys of the facts of calls that have several: of moves that no trigger saw. It reads all facts."""
    return list(connection.execute(sa.select(_AT.call_key).where(_AT.call_id.in_(_TWICE))).scalars())


def _moves(rows: Iterable[Any], moved_ids: set[Any]) -> list[CallAt]:
    moved = [row for row in rows if row.moved_id is not None]
    moved_ids.update(row.moved_id for row in moved)
    return [(row.was_at, row.id) for row in moved]
