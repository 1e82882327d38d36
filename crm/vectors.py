"""Vectors of calls as they are made: which calls want one, and how it is kept.

A call is found by `call.modified_at`, as for a hand-over: nobody has to tell. A vector is written only while the very
text that it was made of still stands: what was erased or corrected meanwhile leaves none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from calls.likeness import text_of
from crm.bulk import among
from crm.call_lines import label_of
from crm.database import insert
from crm.privacy_tables import upkeep
from crm.tables import call, call_analysis, reason
from crm.vector_index import set_near
from crm.vector_tables import call_vector

# A change is committed after the moment that it carries, and clocks differ.
OVERLAP = timedelta(minutes=10)
_LOOKED = "similar:"
_FLOATS = np.dtype("<f4")
_WORK = "similar"

# When a call was, and its id: where a walk from the newest to the oldest goes on.
Place = tuple[datetime, UUID]


@dataclass(frozen=True)
class Due:
    """A call without a vector of the model for its current analysis, and the text that wants one."""

    call_id: UUID
    happened_at: datetime
    revision: int
    text: str


def due_calls(
    connection: sa.Connection, model: str, *, limit: int, since: datetime | None = None, after: Place | None = None
) -> list[Due]:
    """At most `limit` calls that want a vector of `model`, newest first, behind the place `after`.

    With `since` only those that have changed from then on. Generated history is left out, and what says nothing.
    """
    asked = _texts().outerjoin(call_vector, call_vector.c.call_id == call.c.id)
    is_behind = sa.or_(
        call_vector.c.call_id.is_(None),
        call_vector.c.model != model,
        call_vector.c.analysis_revision != call_analysis.c.revision,
    )
    asked = asked.where(is_behind, call.c.is_sample.is_(False))
    if since is not None:
        asked = asked.where(call.c.finished_at.is_not(None), call.c.modified_at >= since)
    if after is not None:
        asked = asked.where(sa.tuple_(call.c.happened_at, call.c.id) < _place(after))
    rows = connection.execute(asked.order_by(call.c.happened_at.desc(), call.c.id.desc()).limit(limit))
    return [_due(row) for row in rows]


def newest_texts(connection: sa.Connection, limit: int) -> list[str]:
    """The texts of the newest calls that have one, in order: what a model of the centre's own is fitted on."""
    asked = _texts().where(call.c.is_sample.is_(False))
    rows = connection.execute(asked.order_by(call.c.happened_at.desc(), call.c.id.desc()).limit(limit))
    return [_due(row).text for row in rows]


def text_count(connection: sa.Connection, at_most: int) -> int:
    """How many calls have such a text; `at_most` where there are as many or more."""
    some = (
        sa.select(sa.literal(1))
        .join_from(call_analysis, call, call.c.id == call_analysis.c.call_id)
        .where(call_analysis.c.is_current, call_analysis.c.summary != "", call.c.is_sample.is_(False))
        .limit(at_most)
        .subquery()
    )
    return int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one())


def save_vectors(
    connection: sa.Connection, model: str, made: Mapping[UUID, tuple[Due, NDArray[np.float32] | None]]
) -> int:
    """Keep these vectors (None: the model can say nothing of the text) in the place of any others; returns how many.

    Left out are those of calls whose text is another one by now: they are due again, or gone.
    """
    # Erasure takes the same locks: it comes before, and the text is gone, or after, and takes the vector along.
    locked = sa.select(call.c.id).where(among(connection, call.c.id, made)).order_by(call.c.id).with_for_update()
    connection.execute(locked).all()
    now = {row.id: _due(row) for row in connection.execute(_texts().where(among(connection, call.c.id, made)))}
    kept = {one: vector for one, (due, vector) in made.items() if _is_same(now.get(one), due)}
    rows = [
        {
            "call_id": one,
            "model": model,
            "analysis_revision": now[one].revision,
            "dimension": 0 if vector is None else len(vector),
            "vector": b"" if vector is None else to_bytes(vector),
        }
        for one, vector in kept.items()
    ]
    if rows:
        statement = insert(connection, call_vector)
        new = {name: statement.excluded[name] for name in rows[0] if name != "call_id"}
        connection.execute(statement.on_conflict_do_update(index_elements=["call_id"], set_=new), rows)
        set_near(connection, {one: vector for one, vector in kept.items() if vector is not None})
    return len(rows)


