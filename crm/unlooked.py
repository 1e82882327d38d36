"""Calls in which nobody has looked for what must not leave, by the rules of now, as after another version of the rules:
they are looked through from the newest to the oldest, once.

How far that has come is a row of `upkeep`, named by the rules: `due_at` is the time of the call that is next, the
beginning of time where none is. A call that comes in meanwhile has its findings kept by its own steps.
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

# So many calls are asked about at once; most of them may have been looked through.
_ASKED_AT_ONCE = 500
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


def looked_down_to(connection: sa.Connection, find: SensitiveFinder) -> datetime | None:
    """The time of the newest call that may not have been looked through; None where there may be any."""
    asked = sa.select(upkeep.c.due_at).where(upkeep.c.name == _name(find))
    found: datetime | None = connection.execute(asked).scalar_one_or_none()
    return found


def is_looked_through(connection: sa.Connection, find: SensitiveFinder) -> bool:
    """Whether every call has been asked about."""
    return looked_down_to(connection, find) == _ENDED


def note_looked(connection: sa.Connection, find: SensitiveFinder, place: Place | None) -> None:
    """Go on behind this place from now on; None: no call is left. What other rules have come to counts no more."""
    name, at = _name(find), _ENDED if place is None else place[0]
    others = upkeep.c.name.startswith(_NAME, autoescape=True)
    connection.execute(sa.delete(upkeep).where(others, upkeep.c.name != name))
    row = insert(connection, upkeep).values(name=name, due_at=at)
    connection.execute(row.on_conflict_do_update(index_elements=["name"], set_={"due_at": at}))


def next_portion(connection: sa.Connection, find: SensitiveFinder, *, at_most: int, after: Place | None) -> Portion:
    """At most so many conversations behind the place `after`; without one from where it was noted on."""
    wanted = sa.select(call.c.happened_at, call.c.id)
    if after is not None:
        here = (sa.literal(after[0], call.c.happened_at.type), sa.literal(after[1], call.c.id.type))
        wanted = wanted.where(sa.tuple_(call.c.happened_at, call.c.id) < sa.tuple_(*here))
    elif (reached := looked_down_to(connection, find)) is not None:
        # Those of the same moment are asked about again.
        wanted = wanted.where(call.c.happened_at <= reached)
    rows = connection.execute(wanted.order_by(call.c.happened_at.desc(), call.c.id.desc()).limit(_ASKED_AT_ONCE)).all()
    kept = kept_findings(connection, [row.id for row in rows], find)
    missing = [row for row in rows if row.id in kept and kept[row.id].found is None]
    last = rows[-1] if len(rows) == _ASKED_AT_ONCE else None
    if len(missing) > at_most:
        missing = missing[:at_most]
        last = missing[-1]
    said = conversations(connection, [row.id for row in missing])
    found = [Conversation(call_id, kept[call_id].transcript_id, turns) for call_id, turns in said.items()]
    return Portion(found, None if last is None else (last.happened_at, last.id))


def unlooked_count(connection: sa.Connection) -> int:
    """How many calls are left to ask about; 0 where nobody has begun."""
    reached = sa.select(sa.func.max(upkeep.c.due_at)).where(upkeep.c.name.startswith(_NAME, autoescape=True))
    wanted = sa.select(sa.func.count()).where(call.c.happened_at <= reached.scalar_subquery())
    return int(connection.execute(wanted).scalar_one())


def _name(find: SensitiveFinder) -> str:
    return f"{_NAME}{rules_of(find)}"
