"""Calls in which nobody has looked for what must not leave, by the rules of now, as after another version of the rules:
they are looked through from the newest to the oldest, once.

How far that has come is a row of `upkeep`, named by the rules and the id of the call that was the last: `due_at` is its
time, the beginning of time where none is left. A call that comes in meanwhile has its findings kept by its own steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa

from calls.redaction import SensitiveFinder
from calls.transcript import Turn
from crm.database import insert
from crm.findings import kept_findings
from crm.privacy import Place
from crm.privacy_tables import upkeep
from crm.redacted import rules_of
from crm.search_shown import conversations
from crm.tables import call

_NAME = "findings:"
_ENDED = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Conversation:
    """One conversation that nobody has looked through."""

    call_id: UUID
    transcript_id: UUID
    turns: Sequence[Turn]


@dataclass(frozen=True)
class Portion:
    """Conversations to look through; `place` is that of the last call that was asked about, None where no call is
    left.
    """

    conversations: Sequence[Conversation]
    place: Place | None


def is_looked_through(connection: sa.Connection, find: SensitiveFinder) -> bool:
    """Whether every call has been asked about."""
    place = _noted(connection, find)
    return place is not None and place[0] == _ENDED


def note_looked(connection: sa.Connection, find: SensitiveFinder, place: Place | None) -> None:
    """Go on behind this place from now on; None: no call is left. What other rules have come to counts no more."""
    at, last = place or (_ENDED, UUID(int=0))
    connection.execute(sa.delete(upkeep).where(upkeep.c.name.startswith(_NAME, autoescape=True)))
    # Two that look through the same calls at once may note the same.
    row = insert(connection, upkeep).values(name=f"{_name(find)}{last.hex}", due_at=at)
    connection.execute(row.on_conflict_do_nothing())


def next_portion(connection: sa.Connection, find: SensitiveFinder, *, limit: int, after: Place | None) -> Portion:
    """What is to be looked through of so many calls behind the place `after`, by default behind the one noted."""
    wanted = sa.select(call.c.happened_at, call.c.id)
    place = after or _noted(connection, find)
    if place is not None:
        here = (sa.literal(place[0], call.c.happened_at.type), sa.literal(place[1], call.c.id.type))
        wanted = wanted.where(sa.tuple_(call.c.happened_at, call.c.id) < sa.tuple_(*here))
    rows = connection.execute(wanted.order_by(call.c.happened_at.desc(), call.c.id.desc()).limit(limit)).all()
    kept = kept_findings(connection, [row.id for row in rows], find)
    said = conversations(connection, [call_id for call_id, known in kept.items() if known.found is None])
    found = [Conversation(call_id, kept[call_id].transcript_id, turns) for call_id, turns in said.items()]
    return Portion(found, (rows[-1].happened_at, rows[-1].id) if len(rows) == limit else None)


def unlooked_count(connection: sa.Connection) -> int:
    """How many calls are left to ask about, to those of one moment; 0 where nobody has begun."""
    reached = sa.select(sa.func.min(upkeep.c.due_at)).where(upkeep.c.name.startswith(_NAME, autoescape=True))
    wanted = sa.select(sa.func.count()).where(call.c.happened_at <= reached.scalar_subquery())
    return int(connection.execute(wanted).scalar_one())


def _noted(connection: sa.Connection, find: SensitiveFinder) -> Place | None:
    """The place that the work has come to, None where it has not begun: of two that look through, the farther one."""
    asked = sa.select(upkeep.c.due_at, upkeep.c.name).where(upkeep.c.name.startswith(_name(find), autoescape=True))
    row = connection.execute(asked.order_by(upkeep.c.due_at, upkeep.c.name).limit(1)).one_or_none()
    return None if row is None else (row.due_at, UUID(row.name.removeprefix(_name(find))))


def _name(find: SensitiveFinder) -> str:
    return f"{_NAME}{rules_of(find)}:"
