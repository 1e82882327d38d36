"""pgvector, where the PostgreSQL server has it: a column `near` beside the vectors, with an HNSW index.

Nothing depends on it: without, calls are compared one by one (crm.similar). It is put up when it is there and the
role may, at any time, and not by a migration: servers get the extension later than Callwise, and an index is of one
dimension, which the model says.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from crm.database import Database
from crm.vector_tables import NEAR, NEAR_INDEX, UNFILLED_INDEX, call_vector

EXTENSION = "vector"
# What HNSW takes of this type.
MOST_DIMENSIONS = 2000
_FILLED_AT_ONCE = 1000
# The longer the list of candidates, the surer the nearest are among them.
_SEARCH_WIDTH = 200


def prepare(database: Database, dimension: int, *, creates_extension: bool) -> bool:
    """Put up what makes calls of this dimension found by an index; True where it stands.

    False on SQLite, and where pgvector is not in the database and may not be brought into it.
    """
    if database.is_sqlite or not 1 <= dimension <= MOST_DIMENSIONS:
        return False
    with database.read() as connection:
        if is_ready(connection, dimension):
            return True
        if not _is_there(connection, creates_extension):
            return False
    try:
        with database.write() as connection:
            _execute(
                connection,
                f"CREATE EXTENSION IF NOT EXISTS {EXTENSION}",
                f"ALTER TABLE call_vector ADD COLUMN IF NOT EXISTS {NEAR} vector",
                f"CREATE INDEX IF NOT EXISTS {UNFILLED_INDEX} ON call_vector (call_id)"
                f" WHERE {NEAR} IS NULL AND dimension > 0",
            )
        while _fill(database):
            pass
        with database.write() as connection:
            _execute(
                connection,
                f"CREATE INDEX IF NOT EXISTS {NEAR_INDEX}{dimension} ON call_vector"
                f" USING hnsw (({NEAR}::vector({dimension})) vector_cosine_ops) WHERE dimension = {dimension}",
            )
    except sa.exc.DBAPIError:
        return False
    return True


def is_ready(connection: sa.Connection, dimension: int) -> bool:
    """Whether calls of this dimension are found by an index."""
    if connection.dialect.name != "postgresql":
        return False
    asked = sa.text(
        "SELECT EXISTS (SELECT 1 FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
        " WHERE indrelid = to_regclass('call_vector') AND indisvalid AND relname = :name)"
    )
    return bool(connection.execute(asked, {"name": f"{NEAR_INDEX}{dimension}"}).scalar_one())


def set_near(connection: sa.Connection, vectors: Mapping[UUID, NDArray[np.float32]]) -> None:
    """Tell the index of vectors that have just been written; nothing happens where there is none."""
    if vectors and _has_column(connection):
        told = [{"id": one, "near": _written(vector)} for one, vector in vectors.items()]
        connection.execute(sa.text(f"UPDATE call_vector SET {NEAR} = CAST(:near AS vector) WHERE call_id = :id"), told)  # noqa: S608 - our own names


def nearest(connection: sa.Connection, model: str, vector: NDArray[np.float64], *, limit: int) -> list[UUID]:
    """About the `limit` calls nearest to the vector, by the index, which must be ready; whose calls, nobody asks."""
    dimension = len(vector)
    version = connection.execute(
        sa.text("SELECT extversion FROM pg_extension WHERE extname = :name"), {"name": EXTENSION}
    ).scalar_one()
    connection.execute(sa.text(f"SET LOCAL hnsw.ef_search = {max(_SEARCH_WIDTH, limit)}"))
    if tuple(int(part) for part in version.split(".")[:2]) >= (0, 8):
        # Where another model's vectors lie between, the search goes on behind them.
        connection.execute(sa.text("SET LOCAL hnsw.iterative_scan = strict_order"))
    asked = sa.text(
        f"SELECT call_id FROM call_vector WHERE dimension = {dimension} AND model = :model"  # noqa: S608 - a number
        f" ORDER BY ({NEAR}::vector({dimension})) <=> CAST(:near AS vector({dimension})) LIMIT :limit"
    )
    found = connection.execute(
        asked.columns(call_id=sa.Uuid), {"model": model, "near": _written(vector), "limit": limit}
    )
    return list(found.scalars())


def _is_there(connection: sa.Connection, or_offered: bool) -> bool:
    catalog = "pg_available_extensions WHERE name" if or_offered else "pg_extension WHERE extname"
    asked = sa.text(f"SELECT EXISTS (SELECT 1 FROM {catalog} = :name)")  # noqa: S608 - one of two
    return bool(connection.execute(asked, {"name": EXTENSION}).scalar_one())


def _has_column(connection: sa.Connection) -> bool:
    if connection.dialect.name != "postgresql":
        return False
    asked = sa.text(
        "SELECT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('call_vector') AND attname = :name"
        " AND NOT attisdropped)"
    )
    return bool(connection.execute(asked, {"name": NEAR}).scalar_one())


def _fill(database: Database) -> int:
    """Tell the column of some vectors that were written before it was there; returns how many."""
    with database.write() as connection:
        rows = connection.execute(
            sa.select(call_vector.c.call_id, call_vector.c.vector)
            .where(sa.text(f"{NEAR} IS NULL"), call_vector.c.dimension > 0)
            .limit(_FILLED_AT_ONCE)
            .with_for_update()
        ).all()
        set_near(connection, {row.call_id: np.frombuffer(row.vector, dtype="<f4") for row in rows})
    return len(rows)


def _execute(connection: sa.Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(sa.text(statement))


def _written(vector: Sequence[float] | NDArray[np.floating]) -> str:
    return "[" + ",".join(f"{number:.9g}" for number in vector) + "]"
