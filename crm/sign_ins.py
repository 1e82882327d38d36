"""Open sessions: rows that the server can end. A session lives only as long as its row."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from crm.access_tables import web_session
from crm.tables import app_user
from crm.users import User, select_users, users_of

# Sent with every page: put together once.
_BY_KEY = (
    select_users()
    .join(web_session, web_session.c.user_id == app_user.c.id)
    .where(
        web_session.c.key_hash == sa.bindparam("key_hash"),
        web_session.c.expires_at > sa.bindparam("now", type_=web_session.c.expires_at.type),
        app_user.c.is_active,
    )
)


def open_session(
    connection: sa.Connection, user_id: UUID, key_hash: str, *, now: datetime, expires_at: datetime
) -> None:
    """Begin a session under the hash of its key; those that are over are forgotten."""
    connection.execute(sa.delete(web_session).where(web_session.c.expires_at <= now))
    connection.execute(
        sa.insert(web_session).values(key_hash=key_hash, user_id=user_id, started_at=now, expires_at=expires_at)
    )


def user_of_session(connection: sa.Connection, key_hash: str, now: datetime) -> User | None:
    """Whose session this is, as she stands now; None when it is over, was ended, or its user is let in no more."""
    rows = connection.execute(_BY_KEY, {"key_hash": key_hash, "now": now})
    return next(iter(users_of(rows)), None)


def end_session(connection: sa.Connection, key_hash: str) -> None:
    """End one session."""
    connection.execute(sa.delete(web_session).where(web_session.c.key_hash == key_hash))


def end_sessions_of(connection: sa.Connection, user_id: UUID) -> int:
    """End every session of a user; returns how many there were."""
    return connection.execute(sa.delete(web_session).where(web_session.c.user_id == user_id)).rowcount
