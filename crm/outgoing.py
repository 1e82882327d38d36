"""Messages on their way: sent by one worker at a time, again and again, until they are taken or given up.

A table of such messages has, beside its key, the columns of crm.alert_tables.message_columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crm.database import insert

# Between attempts; after the last one nothing more is sent.
WAITS = (
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=6),
)
# A worker that died while it sent is followed by another after this time.
_HELD = timedelta(minutes=2)


@dataclass(frozen=True)
class Message:
    """One message that is to be sent now; `key` are the values of the table's key."""

    key: tuple[str, ...]
    document: Mapping[str, Any]
    attempts: int


def notice(
    connection: sa.Connection, table: sa.Table, key: tuple[str, ...], document: Mapping[str, Any], *, now: datetime
) -> bool:
    """Write the message down to be sent; False where one of that key was written down already."""
    row = {**_named(table, key), "document": dict(document), "noticed_at": now, "due_at": now}
    done = connection.execute(insert(connection, table).values(row).on_conflict_do_nothing())
    return done.rowcount == 1


def take(connection: sa.Connection, table: sa.Table, *, now: datetime) -> Message | None:
    """The message that has been due for longest, which is nobody else's for now; None where none is."""
    key = tuple(table.primary_key)
    row = connection.execute(
        sa.select(table)
        .where(table.c.due_at <= now)
        .order_by(table.c.due_at, *key)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()
    if row is None:
        return None
    found = Message(tuple(row._mapping[column.name] for column in key), row.document, row.attempts + 1)
    _update(connection, table, found, {"due_at": now + _HELD, "attempts": found.attempts})
    return found


def sent(connection: sa.Connection, table: sa.Table, message: Message, *, now: datetime) -> None:
    """Note that the receiver has it."""
    _update(connection, table, message, {"sent_at": now, "due_at": None, "failed_code": None})


def failed(connection: sa.Connection, table: sa.Table, message: Message, code: str, *, now: datetime) -> bool:
    """Note that it did not get through; returns whether it will be tried again."""
    is_tried_again = message.attempts <= len(WAITS)
    due_at = now + WAITS[message.attempts - 1] if is_tried_again else None
    _update(connection, table, message, {"due_at": due_at, "failed_code": code})
    return is_tried_again


def is_noticed(connection: sa.Connection, table: sa.Table, key: tuple[str, ...]) -> bool:
    """Whether a message of that key was written down, sent or not."""
    conditions = [table.c[name] == value for name, value in _named(table, key).items()]
    return connection.execute(sa.select(sa.exists().where(*conditions))).scalar_one()


def _named(table: sa.Table, key: tuple[str, ...]) -> dict[str, str]:
    return {column.name: value for column, value in zip(table.primary_key, key, strict=True)}


def _update(connection: sa.Connection, table: sa.Table, message: Message, values: Mapping[str, Any]) -> None:
    conditions = [table.c[name] == value for name, value in _named(table, message.key).items()]
    connection.execute(sa.update(table).where(*conditions).values(dict(values)))
