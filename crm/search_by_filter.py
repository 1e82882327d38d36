"""Words among the newest calls of a filter, on PostgreSQL.

Where many calls have a word, those of the filter are asked for it: the other way round the words of all calls would be
read, to find that most are of other agents or about something else.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm.call_filters import Conditions, newest
from crm.database import BY_VALUES
from crm.search_tables import NUMBER_BITS, call_text
from crm.tables import call

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def newest_of_filter(
    connection: sa.Connection,
    conditions: Sequence[Conditions],
    words: sa.ColumnElement[bool],
    *,
    before: int | None,
    limit: int,
    looks: Sequence[int],
) -> tuple[list[tuple[UUID, int]], int | None] | None:
    """At most `limit` ids and numbers of calls that fit and have the words, the newest first, and the number below
    which others may lie, None where none do. So many calls are looked at, one look after the other, as `looks` says.

    None: more calls than these have one moment, and their numbers have another order than the calls of the filter.
    """
    found: list[tuple[UUID, int]] = []
    for look in looks:
        until = None if before is None else (before - 1 >> NUMBER_BITS) + 1
        keys = newest(connection, conditions, count=look, before=None if until is None else _position(until))
        end, count = sa.func.min(keys.c.happened_at).over(), sa.func.count().over()
        looked = sa.select(keys, end.label("look_end"), count.label("look_count")).subquery("looked")
        having = (
            sa.select(looked, call_text.c.call_id, call_text.c.number)
            .select_from(looked.join(call_text, call_text.c.call_id == looked.c.id))
            .where(words)
            .order_by(call_text.c.number.desc())
            .limit(limit + 1 - len(found))
        )
        if before is not None:
            having = having.where(call_text.c.number < before)
        rows: Sequence[Any] = connection.execute(having, execution_options=BY_VALUES).all()
        # Where none has the words, where the look ended is asked for alone.
        ended = rows[:1] or connection.execute(sa.select(looked).limit(1), execution_options=BY_VALUES).all()
        is_whole = not ended or ended[0].look_count < look
        # Of its last millisecond there may be others, whose numbers are higher.
        complete_to = None if is_whole else (ended[0].look_end - _EPOCH) // _MILLISECOND + 1
        found += [
            (row.call_id, row.number) for row in rows if complete_to is None or row.number >> NUMBER_BITS >= complete_to
        ]
        if len(found) > limit:
            return found[:limit], found[limit - 1][1]
        if complete_to is None:
            return found, None
        if until is not None and complete_to >= until:
            return None
        before = complete_to << NUMBER_BITS
    return found, before


def _position(milliseconds: int) -> sa.Tuple:
    """Behind all calls of this moment and later (milliseconds since 1970)."""
    moment = sa.literal(_EPOCH + milliseconds * _MILLISECOND, call.c.happened_at.type)
    return sa.tuple_(moment, sa.literal(UUID(int=0), call.c.id.type))
