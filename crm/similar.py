"""Calls that are about the same: those whose vectors point the same way, of those that the viewer may see.

Where pgvector's index stands (crm.vector_index), who sees everybody's calls is answered by it; in all other cases the
newest COMPARED calls that the viewer may see are compared one by one, block by block.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crm import vector_index
from crm.access import EVERYBODYS, Permission, Viewer, visible_calls
from crm.bulk import among
from crm.call_documents import line_document
from crm.call_filters import CallFilter, WrongQuery, conditions_of, newest
from crm.call_lines import CallLine
from crm.calls import lines_of, see_call
from crm.tables import call
from crm.vector_tables import call_vector
from crm.vectors import of_bytes

MAX_SIMILAR = 50
# Of a viewer's calls so many, the newest, are compared one by one: what that takes has a bound.
COMPARED = 200_000
_BLOCK = 4096
# Likenesses that differ by less are the same: the order must not hang on how sums were rounded.
_DIGITS = 6
# The index is approximate, and some of what it finds is the call itself, or of equal likeness.
_ASKED_OF_INDEX = 4

# Likeness and id, as the database has it.
_Found = tuple[float, Any]


@dataclass(frozen=True)
class SimilarCall:
    """A call that is about the same; `likeness` is the cosine of the two vectors, above 0 and at most 1."""

    line: CallLine
    likeness: float


@dataclass(frozen=True)
class SimilarCalls:
    """The nearest first, of equals the one whose id is the last; `model` is None where the call has no vector (yet)."""

    model: str | None
    calls: tuple[SimilarCall, ...]


def similar_document(call_id: UUID, found: SimilarCalls) -> dict[str, Any]:
    """What the API and the command line's `--json` give."""
    return {
        "id": str(call_id),
        "model": found.model,
        "calls": [{"call": line_document(one.line), "likeness": one.likeness} for one in found.calls],
    }


@dataclass(frozen=True)
class _Own:
    call_id: UUID
    model: str
    vector: NDArray[np.float64]


def similar_calls(
    connection: sa.Connection, viewer: Viewer, call_id: UUID, *, limit: int = 10, with_index: bool = True
) -> SimilarCalls:
    """At most `limit` calls (1 to MAX_SIMILAR) that are about the same as this one, as `viewer` may read them.

    Raises NoSuchCall where the viewer may not see the call itself, NotAllowed, or WrongQuery.
    """
    viewer.require(Permission.READ_CALLS)
    if not 1 <= limit <= MAX_SIMILAR:
        raise WrongQuery(f"limit is {limit}; it must be 1 to {MAX_SIMILAR}")
    see_call(connection, viewer, call_id)
    own = _own(connection, call_id)
    if own is None:
        return SimilarCalls(None, ())
    found = None
    if with_index and viewer.role in EVERYBODYS and vector_index.is_ready(connection, len(own.vector)):
        found = _by_index(connection, viewer, own, limit)
    if found is None:
        found = _one_by_one(connection, viewer, own, limit)
    likeness = {_id(one): score for score, one in found}
    seen = sa.select(call.c.id).where(among(connection, call.c.id, likeness), visible_calls(viewer))
    visible = set(connection.execute(seen).scalars())
    lines = lines_of(connection, viewer, [one for one in likeness if one in visible])
    return SimilarCalls(own.model, tuple(SimilarCall(line, likeness[line.id]) for line in lines))


def _own(connection: sa.Connection, call_id: UUID) -> _Own | None:
    row = connection.execute(
        sa.select(call_vector.c.model, call_vector.c.dimension, call_vector.c.vector).where(
            call_vector.c.call_id == call_id, call_vector.c.dimension > 0
        )
    ).one_or_none()
    return row and _Own(call_id, row.model, of_bytes([row.vector], row.dimension)[0])


def _by_index(connection: sa.Connection, viewer: Viewer, own: _Own, limit: int) -> list[_Found] | None:
    """The nearest by the index; None where it found too few, since other models' vectors lie between."""
    wanted = limit * _ASKED_OF_INDEX + 1
    near = vector_index.nearest(connection, own.model, own.vector, limit=wanted)
    rows = connection.execute(
        sa.select(call_vector.c.call_id, call_vector.c.vector)
        .join_from(call_vector, call, call.c.id == call_vector.c.call_id)
        .where(among(connection, call_vector.c.call_id, near), visible_calls(viewer), *_comparable(own))
    ).all()
    best = _best((), [row.call_id for row in rows], [row.vector for row in rows], own, limit)
    return best if len(best) == limit else None


def _one_by_one(connection: sa.Connection, viewer: Viewer, own: _Own, limit: int) -> list[_Found]:
    # Neither is made into an object: of hundreds of thousands, a handful is wanted.
    columns = [sa.type_coerce(column, sa.types.NullType()) for column in (call_vector.c.call_id, call_vector.c.vector)]
    asked = sa.select(*columns).where(*_comparable(own))
    # Where all are compared, and seen, nobody need look at the calls: that takes twice as long.
    if viewer.role not in EVERYBODYS or _are_more_than(connection, COMPARED):
        keys = newest(connection, conditions_of(connection, viewer, CallFilter()), count=COMPARED)
        asked = asked.select_from(keys.join(call_vector, call_vector.c.call_id == keys.c.id))
    best: list[_Found] = []
    with connection.execution_options(yield_per=_BLOCK).execute(asked) as rows:
        for block in rows.partitions():
            ids, vectors = zip(*block, strict=True)
            best = _best(best, ids, vectors, own, limit)
    return best


def _are_more_than(connection: sa.Connection, count: int) -> bool:
    some = sa.select(sa.literal(1)).select_from(call_vector).limit(count + 1).subquery()
    return int(connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()) > count


def _comparable(own: _Own) -> tuple[sa.ColumnElement[bool], ...]:
    columns = call_vector.c
    return (
        columns.model == own.model,
        columns.dimension == len(own.vector),
        columns.call_id != own.call_id,
    )


def _best(before: Iterable[_Found], ids: Sequence[Any], stored: Sequence[bytes], own: _Own, limit: int) -> list[_Found]:
    """The `limit` nearest of those before and these; of equals the last ids."""
    found = list(before)
    if ids:
        likeness = np.round(of_bytes(stored, len(own.vector)) @ own.vector, _DIGITS)
        least = float(np.partition(likeness, -limit)[-limit]) if len(likeness) > limit else 0.0
        if len(found) == limit:
            least = max(least, found[-1][0])
        found += [
            (float(likeness[at]), ids[at]) for at in map(int, np.flatnonzero(likeness >= least)) if likeness[at] > 0
        ]
    # By the id first, then by the likeness: sorting keeps the order of equals.
    found.sort(key=lambda one: _id(one[1]).int, reverse=True)
    found.sort(key=lambda one: one[0], reverse=True)
    return found[:limit]


def _id(one: Any) -> UUID:
    return one if isinstance(one, UUID) else UUID(str(one))
