"""Objects that were announced and are not in the store yet: looked for again, for an hour."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from calls.telling import object_subject
from crm.bulk import among
from crm.database import insert
from crm.erased import erased_subjects
from crm.tables import awaited_object

# Stores that speak before they show do so by seconds; an hour also covers an upload that is being copied.
AWAITED_FOR = timedelta(hours=1)
_LONGEST_WAIT_S = 60
_IS_ANY_AWAITED = sa.select(sa.exists().select_from(awaited_object))


@dataclass(frozen=True)
class Awaited:
    """One announcement: every key that it may mean, the likeliest first."""

    bucket: str
    candidates: tuple[str, ...]


def await_objects(connection: sa.Connection, missing: Iterable[Awaited], *, now: datetime) -> int:
    """Note announced objects that are not there; those of an hour ago are given up. Returns how many are given up.

    For what was erased nobody waits.
    """
    by_key = {(one.bucket, one.candidates[0]): one for one in missing}
    gone = erased_subjects(connection, {object_subject(bucket, key) for bucket, key in by_key})
    by_key = {place: one for place, one in by_key.items() if object_subject(*place) not in gone}
    given_up = 0
    for (bucket, key), one in sorted(by_key.items()):
        is_this = (awaited_object.c.bucket == bucket, awaited_object.c.object_key == key)
        known = connection.execute(
            sa.select(awaited_object.c.announced_at, awaited_object.c.look_count).where(*is_this)
        ).one_or_none()
        if known is None:
            row = {
                "bucket": bucket,
                "object_key": key,
                "candidates": list(one.candidates),
                "announced_at": now,
                "look_at": now + timedelta(seconds=1),
                "look_count": 1,
            }
            connection.execute(insert(connection, awaited_object).values(row).on_conflict_do_nothing())
        elif now - known.announced_at >= AWAITED_FOR:
            connection.execute(sa.delete(awaited_object).where(*is_this))
            given_up += 1
        else:
            wait = timedelta(seconds=min(2**known.look_count, _LONGEST_WAIT_S))
            change = {"look_at": now + wait, "look_count": known.look_count + 1}
            connection.execute(sa.update(awaited_object).where(*is_this).values(**change))
    return given_up


def is_any_awaited(connection: sa.Connection) -> bool:
    """Whether anybody waits for any object."""
    return bool(connection.execute(_IS_ANY_AWAITED).scalar_one())


def forget_awaited(connection: sa.Connection, bucket: str, keys: Sequence[str]) -> None:
    """These objects are there: nobody waits for them any more."""
    connection.execute(
        sa.delete(awaited_object).where(
            awaited_object.c.bucket == bucket, among(connection, awaited_object.c.object_key, keys)
        )
    )


def due_awaited(connection: sa.Connection, *, now: datetime, limit: int) -> list[Awaited]:
    """The objects to look for now, the longest due first."""
    rows = connection.execute(
        sa.select(awaited_object.c.bucket, awaited_object.c.candidates)
        .where(awaited_object.c.look_at <= now)
        .order_by(awaited_object.c.look_at)
        .limit(limit)
    )
    return [Awaited(row.bucket, tuple(row.candidates)) for row in rows]


def awaited_count(connection: sa.Connection) -> int:
    """How many announced objects are not there yet."""
    return connection.execute(sa.select(sa.func.count()).select_from(awaited_object)).scalar_one()
