"""The marks of what the roll-ups have to look at again: single calls, beside the whole days of `touched_day`."""

import sqlalchemy as sa

from crm.tables import UtcDateTime, metadata

touched_call = sa.Table(
    "touched_call",
    metadata,
    # One row per change, as in touched_day; a call that is gone keeps its mark until the roll-ups have followed.
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("call_id", sa.Uuid, nullable=False),
)

# Where calls were that are at another time now, or gone; triggers write it (migration 0026). The facts of the roll-ups
# are looked for by a call's time and id.
moved_call = sa.Table(
    "moved_call",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("call_id", sa.Uuid, nullable=False),
    sa.Column("was_at", UtcDateTime, nullable=False),
    sa.Index("ix_moved_call_call_id", "call_id"),
)
