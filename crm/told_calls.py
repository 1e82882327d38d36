"""Calls that something is told of: which they are, and what the merging of tellings has to know of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa

from crm.bulk import among
from crm.tables import call, recording


@dataclass(frozen=True)
class ToldCall:
    """One call and where its current recording lies; `key` is empty where it has none. `stored_at` is when that was
    stored, or when the call came in where the store does not say.
    """

    id: UUID
    source_system: str
    external_call_id: str
    profile: str | None
    bucket: str
    key: str
    stored_at: datetime


def calls_of(
    connection: sa.Connection,
    *,
    keys: Iterable[tuple[str, str]] = (),
    ids: Iterable[tuple[str, str]] = (),
    conversations: Iterable[tuple[str, str]] = (),
) -> set[UUID]:
    """The calls whose current recording lies under one of these (bucket, key), that a (source system, id) names, or
    that belong to one of these conversations (source system, id).
    """
    found: set[UUID] = set()
    by_bucket: dict[str, list[str]] = {}
    for bucket, key in keys:
        by_bucket.setdefault(bucket, []).append(key)
    for bucket, wanted in by_bucket.items():
        found |= set(
            connection.execute(
                sa.select(recording.c.call_id).where(
                    recording.c.bucket == bucket,
                    among(connection, recording.c.object_key, wanted),
                    recording.c.is_current,
                )
            ).scalars()
        )
    for system, own in _by_system(ids).items():
        # A second recording of one call has the first one's id as its initial id.
        named = sa.or_(among(connection, call.c.external_call_id, own), among(connection, call.c.initial_call_id, own))
        found |= set(connection.execute(sa.select(call.c.id).where(call.c.source_system == system, named)).scalars())
    for system, shared in _by_system(conversations).items():
        of_them = sa.and_(call.c.source_system == system, among(connection, call.c.initial_call_id, shared))
        found |= set(connection.execute(sa.select(call.c.id).where(of_them)).scalars())
    return found


def _by_system(ids: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    sorted_: dict[str, list[str]] = {}
    for system, name in ids:
        sorted_.setdefault(system, []).append(name)
    return sorted_


def told_calls(connection: sa.Connection, call_ids: Iterable[UUID]) -> list[ToldCall]:
    """These calls, locked in order of id, so that two transactions with the same calls cannot wait for each other."""
    wanted = sorted(call_ids)
    if not wanted:
        return []
    connection.execute(sa.select(call.c.id).where(call.c.id.in_(wanted)).order_by(call.c.id).with_for_update())
    rows = connection.execute(
        sa.select(
            call.c.id,
            call.c.source_system,
            call.c.external_call_id,
            call.c.profile,
            call.c.received_at,
            recording.c.bucket,
            recording.c.object_key,
            recording.c.stored_at,
        )
        .outerjoin_from(call, recording, sa.and_(recording.c.call_id == call.c.id, recording.c.is_current))
        .where(call.c.id.in_(wanted))
        .order_by(call.c.id)
    )
    return [
        ToldCall(
            row.id,
            row.source_system,
            row.external_call_id,
            row.profile,
            row.bucket or "",
            row.object_key or "",
            row.stored_at or row.received_at,
        )
        for row in rows
    ]


def texts_under(connection: sa.Connection, bucket: str, keys: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Source system and external id of the calls whose current recording is a text under one of these keys, by key."""
    wanted = list(keys)
    if not wanted:
        return {}
    rows = connection.execute(
        sa.select(recording.c.object_key, call.c.source_system, call.c.external_call_id)
        .join_from(recording, call, recording.c.call_id == call.c.id)
        .where(
            recording.c.bucket == bucket,
            among(connection, recording.c.object_key, wanted),
            recording.c.is_current,
            recording.c.is_text,
        )
    )
    return {row.object_key: (row.source_system, row.external_call_id) for row in rows}
