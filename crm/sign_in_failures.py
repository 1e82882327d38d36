"""Failed sign-ins, counted by key for as long as they matter: for all processes, and over a restart."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from uuid import uuid4

import sqlalchemy as sa

from crm.access_tables import sign_in_failure


def full_since(connection: sa.Connection, limits: Mapping[str, int], since: datetime) -> datetime | None:
    """When of each key that has had as many failures as it may since then the first of the latest so many was; the
    last of these moments, None where no key is full.
    """
    found: list[datetime] = []
    for key, limit in limits.items():
        failed_at = (
            sa.select(sign_in_failure.c.failed_at)
            .where(sign_in_failure.c.key_hash == _hash(key), sign_in_failure.c.failed_at > since)
            .order_by(sign_in_failure.c.failed_at.desc())
            .offset(limit - 1)
            .limit(1)
        )
        found += connection.execute(failed_at).scalars()
    return max(found, default=None)


def note_failures(connection: sa.Connection, keys: Iterable[str], now: datetime, *, since: datetime) -> None:
    """An attempt failed for these keys now; what failed up to `since` is forgotten."""
    connection.execute(sa.delete(sign_in_failure).where(sign_in_failure.c.failed_at <= since))
    rows = [{"id": uuid4(), "key_hash": _hash(key), "failed_at": now} for key in keys]
    connection.execute(sa.insert(sign_in_failure), rows)


def has_failures(connection: sa.Connection, keys: Iterable[str]) -> bool:
    """Whether one of these keys has any."""
    return connection.execute(sa.select(sa.exists().where(_of(keys)))).scalar_one()


def forget_failures(connection: sa.Connection, keys: Iterable[str]) -> None:
    """What failed for these keys no longer counts."""
    connection.execute(sa.delete(sign_in_failure).where(_of(keys)))


def _of(keys: Iterable[str]) -> sa.ColumnElement[bool]:
    return sign_in_failure.c.key_hash.in_([_hash(key) for key in keys])


def _hash(key: str) -> str:
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