def take_turn(connection: sa.Connection, *, now: datetime, lease: timedelta) -> bool:
    """Whether nobody else is making vectors; the turn ends as `keep_turn` says, or by itself after `lease`."""
    connection.execute(insert(connection, upkeep).values(name=_WORK, due_at=now).on_conflict_do_nothing())
    mine = sa.update(upkeep).where(upkeep.c.name == _WORK, upkeep.c.due_at <= now)
    return connection.execute(mine.values(due_at=now + lease)).rowcount == 1


def keep_turn(connection: sa.Connection, *, until: datetime) -> None:
    """The work goes on until then."""
    connection.execute(sa.update(upkeep).where(upkeep.c.name == _WORK).values(due_at=until))


def looked_until(connection: sa.Connection, model: str) -> datetime | None:
    """Up to which change of a call every call has its vector of this model; None while old ones are still without."""
    asked = sa.select(upkeep.c.due_at).where(upkeep.c.name == f"{_LOOKED}{model}")
    found: datetime | None = connection.execute(asked).scalar_one_or_none()
    return None if found is None else found - OVERLAP


def note_looked(connection: sa.Connection, model: str, *, at: datetime) -> None:
    """From now on only calls that change after that moment want a vector of this model."""
    connection.execute(sa.delete(upkeep).where(upkeep.c.name.startswith(_LOOKED, autoescape=True)))
    connection.execute(sa.insert(upkeep).values(name=f"{_LOOKED}{model}", due_at=at))


def vector_counts(connection: sa.Connection) -> dict[str, int]:
    """How many calls have a vector, by model."""
    counted = sa.select(call_vector.c.model, sa.func.count().label("calls")).group_by(call_vector.c.model)
    return {row.model: row.calls for row in connection.execute(counted)}


def dimension_of(connection: sa.Connection, model: str) -> int:
    """Of how many numbers the model's vectors are; 0 where there is none."""
    asked = sa.select(call_vector.c.dimension).where(call_vector.c.model == model, call_vector.c.dimension > 0).limit(1)
    return int(connection.execute(asked).scalar_one_or_none() or 0)


def to_bytes(vector: NDArray[np.float32]) -> bytes:
    """A vector as it is stored."""
    return vector.astype(_FLOATS).tobytes()


def of_bytes(stored: Sequence[bytes], dimension: int) -> NDArray[np.float64]:
    """Stored vectors of one dimension as rows."""
    rows = np.frombuffer(b"".join(stored), dtype=_FLOATS).reshape(len(stored), dimension)
    return rows.astype(np.float64)


def _texts() -> sa.Select[Any]:
    of_analysis = ("revision", "headline", "summary", "subject", "reason_code")
    is_named = sa.and_(
        reason.c.taxonomy_version == call_analysis.c.taxonomy_version, reason.c.code == call_analysis.c.reason_code
    )
    return (
        sa.select(
            call.c.id,
            call.c.happened_at,
            *(call_analysis.c[name] for name in of_analysis),
            reason.c.label.label("reason_label"),
        )
        .join_from(call, call_analysis, sa.and_(call_analysis.c.call_id == call.c.id, call_analysis.c.is_current))
        .outerjoin(reason, is_named)
        # Neither what was erased nor what was not kept has a summary.
        .where(call_analysis.c.summary != "")
    )


def _due(row: sa.Row[Any]) -> Due:
    label = label_of(row.reason_code, row.reason_label)
    return Due(row.id, row.happened_at, row.revision, text_of(row.headline, row.summary, label, row.subject))


def _is_same(now: Due | None, then: Due) -> bool:
    return now is not None and (now.revision, now.text) == (then.revision, then.text)


def _place(place: Place) -> sa.Tuple:
    return sa.tuple_(sa.literal(place[0], call.c.happened_at.type), sa.literal(place[1], call.c.id.type))
