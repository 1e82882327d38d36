"""The audit log: who read and changed what. Rows are only ever added, and each carries a hash over the one before, so
that a changed, missing or inserted row shows.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from crm.access import Viewer
from crm.access_tables import audit_entry

# Any number that no other part of the product locks by: "callwise audit".
_TURN = 0x0CA11A0D17
_BEFORE_THE_FIRST = ""
# Nobody else may write until a note is committed: what it takes is put together before.
_TAKE_TURN = sa.select(sa.func.pg_advisory_xact_lock(_TURN))
_LAST = sa.select(audit_entry.c.seq, audit_entry.c.hash).order_by(audit_entry.c.seq.desc()).limit(1)
_ADD = sa.insert(audit_entry)
MAX_DETAIL = 5000


class Action(StrEnum):
    """What is written down. Words of other parts may be written, too; these are those that several parts share."""

    READ_TRANSCRIPT = "read_transcript"
    HEAR_AUDIO = "hear_audio"
    EXPORT = "export"
    CORRECT = "correct"
    APPROVE = "approve"
    RETRY = "retry"
    HAND_OVER = "hand_over"
    ERASE = "erase"
    REASONS_LOADED = "reasons_loaded"
    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    USER_ADDED = "user_added"
    USER_CHANGED = "user_changed"
    TOKEN_MADE = "token_made"  # noqa: S105 - the word for an event, no token
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - likewise


@dataclass(frozen=True)
class Deed:
    """What somebody did, before it is written down."""

    viewer: Viewer
    action: str
    at: datetime
    call_id: UUID | None = None
    detail: str = ""


@dataclass(frozen=True)
class AuditEntry:
    """One row; `seq` counts from 1 without a hole."""

    seq: int
    at: datetime
    actor: str
    actor_id: UUID | None
    role: str | None
    action: str
    call_id: UUID | None
    detail: str
    hash: str


@dataclass(frozen=True)
class Verdict:
    """What a check of the whole log found: `broken_at` is the first row that does not follow from the one before, None
    where all do; `head` is the hash of the last row, which somebody else may keep: a log that lost its end lacks it.
    """

    entry_count: int
    broken_at: int | None
    head: str


def note(
    connection: sa.Connection,
    viewer: Viewer,
    action: str,
    *,
    call_id: UUID | None = None,
    detail: str = "",
    now: datetime,
) -> AuditEntry:
    """Write down that `viewer` did this, in the caller's write transaction: it stands when that stands.

    `detail` holds ids, codes and names of fields; never what was said, a customer's name or a number, since no erasure
    reaches it. Call it last: from here to the commit no other transaction can write to the log.
    """
    return note_all(connection, [Deed(viewer, action, now, call_id, detail)])[0]


def note_all(connection: sa.Connection, deeds: Sequence[Deed]) -> list[AuditEntry]:
    """Write down several deeds in their order, as `note` does."""
    if connection.dialect.name == "postgresql":
        # SQLite's write transactions come one after another by themselves.
        connection.execute(_TAKE_TURN)
    last = connection.execute(_LAST).one_or_none()
    seq, head = (last.seq, last.hash) if last else (0, _BEFORE_THE_FIRST)
    written: list[AuditEntry] = []
    for number, deed in enumerate(deeds, seq + 1):
        row: dict[str, Any] = {
            "seq": number,
            "at": deed.at.astimezone(UTC),
            "actor": deed.viewer.name,
            "actor_id": deed.viewer.user_id,
            "role": str(deed.viewer.role) if deed.viewer.role else None,
            "action": str(deed.action),
            "call_id": deed.call_id,
            "detail": deed.detail[:MAX_DETAIL],
        }
        head = _hash_of(row, head)
        written.append(AuditEntry(**row, hash=head))
    connection.execute(_ADD, [entry.__dict__ for entry in written])
    return written


def entries(
    connection: sa.Connection,
    *,
    call_id: UUID | None = None,
    actor: str = "",
    action: str = "",
    before: int | None = None,
    limit: int = 100,
) -> list[AuditEntry]:
    """The latest rows first; `before` is the `seq` of the last row of the page before."""
    wanted = sa.select(audit_entry).order_by(audit_entry.c.seq.desc()).limit(limit)
    if call_id is not None:
        wanted = wanted.where(audit_entry.c.call_id == call_id)
    if actor:
        wanted = wanted.where(audit_entry.c.actor == actor)
    if action:
        wanted = wanted.where(audit_entry.c.action == action)
    if before is not None:
        wanted = wanted.where(audit_entry.c.seq < before)
    return [AuditEntry(**row._mapping) for row in connection.execute(wanted)]


def verify(connection: sa.Connection) -> Verdict:
    """Follow the chain from the first row to the last."""
    count, broken_at, previous = 0, None, _BEFORE_THE_FIRST
    for entry in _in_order(connection):
        count += 1
        row = {name: value for name, value in entry.__dict__.items() if name != "hash"}
        if broken_at is None and (entry.seq != count or entry.hash != _hash_of(row, previous)):
            broken_at = entry.seq
        previous = entry.hash
    return Verdict(count, broken_at, previous)


def has_hash(connection: sa.Connection, head: str) -> bool:
    """Whether the log holds a row with this hash: one that was the last some time ago still does."""
    return connection.execute(sa.select(sa.exists().where(audit_entry.c.hash == head))).scalar_one()


def _in_order(connection: sa.Connection) -> Iterator[AuditEntry]:
    wanted = sa.select(audit_entry).order_by(audit_entry.c.seq).execution_options(yield_per=1000)
    for row in connection.execute(wanted):
        yield AuditEntry(**row._mapping)


def _hash_of(row: dict[str, Any], previous: str) -> str:
    told = [
        value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value
        for value in row.values()
    ]
    written = json.dumps([*told, previous], ensure_ascii=True, separators=(",", ":"), default=str)
    return sha256(written.encode()).hexdigest()
