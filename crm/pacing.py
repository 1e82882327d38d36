"""The meters of language deployments, where all workers that share this database find them (calls.pacing)."""

import time
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from calls.meter import Meter
from crm.database import Database, insert
from crm.tables import JSON, metadata

meter = sa.Table(
    "meter",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    # A calls.meter.Meter; its times are seconds on the database's clock.
    sa.Column("state", JSON, nullable=False),
)

Result = TypeVar("Result")

_STATE = sa.select(meter.c.state).where(meter.c.name == sa.bindparam("of_name"))
_STATE_HELD = _STATE.with_for_update()
_CHANGE = sa.update(meter).where(meter.c.name == sa.bindparam("of_name"))


class DatabaseMeters:
    """Meters as rows of the database, one transaction of milliseconds for each change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def change(self, name: str, step: Callable[[Meter, float], tuple[Meter, Result]]) -> Result:
        """Replace the meter by what `step` makes of it at this moment (seconds), and return what else it says.

        Raises TransientError when the database cannot be reached.
        """
        with self._database.write() as connection:
            if not self._database.is_sqlite:
                # A meter that a crash takes back by a second is no harm; waiting for the disk at each request is.
                connection.execute(sa.text("SET LOCAL synchronous_commit = off"))
            state = connection.execute(_STATE_HELD, {"of_name": name}).scalar_one_or_none()
            if state is None:
                connection.execute(insert(connection, meter).values(name=name, state={}).on_conflict_do_nothing())
                state = connection.execute(_STATE_HELD, {"of_name": name}).scalar_one()
            # Not before the row is ours: whoever waited for it would else decide for a moment that has passed.
            changed, result = step(Meter.of_document(state), self._now(connection))
            connection.execute(_CHANGE, {"of_name": name, "state": changed.document()})
        return result

    def read(self, name: str) -> tuple[Meter, float]:
        """The meter, and the moment (seconds). Raises TransientError when the database cannot be reached."""
        with self._database.read() as connection:
            state = connection.execute(_STATE, {"of_name": name}).scalar_one_or_none()
            return Meter.of_document(state or {}), self._now(connection)

    def _now(self, connection: sa.Connection) -> float:
        if self._database.is_sqlite:
            return time.time()
        return float(connection.execute(sa.select(sa.func.extract("epoch", sa.func.clock_timestamp()))).scalar_one())
